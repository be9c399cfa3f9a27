import { assign } from "../../methods/assign.ts";
import { c2Infer, c2SelectPair } from "../../methods/preference/c2.ts";
import { bradleyTerry } from "../../methods/shaping/dense-sources.ts";
import { batchFromObjects } from "../../rollouts/index.ts";
import { gaussian } from "../gaussian.ts";
import { Random } from "../random.ts";
import { SoftmaxTable } from "../softmax-table.ts";
import { atLeast } from "./bounds.ts";
import type { Experiment, Scale, Summary, Trial } from "./experiment.ts";

const topics = 5;
const types = 8;
const trained = 400;
const sampled = 16;
const tested = 4000;
const beta = 0.1;
const generatorSteps = 300;
const generatorRate = 50;
const criticUpdates = 60;
const verdicts = 8;
const tasksPerUpdate = 100;
const criticRate = 50;

/** A preference example: its topic and how far the judge alone leans towards the truth. */
interface Example {
  topic: number;
  margin: number;
}

/** A rubric of a mined pair: where it is used and whether it helps. */
interface Rubric {
  topic: number;
  type: number;
  helps: boolean;
}

const exampleOf = (random: Random): Example => ({
  topic: random.below(topics),
  margin: 0.8 + 1.5 * gaussian(random),
});

class Judge {
  /** How far each type of rubric moves the judge in each topic, which nobody sees. */
  readonly #shifts: Float64Array;
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
    this.#shifts = Float64Array.from({ length: topics * types }, () => 2 * gaussian(random));
  }

  /** Margin towards the truth when the judge has to follow a rubric. */
  follow({ topic, margin }: Example, type: number): number {
    return margin + this.#shifts[topic * types + type] + 0.5 * gaussian(this.#random);
  }
}

/** Helpful and misleading rubrics of the training examples, as the judge's margins tell them. */
function mine(judge: Judge, examples: readonly Example[], random: Random): [helpful: Rubric, misleading: Rubric][] {
  return examples.flatMap((example) => {
    const tried = Array.from({ length: sampled }, () => random.below(types));
    const margins = tried.map((type) => judge.follow(example, type));
    const pair = c2SelectPair({ baseMargin: example.margin, margins });
    if (pair === null) return [];
    const { topic } = example;
    const rubric = (k: number, helps: boolean): Rubric => ({ topic, type: tried[k], helps });
    return [[rubric(pair.helpful, true), rubric(pair.misleading, false)] as [Rubric, Rubric]];
  });
}

/** DPO on the pairs: log-ratios to the uniform start, times β, in a Bradley-Terry loss. */
function trainGenerator(pairs: readonly [Rubric, Rubric][], steps: number): SoftmaxTable {
  const policy = new SoftmaxTable(topics, types);
  const ratio = ({ topic, type }: Rubric) => beta * (policy.logProbability(topic, type) + Math.log(types));
  for (let step = 0; step < steps; step++) {
    const [chosen, rejected] = [pairs.map(([good]) => ratio(good)), pairs.map(([, bad]) => ratio(bad))];
    const { gradChosen, gradRejected } = bradleyTerry({ chosen, rejected });
    pairs.forEach(([good, bad], k) => {
      policy.accumulate(good.topic, good.type, -beta * gradChosen[k]);
      policy.accumulate(bad.topic, bad.type, -beta * gradRejected[k]);
    });
    policy.ascend(generatorRate);
  }
  return policy;
}

/** Says of a rubric whether it helps; learned from 1 for a right verdict and −1 for a wrong one. */
function trainCritic(rubrics: readonly Rubric[], updates: number, random: Random): SoftmaxTable {
  const critic = new SoftmaxTable(topics * types, 2);
  for (let update = 0; update < updates; update++) {
    const tasks = Array.from({ length: tasksPerUpdate }, () => rubrics[random.below(rubrics.length)]);
    const said = tasks.flatMap(({ topic, type }) =>
      Array.from({ length: verdicts }, () => critic.sample(topic * types + type, random)),
    );
    const taskOf = (k: number) => tasks[Math.floor(k / verdicts)];
    const rollouts = said.map((label, k) => ({
      id: `r${k}`,
      group: `${Math.floor(k / verdicts)}`,
      rewards: { rubric: (label === 1) === taskOf(k).helps ? 1 : -1 },
    }));
    const weights = { preference: 0, rubric: 1, format: 0 };
    const advantage = assign(batchFromObjects(rollouts), "c2", { weights }).numbers("rollout.advantage");
    said.forEach((label, k) => {
      const { topic, type } = taskOf(k);
      critic.accumulate(topic * types + type, label, advantage[k] / said.length);
    });
    critic.ascend(criticRate);
  }
  return critic;
}

/** Accuracy on fresh pairs with rubrics of a generator, followed always or only where the critic calls them helpful. */
function accuracy(
  judge: Judge,
  generator: SoftmaxTable,
  critic: SoftmaxTable | null,
  count: number,
  random: Random,
): number {
  const answerOf = (margin: number) => (margin > 0 ? ("A" as const) : ("B" as const));
  let right = 0;
  for (let k = 0; k < count; k++) {
    const example = exampleOf(random);
    const type = generator.sample(example.topic, random);
    const helps = critic === null || critic.probability(example.topic * types + type, 1) > 0.5;
    const { answer } = c2Infer({
      augmented: { label: helps ? "helpful" : "misleading", answer: answerOf(judge.follow(example, type)) },
      fallback: { label: null, answer: answerOf(example.margin) },
    });
    right += answer === "A" ? 1 : 0;
  }
  return right / count;
}

const arms = [
  "no rubric",
  "untrained generator, always followed",
  "untrained generator with critic",
  "trained generator with critic",
] as const;

function trial(seed: number, scale: Scale): Trial {
  const random = new Random(seed);
  const full = scale === "full";
  const judge = new Judge(random);
  const examples = Array.from({ length: full ? trained : 100 }, () => exampleOf(random));
  const pairs = mine(judge, examples, random);
  const generator = trainGenerator(pairs, full ? generatorSteps : 30);
  const critic = trainCritic(pairs.flat(), full ? criticUpdates : 10, random);
  const uniform = new SoftmaxTable(topics, types);
  const count = full ? tested : 400;
  const alone = Array.from({ length: count }, () => exampleOf(random)).filter(({ margin }) => margin > 0).length;
  const values = [
    alone / count,
    accuracy(judge, uniform, null, count, random),
    accuracy(judge, uniform, critic, count, random),
    accuracy(judge, generator, critic, count, random),
  ];
  return { measures: Object.fromEntries(arms.map((arm, k) => [arm, values[k]])) };
}

function relation(summary: Summary, arm: (typeof arms)[number], bound: number, card: string) {
  const gap = summary.mean(arm) - summary.mean(arms[0]);
  return {
    expected: `${arm}: ${bound < 0 ? "at least 0.03 below" : "at least 0.04 above"} no rubric (${card})`,
    measured: `${summary.text(arm, 3)} against ${summary.text(arms[0], 3)}`,
    holds: bound < 0 ? gap <= bound : gap >= bound,
    kind: "claim" as const,
  };
}

/** Rubrics can mislead a judge: a critic that knows when, and a generator that avoids it, make them worth having. */
export const experiment: Experiment = {
  id: "c2",
  version: 1,
  claim:
    "Rubrics that are always followed make a judge worse; with a critic that may fall back on the judge alone they " +
    "help, and with a generator trained on helpful and misleading rubrics nearly all preferences come out right.",
  environment:
    "5 topics with 8 types of rubrics that shift the judge's margin by N(0, 2²); margin without rubric N(0.8, 1.5²). " +
    "400 training pairs with 16 sampled rubrics each, 4000 fresh pairs.",
  baseline: "the judge without rubric",
  seeds: 8,
  trial,
  findings: (summary) => [
    {
      expected: "no rubric: accuracy about 0.70",
      measured: summary.text("no rubric", 3),
      holds: Math.abs(summary.mean("no rubric") - 0.7) <= 0.02,
      kind: "limit",
    },
    relation(summary, arms[1], -0.03, "0.62 against 0.70"),
    relation(summary, arms[2], 0.04, "0.77 against 0.70"),
    atLeast(summary, arms[3], 0.9, { over: "mean" }),
  ],
  plots: [{ kind: "bars", title: "Accuracy on fresh pairs", y: "accuracy", measures: [...arms] }],
  notes:
    "The card names no rates: 300 full-batch DPO steps of rate 50 for the generator, 60 updates of 100 rubrics with " +
    "8 verdicts each for the critic, rate 50 on their mean gradient.",
};

import { assign } from "../../methods/assign.ts";
import { overlapReward } from "../../methods/multi-agent/comam.ts";
import { batchFromObjects } from "../../rollouts/index.ts";
import { gaussian } from "../gaussian.ts";
import { Random } from "../random.ts";
import { SoftmaxTable } from "../softmax-table.ts";
import { atLeast, atMost } from "./bounds.ts";
import { tailMean } from "./decisions.ts";
import type { Experiment, Scale, Summary, Trial } from "./experiment.ts";

const facts = 5;
const relevant = [0, 1, 2];
const options = 4;
const groupSize = 8;
const rollouts = 4 * groupSize;
const rate = 0.4;
const agents = ["extraction", "profile", "retrieval"] as const;
const arms = ["ndcg", "uniform", "full", "local only"] as const;
type Arm = (typeof arms)[number];

/** Coins: facts that extraction keeps, then facts that retrieval keeps. Choices: format (0 is right), then style. */
class Pipeline {
  readonly coins = new SoftmaxTable(2 * facts, 2);
  readonly choices = new SoftmaxTable(2, options);

  run(random: Random) {
    const coins = Array.from({ length: 2 * facts }, (_, row) => this.coins.sample(row, random));
    const format = this.choices.sample(0, random);
    const style = this.choices.sample(1, random);
    const all = Array.from({ length: facts }, (_, f) => f);
    const extracted = all.filter((f) => coins[f] === 1);
    const retrieved = extracted.filter((f) => coins[facts + f] === 1);
    const recall = retrieved.filter((f) => relevant.includes(f)).length / relevant.length;
    const answer = random.uniform() < (format === 0 ? 0.9 : 0.1) * recall ? 1 : 0;
    const local = [
      overlapReward({ selected: extracted, evidence: relevant, alpha: 0.8 }),
      style / (options - 1) + 0.2 * gaussian(random),
      overlapReward({ selected: retrieved, evidence: relevant, alpha: 0.2 }),
    ];
    return { coins, format, style, answer, local };
  }

  /** Adds the score of everything an agent chose, times a weight. */
  credit(agent: number, episode: ReturnType<Pipeline["run"]>, weight: number): void {
    if (agent === 1) this.choices.accumulate(1, episode.style, weight);
    else {
      const from = agent === 0 ? 0 : facts;
      for (let f = from; f < from + facts; f++) this.coins.accumulate(f, episode.coins[f], weight);
      if (agent === 0) this.choices.accumulate(0, episode.format, weight);
    }
  }
}

interface Run {
  success: number[];
  /** Mean over the first 40 updates, by agent. */
  consistency: number[];
}

function train(arm: Arm, seed: number, updates: number): Run {
  const random = new Random(seed);
  const pipeline = new Pipeline();
  const success: number[] = [];
  const consistency = [0, 0, 0];
  const early = Math.min(40, updates);
  for (let update = 0; update < updates; update++) {
    const episodes = Array.from({ length: rollouts }, () => pipeline.run(random));
    const objects = episodes.map(({ answer, local }, i) => ({
      id: `r${i}`,
      group: `g${Math.floor(i / groupSize)}`,
      // Without a global reward what remains of every agent's reward is its local one.
      reward: arm === "local only" ? 0 : answer,
      turns: { agent: [...agents], reward: local },
    }));
    const credit = assign(batchFromObjects(objects), "comam", { weighting: arm === "local only" ? "ndcg" : arm });
    const advantage = credit.numbers("turns.advantage");
    const v = credit.numbers("turns.consistency");
    episodes.forEach((episode, i) => {
      for (let n = 0; n < agents.length; n++) {
        pipeline.credit(n, episode, advantage[i * agents.length + n] / rollouts);
        if (update < early) consistency[n] += v[i * agents.length + n] / (rollouts * early);
      }
    });
    pipeline.coins.ascend(rate);
    pipeline.choices.ascend(rate);
    success.push(episodes.filter(({ answer }) => answer === 1).length / rollouts);
  }
  return { success, consistency };
}

function trial(seed: number, scale: Scale): Trial {
  const measures: Record<string, number> = {};
  const curves: Record<string, number[]> = {};
  for (const arm of arms) {
    const run = train(arm, seed, scale === "full" ? 300 : 10);
    measures[`success, ${arm}`] = tailMean(run.success, 20);
    curves[arm] = run.success.filter((_, t) => t % 2 === 0);
    if (arm !== "ndcg") continue;
    agents.forEach((agent, n) => {
      measures[`early consistency of ${agent}`] = run.consistency[n];
    });
  }
  return { measures, curves };
}

function consistent(summary: Summary, agent: string) {
  const [own, profile] = [agent, "profile"].map((name) => `early consistency of ${name}`);
  return {
    expected: `first 40 updates: ${agent} ranks more like the answer than profile does`,
    measured: `${summary.text(own, 3)} against ${summary.text(profile, 3)}`,
    holds: summary.mean(own) > summary.mean(profile),
    kind: "claim" as const,
  };
}

/** Agents whose local rewards do not see what the answer needs learn it from their share of the global reward. */
export const experiment: Experiment = {
  id: "comam",
  version: 1,
  claim: "A share of the global reward by ranking consistency aligns agents that local rewards alone cannot align.",
  environment:
    "Extraction keeps facts and picks a format that its local reward does not see, profile picks a style scored by " +
    "an unrelated judge, retrieval keeps facts; right with 0.9 recall in the right format, else 0.1 recall. 300 " +
    "updates, 4 groups of 8, rate 0.4.",
  baseline: "comam without a global reward; uniform and full weights",
  seeds: 8,
  trial,
  findings: (summary) => [
    atLeast(summary, "success, ndcg", 0.8, { over: "mean" }),
    atMost(summary, "success, local only", 0.4, { over: "mean" }),
    consistent(summary, "extraction"),
    consistent(summary, "retrieval"),
    {
      expected:
        "uniform and full weights end at the same success (within 0.05): the weighting shows only in the weights",
      measured: arms
        .slice(0, 3)
        .map((arm) => `${arm} ${summary.text(`success, ${arm}`)}`)
        .join(", "),
      holds: ["uniform", "full"].every(
        (arm) => Math.abs(summary.mean(`success, ${arm}`) - summary.mean("success, ndcg")) <= 0.05,
      ),
      kind: "limit",
    },
  ],
  plots: [
    { kind: "lines", title: "Share of right answers", x: "update", y: "share", curves: [...arms], every: 2 },
    {
      kind: "bars",
      title: "Ranking consistency in the first 40 updates",
      y: "NDCG",
      measures: agents.map((agent) => `early consistency of ${agent}`),
    },
  ],
  notes:
    "The card leaves the judge open: a style is worth 0, 1/3, 2/3 or 1 to it, plus N(0, 0.2²). Local rewards alone: " +
    "outcome 0 for all.",
};

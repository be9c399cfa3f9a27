import { assign } from "../../methods/assign.ts";
import { batchFromObjects } from "../../rollouts/index.ts";
import { Random } from "../random.ts";
import { SoftmaxTable } from "../softmax-table.ts";
import { atLeast, atMost } from "./bounds.ts";
import type { Experiment, Scale, Trial } from "./experiment.ts";

const groups = 8;
const size = 8;
const updates = 300;
/** Of the one logit that a state has: the two columns of the table move by half of it each. */
const rate = 0.6;
const cap = 60;
const successRate = 0.3;
const goOn = 0;
/** Chance to go on at the start: 4 of 5, so that the mean length is 5. */
const startLogit = Math.log(4);

/** Decisions of one response whose correctness is known from the start: go on until it stops or the cap is reached. */
function response(right: number, policy: SoftmaxTable, random: Random): number[] {
  const decisions: number[] = [];
  while (decisions.length < cap) {
    const decision = policy.sample(right, random);
    decisions.push(decision);
    if (decision !== goOn) break;
  }
  return decisions;
}

/** Mean length of an answer that nothing cuts off. */
const meanLength = (policy: SoftmaxTable, right: number) => 1 / (1 - policy.probability(right, goOn));

/** Mean lengths of wrong and right answers after every update, by the loss (1/N) Σ_i Σ_t weight · −A log π. */
function train(method: string, params: object, count: number, seed: number) {
  const random = new Random(seed);
  const policy = new SoftmaxTable(2, 2, [startLogit, 0, startLogit, 0]);
  const wrong: number[] = [];
  const right: number[] = [];
  for (let update = 0; update < count; update++) {
    const rollouts = Array.from({ length: groups * size }, (_, i) => {
      const reward = random.uniform() < successRate ? 1 : 0;
      return { id: `${i}`, group: `${Math.floor(i / size)}`, reward, tokens: { id: response(reward, policy, random) } };
    });
    const credited = assign(batchFromObjects(rollouts), method, { ...params });
    const advantage = credited.numbers("tokens.advantage");
    const weight = credited.numbers("tokens.weight");
    let t = 0;
    for (const { reward, tokens } of rollouts)
      for (const decision of tokens.id) {
        policy.accumulate(reward, decision, (weight[t] * advantage[t]) / rollouts.length);
        t++;
      }
    policy.ascend(rate / 2);
    wrong.push(meanLength(policy, 0));
    right.push(meanLength(policy, 1));
  }
  return { wrong, right, continuing: policy.probability(0, goOn) };
}

function trial(seed: number, scale: Scale): Trial {
  const count = scale === "full" ? updates : 30;
  const grpo = train("grpo", {}, count, seed);
  const dr = train("dr-grpo", { loss_scale: 12 }, count, seed);
  const last = (curve: number[]) => curve[count - 1];
  const thin = (curve: number[]) => curve.filter((_, t) => t % 3 === 0).map((x) => Math.min(x, cap));
  return {
    measures: {
      "grpo: chance to go on when wrong": grpo.continuing,
      "grpo: length of wrong answers": last(grpo.wrong),
      "grpo: length of right answers": last(grpo.right),
      "dr-grpo: length of wrong answers": last(dr.wrong),
      "dr-grpo: length of right answers": last(dr.right),
    },
    curves: {
      "grpo, wrong": thin(grpo.wrong),
      "grpo, right": thin(grpo.right),
      "dr-grpo, wrong": thin(dr.wrong),
      "dr-grpo, right": thin(dr.right),
    },
  };
}

/** Dividing by the own length makes wrong answers long and right answers short, for no reward at all. */
export const experiment: Experiment = {
  id: "dr-grpo",
  version: 1,
  claim:
    "With 1/|o| wrong answers grow to the cap and right ones shrink, though length never changes the reward; with a " +
    "constant divisor both keep their length.",
  environment:
    "An answer is right with probability 0.3, known before its first token; the policy (one row for right, one for " +
    "wrong) only decides when to stop. Mean length 5 at the start, cap 60; 8 groups of 8, 300 updates of rate 0.6.",
  baseline: "grpo with its weights 1/|o|",
  seeds: 5,
  trial,
  findings: (summary) => [
    atLeast(summary, "grpo: chance to go on when wrong", 0.98, { digits: 4 }),
    atMost(summary, "grpo: length of right answers", 1.5),
    ...["dr-grpo: length of wrong answers", "dr-grpo: length of right answers"].flatMap((measure) => [
      atLeast(summary, measure, 4),
      atMost(summary, measure, 6),
    ]),
  ],
  plots: [
    {
      kind: "lines",
      title: "Mean length while training (cut at the cap)",
      x: "update",
      y: "tokens",
      curves: ["grpo, wrong", "grpo, right", "dr-grpo, wrong", "dr-grpo, right"],
      every: 3,
    },
  ],
  notes:
    "Lengths are those that the policy would have without the cap, as in the card. A state has one logit (chance to " +
    "go on = sigmoid). dr-grpo has loss_scale 12.",
};

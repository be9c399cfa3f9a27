import { Random } from "../random.ts";
import { SoftmaxTable } from "../softmax-table.ts";
import { atLeast, atMost } from "./bounds.ts";
import type { Experiment, Scale, Trial } from "./experiment.ts";
import { advantagesOf } from "./group-rewards.ts";

const size = 8;
const correct = 4;
const actions = 10;

/** One update by one group; the credit may be changed before it is used. */
function update(
  policy: SoftmaxTable,
  reward: readonly number[],
  variant: string,
  rate: number,
  random: Random,
  change: (advantage: number) => number = (advantage) => advantage,
): void {
  const group = Array.from({ length: size }, () => policy.sample(0, random));
  const advantage = advantagesOf("two-stage", [group.map((a) => reward[a])], { variant });
  group.forEach((a, i) => {
    policy.accumulate(0, a, change(advantage[i]) / size);
  });
  policy.ascend(rate);
}

/** Chance of the best arm, which starts rare, after every update. */
function stages(reward: readonly number[], count: number, seed: number): number[] {
  const random = new Random(seed);
  const policy = new SoftmaxTable(1, 3, [0.49, 0.02, 0.49].map(Math.log));
  return Array.from({ length: count }, () => {
    update(policy, reward, "grpo", 0.2, random);
    return policy.probability(0, 1);
  });
}

/** Entropy among the correct actions when they together have 0.95, and the updates until then. */
function diversity(variant: string, positiveOnly: boolean, most: number, seed: number) {
  const random = new Random(seed);
  const policy = new SoftmaxTable(1, actions);
  const reward = Array.from({ length: actions }, (_, a) => (a < correct ? 1 : 0));
  const change = positiveOnly ? (advantage: number) => Math.max(0, advantage) : undefined;
  const success = () =>
    policy
      .probabilities(0)
      .subarray(0, correct)
      .reduce((sum, p) => sum + p, 0);
  let updates = 0;
  while (success() < 0.95 && updates < most) {
    update(policy, reward, variant, 1, random, change);
    updates++;
  }
  const total = success();
  const entropy = policy
    .probabilities(0)
    .subarray(0, correct)
    .reduce((sum, p) => sum - (p / total) * Math.log(p / total), 0);
  return { entropy, updates };
}

function trial(seed: number, scale: Scale): Trial {
  const count = scale === "full" ? 2000 : 50;
  const graded = stages([0.8, 1, 0], count, seed);
  const binary = stages([1, 1, 0], count, seed);
  const measures: Record<string, number> = {
    "lowest chance of the best arm": Math.min(...graded.slice(0, 200)),
    "best arm at the end": graded[count - 1],
    "best arm at the end, binary": binary[count - 1],
  };
  for (const [name, variant, positiveOnly] of [
    ["grpo", "grpo", false],
    ["positive only", "grpo", true],
    ["grpo_n", "grpo_n", false],
  ] as const) {
    const { entropy, updates } = diversity(variant, positiveOnly, 5000, seed);
    measures[`${name}: entropy`] = entropy;
    measures[`${name}: updates`] = updates;
  }
  const thin = (curve: number[]) => curve.filter((_, t) => t % 10 === 0);
  return { measures, curves: { graded: thin(graded), binary: thin(binary) } };
}

/** Exploitation first, exploration later; and what learning from negatives alone keeps alive. */
export const experiment: Experiment = {
  id: "two-stage",
  version: 1,
  claim:
    "GRPO first feeds the best action that was explored while a rare better one sinks, and later moves over to it, " +
    "if rewards are graded; learning from negative advantages alone keeps all correct actions alive.",
  environment:
    "Softmax bandits, groups of 8. (a) 3 arms, rewards 0.8, 1, 0, start 0.49, 0.02, 0.49, rate 0.2, 2000 updates; " +
    "binary control 1, 1, 0. (b) 10 actions, 4 correct, uniform start, rate 1, until the correct ones have 0.95.",
  baseline: "grpo (variant grpo) and its positive half",
  seeds: 30,
  trial,
  findings: (summary) => {
    const moved = summary.share((m) => m["best arm at the end"] > 0.9);
    const back = summary.share((m) => m["best arm at the end, binary"] < 0.2);
    const price = summary.mean("grpo_n: updates") / summary.mean("grpo: updates");
    return [
      atMost(summary, "lowest chance of the best arm", 0.02),
      {
        expected: "(a) the best arm ends above 0.9 in at least 90 % of the seeds",
        measured: `${(100 * moved).toFixed(0)} % of the seeds, mean ${summary.text("best arm at the end", 3)}`,
        holds: moved >= 0.9,
        kind: "claim",
      },
      {
        expected: "(a) with binary rewards it ends below 0.2 (every seed)",
        measured: `${(100 * back).toFixed(0)} % of the seeds, mean ${summary.text("best arm at the end, binary", 3)}`,
        holds: back === 1,
        kind: "claim",
      },
      atLeast(summary, "grpo_n: entropy", 1.35),
      atMost(summary, "grpo: entropy", 1.15, { over: "mean" }),
      {
        expected:
          "(b) positives alone keep less than all of GRPO; negatives alone take more updates (1.7 times in the card)",
        measured: `entropy ${summary.text("positive only: entropy")} against ${summary.text("grpo: entropy")}, ${price.toFixed(2)} times the updates`,
        holds: summary.mean("positive only: entropy") < summary.mean("grpo: entropy") && price > 1,
        kind: "limit",
      },
    ];
  },
  plots: [
    {
      kind: "lines",
      title: "Chance of the best arm",
      x: "update",
      y: "probability",
      curves: ["graded", "binary"],
      every: 10,
    },
    {
      kind: "bars",
      title: "Entropy among the correct actions at success 0.95",
      y: "nats",
      measures: ["positive only: entropy", "grpo: entropy", "grpo_n: entropy"],
    },
  ],
  notes: "Both parts run on 30 seeds (the card has 20 for the first). The positive half is GRPO's advantage cut at 0.",
};

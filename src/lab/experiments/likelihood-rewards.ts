import { assign } from "../../methods/assign.ts";
import { batchFromObjects } from "../../rollouts/index.ts";
import { AdamW } from "../optimisers/adamw.ts";
import { Random } from "../random.ts";
import { SoftmaxTable } from "../softmax-table.ts";
import { atLeast, atMost } from "./bounds.ts";
import type { Experiment, Scale, Trial } from "./experiment.ts";

const prompts = 6;
const thoughts = 8;
const groupSize = 4;
const rate = 0.05;
const variants = ["log_prob", "avg_log_prob", "avg_prob", "prob", "jepo"] as const;
const lengths = [1, 60] as const;

const meanGood = (policy: SoftmaxTable) => {
  let sum = 0;
  for (let prompt = 0; prompt < prompts; prompt++) sum += policy.probability(prompt, 0);
  return sum / prompts;
};

/** Mean probability of the good thought (number 0) before every update and at the end. */
function train(variant: string, length: number, seed: number, updates: number): number[] {
  const random = new Random(seed);
  const token = Array.from({ length: prompts * thoughts }, (_, k) =>
    k % thoughts === 0 ? 0.6 : 0.3 + 0.1 * random.uniform(),
  );
  const references = token.map((p) => ({ logprob: new Array<number>(length).fill(Math.log(p)) }));
  const policy = new SoftmaxTable(prompts, thoughts);
  const optimiser = new AdamW({ schedule: () => rate });
  const curve = [meanGood(policy)];
  for (let update = 0; update < updates; update++) {
    const chosen = Array.from({ length: prompts * groupSize }, (_, i) =>
      policy.sample(Math.floor(i / groupSize), random),
    );
    const rollouts = chosen.map((thought, i) => {
      const prompt = Math.floor(i / groupSize);
      const reference = references[prompt * thoughts + thought];
      return { id: `r${i}`, group: `g${prompt}`, tokens: { id: [thought] }, reference };
    });
    const advantage = assign(batchFromObjects(rollouts), "likelihood-rewards", { variant }).numbers(
      "rollout.advantage",
    );
    // The advantages of jepo are of order 1/G already, so that its members are summed.
    const weight = variant === "jepo" ? 1 : 1 / groupSize;
    chosen.forEach((thought, i) => {
      policy.accumulate(Math.floor(i / groupSize), thought, (weight * advantage[i]) / prompts);
    });
    // The optimiser goes down; the gradient that was gathered goes up.
    optimiser.update({ logits: policy.logits }, { logits: policy.gradient.map((x) => -x) });
    policy.gradient.fill(0);
    policy.changed();
    curve.push(meanGood(policy));
  }
  return curve;
}

const name = (variant: string, length: number) => `${variant}, answers of ${length}`;

function trial(seed: number, scale: Scale): Trial {
  const measures: Record<string, number> = {};
  const curves: Record<string, number[]> = {};
  for (const variant of variants) {
    for (const length of lengths) {
      const curve = train(variant, length, seed, scale === "full" ? 300 : 8);
      measures[`good thought, ${name(variant, length)}`] = curve[curve.length - 1];
      if (length === 60) curves[variant] = curve.filter((_, t) => t % 2 === 0);
    }
  }
  return { measures, curves };
}

/** Probabilities of long answers underflow any useful scale; log-probabilities do not. */
export const experiment: Experiment = {
  id: "likelihood-rewards",
  version: 1,
  claim:
    "Rewarding a thought with the log-probability of the answer works for short and long answers; the probability " +
    "does not.",
  environment:
    "6 prompts, 8 one-token thoughts; a frozen model gives reference tokens probability 0.6 after the good thought " +
    "and U(0.3, 0.4) after others; answers of 1 or 60 tokens. Tabular softmax, groups of 4, Adam with rate 0.05, 300 " +
    "updates.",
  baseline: "likelihood-rewards with variant prob",
  seeds: 3,
  trial,
  findings: (summary) => [
    atMost(summary, `good thought, ${name("prob", 60)}`, 0.2),
    atLeast(summary, `good thought, ${name("log_prob", 60)}`, 0.9),
    atLeast(summary, `good thought, ${name("prob", 1)}`, 0.9),
    ...["avg_log_prob", "avg_prob"].map((variant) => atLeast(summary, `good thought, ${name(variant, 60)}`, 0.9)),
    atLeast(summary, `good thought, ${name("jepo", 60)}`, 0.8, { over: "mean", kind: "limit" }),
  ],
  plots: [
    {
      kind: "lines",
      title: "Probability of the good thought, answers of 60 tokens",
      x: "update",
      y: "probability",
      curves: [...variants],
      every: 2,
    },
    {
      kind: "bars",
      title: "Probability of the good thought at the end",
      y: "probability",
      measures: lengths.flatMap((length) => variants.map((variant) => `good thought, ${name(variant, length)}`)),
    },
  ],
  notes:
    "The answer model is frozen, so only thoughts are trained. Without the gradient's size Adam's eps of 1e-8 holds " +
    "prob at chance.",
};

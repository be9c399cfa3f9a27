import { policyLoss } from "../../methods/loss/policy-losses.ts";
import { Random } from "../random.ts";
import { SoftmaxTable } from "../softmax-table.ts";
import { atLeast, atMost } from "./bounds.ts";
import type { Experiment, Scale, Trial } from "./experiment.ts";
import { advantagesOf } from "./group-rewards.ts";

/** Reward of every arm; the policy starts on a mediocre one. */
const reward = [0.5, 1, 0.8, 0.3, 0.2, 0];
const startLogit = 2;
const batchSize = 64;
const steps = 60;
const rate = 3;

type Loss = Parameters<typeof policyLoss>[0]["loss"];
type Settings = Omit<Parameters<typeof policyLoss>[0], "logprob" | "advantage">;

const arms: Record<string, Settings> = {
  vanilla: { loss: "vanilla" },
  "vanilla, clip_high 0.28": { loss: "vanilla", clip_high: 0.28 },
  gspo: { loss: "gspo" },
  geo_mean: { loss: "geo_mean" },
  dro: { loss: "dro", dro_beta: 1 },
  cispo: { loss: "cispo" },
  sapo: { loss: "sapo" },
  gpg: { loss: "gpg" },
};

/** KL(old ‖ new) after every step on one batch that grows stale. */
function drift(settings: Settings, count: number, seed: number): number[] {
  const random = new Random(seed);
  const policy = new SoftmaxTable(1, reward.length, [startLogit, 0, 0, 0, 0, 0]);
  const old = policy.copy();
  const sampled = Array.from({ length: batchSize }, () => policy.sample(0, random));
  const advantage = advantagesOf("dr-grpo", [sampled.map((a) => reward[a])]);
  const rows = {
    old_logprob: sampled.map((a) => [old.logProbability(0, a)]),
    advantage: [...advantage].map((x) => [x]),
  };
  return Array.from({ length: count }, () => {
    const logprob = sampled.map((a) => [policy.logProbability(0, a)]);
    const { weight } = policyLoss({ ...rows, ...settings, logprob });
    sampled.forEach((a, i) => {
      policy.accumulate(0, a, weight[i][0]);
    });
    policy.ascend(rate);
    return old.probabilities(0).reduce((sum, p, a) => sum + p * (Math.log(p) - policy.logProbability(0, a)), 0);
  });
}

/** Weight of a token of advantage 1 and ratio 1.4. */
function weightAt(settings: { loss: Loss; clip_low?: number }): number {
  const { weight } = policyLoss({
    ...settings,
    logprob: [[Math.log(0.56)]],
    old_logprob: [[Math.log(0.4)]],
    advantage: [[1]],
  });
  return weight[0][0];
}

/** Largest departure from the exact weights of part (b). */
function exactErrors(): number {
  const sigmoid = 1 / (1 + Math.exp(-0.4));
  const response = (ratio: number) =>
    policyLoss({
      loss: "gspo",
      logprob: [[Math.log(0.3 * ratio), Math.log(0.5 * ratio)]],
      old_logprob: [[Math.log(0.3), Math.log(0.5)]],
      advantage: [[1, 1]],
    }).weight[0];
  const expected: [number, number][] = [
    [weightAt({ loss: "vanilla" }), 0],
    [weightAt({ loss: "cispo" }), 1.2],
    [weightAt({ loss: "kl_cov" }) + 1, 1.4],
    [weightAt({ loss: "sapo" }), 4 * sigmoid * (1 - sigmoid) * 1.4],
    ...response(1.4).map((w): [number, number] => [w, 0]),
    ...response(1.1).map((w): [number, number] => [w, 1.1 / 2]),
  ];
  return expected.reduce((most, [got, wanted]) => Math.max(most, Math.abs(got - wanted)), 0);
}

function trial(seed: number, scale: Scale): Trial {
  const measures: Record<string, number> = { "error of the exact weights": exactErrors() };
  const curves: Record<string, number[]> = {};
  for (const [name, settings] of Object.entries(arms)) {
    const kl = drift(settings, scale === "full" ? steps : 10, seed);
    measures[name] = kl[kl.length - 1];
    curves[name] = kl;
  }
  return { measures, curves };
}

const trusted = ["vanilla", "gspo", "geo_mean", "dro"];

/** How far one stale batch drags a policy, by the loss. */
export const experiment: Experiment = {
  id: "policy-losses",
  version: 1,
  claim:
    "On one batch that grows stale, losses with a trust region stay near the old policy, cispo and sapo go farther, " +
    "and the plain gradient runs away; what each lets through at a ratio of 1.4 is exact.",
  environment:
    "A 6-armed softmax bandit that starts with logit 2 on a mediocre arm; one batch of 64, 60 full-batch steps of " +
    "rate 3. Measured is KL(old ‖ new) at the end.",
  baseline: "gpg (no ratio, no clip)",
  seeds: 5,
  trial,
  findings: (summary) => [
    ...trusted.map((name) => atMost(summary, name, 0.2, { over: "mean" })),
    ...["cispo", "sapo"].map((name) => ({
      expected: `${name} lies between those and gpg (card: ${name === "cispo" ? 1.6 : 0.9})`,
      measured: summary.text(name),
      holds:
        summary.mean(name) > Math.max(...trusted.map((one) => summary.mean(one))) &&
        summary.mean(name) < summary.mean("gpg"),
      kind: "claim" as const,
    })),
    atLeast(summary, "gpg", 3, { over: "mean" }),
    atMost(summary, "error of the exact weights", 1e-9, { digits: 12 }),
    atMost(summary, "vanilla, clip_high 0.28", 0.2, { over: "mean", kind: "limit" }),
  ],
  plots: [
    {
      kind: "lines",
      title: "Distance from the old policy on one batch",
      x: "step",
      y: "KL(old ‖ new)",
      curves: ["vanilla", "dro", "sapo", "cispo", "gpg"],
    },
    { kind: "bars", title: "KL(old ‖ new) after 60 steps", y: "nats", measures: Object.keys(arms) },
  ],
  notes:
    "The card gives no rewards: 0.5 for the arm that the policy starts on, 1, 0.8, 0.3, 0.2 and 0 for the others; " +
    "advantages are mean-centred over the batch, as the distance that dro goes in the card asks for (with the " +
    "standard deviation divided out dro goes 0.31). Without a clip means kl_cov, its penalty of 1 added back.",
};

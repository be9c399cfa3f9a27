import { Random } from "../random.ts";
import { SoftmaxTable } from "../softmax-table.ts";
import type { Experiment, Scale, Summary, Trial } from "./experiment.ts";
import { norm } from "./gradient-moments.ts";
import { advantagesOf } from "./group-rewards.ts";

const groups = 32;
const size = 4;
const shares = [0, 0.5, 0.75];

/** Arms of one group whose rewards (arm 1 pays 1, arm 0 nothing) are all equal, or are not. */
function group(dead: boolean, policy: SoftmaxTable, random: Random): number[] {
  for (;;) {
    const arms = Array.from({ length: size }, () => policy.sample(0, random));
    if (arms.every((arm) => arm === arms[0]) === dead) return arms;
  }
}

/** Mean length of the gradient of one batch, averaged over the rollouts. */
function meanNorm(share: number, alpha: string, batches: number, seed: number): number {
  const random = new Random(seed);
  const policy = new SoftmaxTable(1, 2);
  let total = 0;
  for (let b = 0; b < batches; b++) {
    const arms = Array.from({ length: groups }, (_, g) => group(g < share * groups, policy, random));
    const advantage = advantagesOf("gpg", arms, { alpha });
    arms.flat().forEach((arm, i) => {
      policy.accumulate(0, arm, advantage[i] / (groups * size));
    });
    total += norm(policy.gradient);
    policy.gradient.fill(0);
  }
  return total / batches;
}

function trial(seed: number, scale: Scale): Trial {
  const measures: Record<string, number> = {};
  const batches = scale === "full" ? 500 : 20;
  for (const share of shares) {
    measures[`without alpha, dead ${share}`] = meanNorm(share, "none", batches, seed);
    measures[`with alpha, dead ${share}`] = meanNorm(share, "valid_groups", batches, seed);
  }
  return { measures };
}

const ratio = (summary: Summary, arm: string, share: number) =>
  summary.mean(`${arm}, dead ${share}`) / summary.mean(`${arm}, dead 0`);

/** α takes back what dead groups dilute. */
export const experiment: Experiment = {
  id: "gpg",
  version: 1,
  claim:
    "Groups with equal rewards dilute the batch gradient in proportion to their share; α makes its length constant.",
  environment:
    "A uniform softmax over 2 arms, one of which pays 1; 32 groups of 4, of which a share of 0, 0.5 or 0.75 is dead. " +
    "Mean length of the batch gradient over 500 batches per seed. Nothing is trained.",
  baseline: "gpg with alpha: none (the advantage of dr-grpo)",
  seeds: 5,
  trial,
  findings: (summary) => [
    ...shares.slice(1).map((share) => ({
      expected: `with alpha, ${100 * share} % dead: within 5 % of the length without dead groups`,
      measured: `${summary.text(`with alpha, dead ${share}`, 3)} against ${summary.text("with alpha, dead 0", 3)}`,
      holds: Math.abs(ratio(summary, "with alpha", share) - 1) <= 0.05,
      kind: "claim" as const,
    })),
    ...shares.slice(1).map((share) => ({
      expected: `without alpha, ${100 * share} % dead: shrinks to about ${1 - share} (within 5 %)`,
      measured: `${summary.text(`without alpha, dead ${share}`, 3)}, ratio ${ratio(summary, "without alpha", share).toFixed(3)}`,
      holds: Math.abs(ratio(summary, "without alpha", share) / (1 - share) - 1) <= 0.05,
      kind: "claim" as const,
    })),
  ],
  plots: [
    {
      kind: "bars",
      title: "Mean length of the batch gradient",
      y: "length",
      measures: ["without alpha", "with alpha"].flatMap((arm) => shares.map((share) => `${arm}, dead ${share}`)),
    },
  ],
  notes:
    "The card leaves the policy open; a uniform choice between two arms gives its numbers. Groups are drawn until " +
    "they are dead or alive as wanted.",
};

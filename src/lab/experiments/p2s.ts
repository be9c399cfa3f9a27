import { assign } from "../../methods/assign.ts";
import { pathFaithfulnessReward } from "../../methods/process/p2s.ts";
import { batchFromObjects } from "../../rollouts/index.ts";
import { Random } from "../random.ts";
import { SoftmaxTable } from "../softmax-table.ts";
import { atLeast, atMost } from "./bounds.ts";
import type { Experiment, Scale, Trial } from "./experiment.ts";

const steps = 4;
const options = 5;
const groupSize = 8;
const bonus = 2;

/**
 * A row of shared logits per step, seen twice: row 2k as it is, row 2k + 1 with the right option raised, as it is after
 * steps that were all right.
 */
class ChainPolicy {
  readonly table = new SoftmaxTable(2 * steps, options);

  constructor() {
    for (let k = 0; k < steps; k++) {
      this.table.logits[2 * k * options] = -1.5;
      this.table.logits[(2 * k + 1) * options] = -1.5 + bonus;
    }
    this.table.changed();
  }

  row(step: number, rightSoFar: boolean): number {
    return 2 * step + (step > 0 && rightSoFar ? 1 : 0);
  }

  sample(random: Random): number[] {
    const chosen: number[] = [];
    for (let k = 0; k < steps; k++)
      chosen.push(
        this.table.sample(
          this.row(
            k,
            chosen.every((a) => a === 0),
          ),
          random,
        ),
      );
    return chosen;
  }

  /** Log-probability of going on right from a step on; without context no step is raised. */
  suffix(from: number, inContext: boolean): number {
    let sum = 0;
    for (let k = from; k < steps; k++) sum += this.table.logProbability(this.row(k, inContext), 0);
    return sum;
  }

  success(): number {
    return Math.exp(this.suffix(0, true));
  }

  /** Both views of a row are the same logits: each takes the sum of the two gradients. */
  ascend(rate: number): void {
    const { gradient } = this.table;
    for (let k = 0; k < steps; k++) {
      for (let a = 0; a < options; a++) {
        const [plain, raised] = [2 * k * options + a, (2 * k + 1) * options + a];
        const both = gradient[plain] + gradient[raised];
        gradient[plain] = both;
        gradient[raised] = both;
      }
    }
    this.table.ascend(rate);
  }
}

/** What each step adds to the chance of the rest of the right chain; the last one answers. */
function faithfulness(policy: ChainPolicy, chosen: readonly number[]): number[] {
  const right = chosen.filter((a) => a === 0).length;
  const suffixes = Array.from({ length: steps }, (_, t) => t);
  const inContext = (i: number, t: number) => i + 1 === t && chosen.slice(0, t).every((a) => a === 0);
  const prefixes = Array.from({ length: steps - 1 }, (_, i) => i);
  return pathFaithfulnessReward({
    suffix_logprob: prefixes.map((i) => suffixes.map((t) => policy.suffix(t, inContext(i, t)))),
    masked_logprob: prefixes.map(() => suffixes.map((t) => policy.suffix(t, false))),
    answer_logprob: Math.log(right === steps ? 0.9 : 0.02 + 0.05 * right),
  }).reward;
}

const methods = ["p2s", "grpo"] as const;

function train(method: string, seed: number, updates: number): number[] {
  const random = new Random(seed);
  const policy = new ChainPolicy();
  const end = Array.from({ length: steps }, (_, k) => k + 1);
  const curve: number[] = [policy.success()];
  for (let update = 0; update < updates; update++) {
    const chosen = Array.from({ length: groupSize }, () => policy.sample(random));
    const rollouts = chosen.map((row, i) => ({
      id: `r${i}`,
      group: "g",
      reward: row.every((a) => a === 0) ? 1 : 0,
      tokens: { id: row },
      steps: { end, pfr: faithfulness(policy, row) },
    }));
    const advantage = assign(batchFromObjects(rollouts), method).numbers("tokens.advantage");
    chosen.forEach((row, i) => {
      row.forEach((a, k) => {
        const context = row.slice(0, k).every((b) => b === 0);
        policy.table.accumulate(policy.row(k, context), a, advantage[i * steps + k] / groupSize);
      });
    });
    policy.ascend(0.5);
    curve.push(policy.success());
  }
  return curve;
}

function trial(seed: number, scale: Scale): Trial {
  const measures: Record<string, number> = {};
  const curves: Record<string, number[]> = {};
  for (const method of methods) {
    const curve = train(method, seed, scale === "full" ? 100 : 5);
    measures[`success after training, ${method}`] = curve[curve.length - 1];
    curves[method] = curve;
  }
  return { measures, curves };
}

/** Where no rollout of a group is right, steps are paid for what they add to the chance of the right chain. */
export const experiment: Experiment = {
  id: "p2s",
  version: 1,
  claim:
    "A process reward from the policy's own probability of the right chain learns where the outcome is almost never " +
    "met.",
  environment:
    "4 decisions with 5 options; the right one starts at logit -1.5 and is raised by 2 when all before were right; " +
    "success needs all four (0.0013 at first). G = 8, rate 0.5, 100 updates of plain policy gradient.",
  baseline: "grpo",
  seeds: 6,
  trial,
  findings: (summary) => [
    atLeast(summary, "success after training, p2s", 0.8),
    atMost(summary, "success after training, grpo", 0.3),
  ],
  plots: [{ kind: "lines", title: "Exact success", x: "update", y: "success", curves: [...methods] }],
  notes:
    "The reference chain is the right one. A part of it counts as continued in context when exactly the steps before " +
    "it were taken, all right; a masked prefix gives no context. Every decision is a step, so 3 gains and the " +
    "answer's term are paid.",
};

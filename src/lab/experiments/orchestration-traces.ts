import { assign } from "../../methods/assign.ts";
import { batchFromObjects } from "../../rollouts/index.ts";
import { Random } from "../random.ts";
import { SoftmaxTable } from "../softmax-table.ts";
import { atLeast, atMost } from "./bounds.ts";
import type { Experiment, Scale, Trial } from "./experiment.ts";

const slots = 4;
const firstChance = 0.05;
/** Chance of success by the number of workers started. */
const success = [0.5, 0.35, 0.4, 0.85, 0.65];
const groupSize = 16;
const spawn = 0;

const arms = {
  "outcome only": { lambda_parallel: 0, lambda_finish: 0 },
  "constant shaping": { lambda_parallel: 1.5, lambda_finish: 0.2, schedule: "constant" },
  annealed: { lambda_parallel: 1.5, lambda_finish: 0.2, schedule: "linear" },
} as const;
type Arm = keyof typeof arms;
const names = Object.keys(arms) as Arm[];

/** The turns of one run: a decision per slot, then the return of every worker that was started. */
function turnsOf(chosen: readonly number[]) {
  const started = chosen.flatMap((action, slot) => (action === spawn ? [`w${slot}`] : []));
  return {
    event: [...chosen.map((a) => (a === spawn ? "spawn" : "orchestrator_decision")), ...started.map(() => "return")],
    role: [...chosen.map(() => "orchestrator"), ...started.map(() => "worker")],
    agent: [...chosen.map(() => "boss"), ...started],
    to: [...chosen.map((action, slot) => (action === spawn ? `w${slot}` : null)), ...started.map(() => null)],
  };
}

/** Exact chance of success, and the expected number of workers. */
function exact(policy: SoftmaxTable): { success: number; spawned: number } {
  let chances = [1];
  let spawned = 0;
  for (let slot = 0; slot < slots; slot++) {
    const p = policy.probability(slot, spawn);
    chances = [...chances, 0].map((chance, n) => chance * (1 - p) + (n > 0 ? chances[n - 1] * p : 0));
    spawned += p;
  }
  return { success: chances.reduce((sum, chance, n) => sum + chance * success[n], 0), spawned };
}

function train(arm: Arm, seed: number, updates: number) {
  const random = new Random(seed);
  const policy = new SoftmaxTable(slots, 2);
  for (let slot = 0; slot < slots; slot++) policy.logits[slot * 2] = Math.log(firstChance / (1 - firstChance));
  policy.changed();
  const curve = [exact(policy)];
  for (let update = 0; update < updates; update++) {
    const runs = Array.from({ length: groupSize }, () =>
      Array.from({ length: slots }, (_, slot) => policy.sample(slot, random)),
    );
    const rollouts = runs.map((chosen, i) => {
      const started = chosen.filter((action) => action === spawn).length;
      return {
        id: `${i}`,
        group: "g",
        reward: random.uniform() < success[started] ? 1 : 0,
        turns: turnsOf(chosen),
      };
    });
    const batch = batchFromObjects(rollouts);
    // Shaping ends halfway through training.
    const progress = Math.min(1, update / (updates / 2));
    const advantage = assign(batch, "orchestration-traces", { ...arms[arm], progress }).numbers("turns.advantage");
    const offsets = batch.offsets("turn");
    runs.forEach((chosen, i) => {
      chosen.forEach((action, slot) => {
        policy.accumulate(slot, action, advantage[offsets[i] + slot] / groupSize);
      });
    });
    policy.ascend(0.5);
    curve.push(exact(policy));
  }
  return curve;
}

function trial(seed: number, scale: Scale): Trial {
  const updates = scale === "full" ? 800 : 20;
  const measures: Record<string, number> = {};
  const curves: Record<string, number[]> = {};
  for (const arm of names) {
    const curve = train(arm, seed, updates);
    measures[`success, ${arm}`] = curve[updates].success;
    measures[`workers, ${arm}`] = curve[updates].spawned;
    const thinned = curve.filter((_, t) => t % 8 === 0);
    curves[arm] = thinned.map((at) => at.success);
    curves[`workers, ${arm}`] = thinned.map(({ spawned }) => spawned);
  }
  return { measures, curves };
}

/** Pay for starting workers at first and for results in the end. */
export const experiment: Experiment = {
  id: "orchestration-traces",
  version: 1,
  claim:
    "Rewards for starting workers that fade out lead to the right number of workers; without them none is started, and " +
    "where they stay too many are.",
  environment:
    "An orchestrator with 4 slots, a worker started in each with chance 0.05 at first; success 0.5, 0.35, 0.4, 0.85, 0.65 " +
    "with 0 to 4 workers. Tabular softmax, one group of 16 per update, rate 0.5, 800 updates.",
  baseline: "orchestration-traces on the outcome alone; the same weights without fading",
  seeds: 8,
  trial,
  findings: (summary) => [
    atMost(summary, "success, outcome only", 0.52, { over: "mean" }),
    atMost(summary, "workers, outcome only", 0.1, { over: "mean" }),
    atMost(summary, "success, constant shaping", 0.68, { over: "mean" }),
    atLeast(summary, "workers, constant shaping", 3.9, { over: "mean" }),
    atLeast(summary, "success, annealed", 0.8, { over: "mean" }),
    {
      expected: "annealed ends with about 3 workers (2.5 to 3.5)",
      measured: summary.text("workers, annealed"),
      holds: Math.abs(summary.mean("workers, annealed") - 3) <= 0.5,
      kind: "claim",
    },
  ],
  plots: [
    { kind: "lines", title: "Exact success", x: "update", y: "success", curves: names, every: 8 },
    {
      kind: "lines",
      title: "Workers started",
      x: "update",
      y: "expected number",
      curves: names.map((arm) => `workers, ${arm}`),
      every: 8,
    },
  ],
  notes: "Every worker that is started returns. Success and workers are exact expectations of the policy at the end.",
};

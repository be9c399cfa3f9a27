import { leaveOneOut } from "../../operators/baselines.ts";
import { tokenSpans } from "../../operators/broadcast.ts";
import { poolByGroup } from "../../operators/pools.ts";
import { reverseSumsInto } from "../../operators/returns.ts";
import { maskRuns } from "../../operators/runs.ts";
import { scatterAdd, type Units } from "../../operators/slots.ts";
import { runMoments, whitenRuns } from "../../operators/whiten.ts";
import type { Batch, FloatArray } from "../../rollouts/index.ts";
import type { PureParams } from "./pure.ts";

interface StepValues {
  /** Transformed reward of each step; `null` when only the outcome counts. */
  reward: FloatArray | null;
  /** Value of each step in the strict form, where it takes the place of the sum of rewards; else `null`. */
  minima: FloatArray | null;
}

/** Units with mask 1 of every rollout. */
function unitCounts({ runs, offsets }: Units): Float64Array {
  const counts = new Float64Array(offsets.length - 1);
  for (let i = 0; i < counts.length; i++) {
    for (let run = runs.offsets[i]; run < runs.offsets[i + 1]; run++) counts[i] += runs.ends[run] - runs.starts[run];
  }
  return counts;
}

/** Units with mask 1 of every step, without the one that carries its reward (and not below 0). */
function innerCounts(batch: Batch, { level, mask }: Units): Int32Array {
  const counts = new Int32Array(batch.count("step"));
  if (level !== "token") return counts;
  const { starts, ends } = tokenSpans(batch, "step");
  for (let k = 0; k < counts.length; k++) {
    let own = 0;
    for (let t = starts[k]; t < ends[k]; t++) if (mask === null || mask[t] === 1) own++;
    counts[k] = Math.max(own - 1, 0);
  }
  return counts;
}

/** What one response is worth to the baseline of the others: its summed step rewards, or its worst step (`strict`). */
function totals(batch: Batch, { slots }: Units, { reward, minima }: StepValues): Float64Array {
  const offsets = batch.offsets("step");
  const total = new Float64Array(batch.size);
  if (reward === null) return total;
  for (let i = 0; i < batch.size; i++) {
    if (minima !== null) total[i] = offsets[i] < offsets[i + 1] ? minima[offsets[i]] : 0;
    else for (let k = offsets[i]; k < offsets[i + 1]; k++) if (slots[k] >= 0) total[i] += reward[k];
  }
  return total;
}

/**
 * Baseline of every step, from the other responses of the group. `token`: mean reward per token of the others times the
 * tokens of the step; `step`: mean over the others of their reward per step.
 */
function stepBaselines(batch: Batch, units: Units, values: StepValues, p: PureParams): Float64Array {
  const out = new Float64Array(batch.count("step"));
  if (p.baseline === "none" || values.reward === null) return out;
  const pools = poolByGroup(batch, "rollout");
  const offsets = batch.offsets("step");
  const total = totals(batch, units, values);
  const others = (of: Float64Array) => leaveOneOut(of, pools, { singleton: "raw" }).baseline;
  if (p.baseline === "step") {
    const perStep = others(total.map((sum, i) => sum / Math.max(offsets[i + 1] - offsets[i], 1)));
    for (let i = 0; i < batch.size; i++) out.fill(perStep[i], offsets[i], offsets[i + 1]);
    return out;
  }
  const inner = innerCounts(batch, units);
  const reward = others(total);
  const length = others(unitCounts(units));
  for (let i = 0; i < batch.size; i++) {
    const perToken = length[i] > 0 ? reward[i] / length[i] : 0;
    for (let k = offsets[i]; k < offsets[i + 1]; k++) out[k] = perToken * inner[k];
  }
  return out;
}

/** Outcome − 1 (unknown counts as 0) minus the mean of the others of the group, times vr_coef. */
function outcomeAdvantage(batch: Batch, p: PureParams): Float64Array {
  if (p.mode === "PRM") return new Float64Array(batch.size);
  const known = batch.validity("rollout.reward");
  const given = batch.numbers("rollout.reward", { absent: 0, missing: 0 });
  const outcome = Float64Array.from(given, (r, i) => (known === null || known[i] === 1 ? r - 1 : 0));
  return leaveOneOut(outcome, poolByGroup(batch, "rollout"), { singleton: "raw" }).advantage.map((a) => p.vr_coef * a);
}

/**
 * Rule of the authors' OpenRLHF branch (arXiv 2504.15275). The last token of each step carries r*_k − b_k, the last policy
 * token the compared outcome besides; summed backwards this is the advantage, except on the tokens that end a step, which
 * get 0. Whitened over the policy tokens that do not end a step: (A − mean) / sqrt(max(var, ε)), population variance.
 */
export function openrlhfCredit(batch: Batch, units: Units, values: StepValues, p: PureParams): FloatArray {
  const advantage = batch.zeros(units.level);
  const baselines = stepBaselines(batch, units, values, p);
  const { reward, minima } = values;
  const paid = baselines.map((b, k) => (reward === null || minima !== null ? 0 : reward[k]) - b);
  scatterAdd(units, paid, advantage);
  const chain = { offsets: units.offsets, mask: units.mask, gap: "count", gamma: p.gamma } as const;
  reverseSumsInto({ ...chain, rewards: advantage, last: outcomeAdvantage(batch, p) }, advantage);
  if (minima !== null && units.level === "token") addToSteps(batch, minima, units.mask, advantage);
  const inner = new Uint8Array(advantage.length).fill(1);
  if (units.mask !== null) inner.set(units.mask);
  for (const slot of units.slots) {
    if (slot < 0) continue;
    advantage[slot] = 0;
    inner[slot] = 0;
  }
  if (!p.whiten_advantage) return advantage;
  const runs = maskRuns(units.offsets, inner);
  const moments = runMoments(advantage, runs);
  // The variance has a floor here instead of an addend: the floor goes in with the moments.
  const squares = Math.max(moments.squares, p.eps * moments.count);
  whitenRuns(advantage, runs, { ddof: 0, eps: 0 }, { ...moments, squares });
  return advantage;
}

function addToSteps(batch: Batch, values: FloatArray, mask: Uint8Array | null, out: FloatArray): void {
  const { starts, ends } = tokenSpans(batch, "step");
  for (let k = 0; k < values.length; k++) {
    for (let t = starts[k]; t < ends[k]; t++) if (mask === null || mask[t] === 1) out[t] += values[k];
  }
}

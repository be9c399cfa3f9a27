import type { Batch, FloatArray } from "../rollouts/index.ts";
import { tokenSpans } from "./broadcast.ts";
import { policyMask } from "./mask.ts";
import { maskRuns, policyRuns, type Runs } from "./runs.ts";

/**
 * The slot of every turn or step: the last policy token before its `end`, as a token row of the batch; -1 where the
 * policy wrote nothing up to there. A row whose own tokens all come from the environment shares the slot of the rows
 * before it. Linear in tokens.
 * @throws InputError when a rollout has rows of the level but not their `end`.
 */
export function slots(batch: Batch, level: "turn" | "step"): Int32Array {
  return batch.memo(`slots ${level}`, () => {
    const { starts, ends } = tokenSpans(batch, level);
    const mask = policyMask(batch);
    const rows = batch.offsets(level);
    const out = new Int32Array(starts.length);
    for (let i = 0; i < batch.size; i++) {
      let before = -1;
      for (let row = rows[i]; row < rows[i + 1]; row++) {
        let t = ends[row] - 1;
        if (mask !== null) while (t >= starts[row] && mask[t] === 0) t--;
        if (t >= starts[row]) before = t;
        out[row] = before;
      }
    }
    return out;
  }, ["turns.end", "steps.end", "tokens.mask"]);
}

/**
 * What carries credit in a method about steps or turns: tokens, or, in a batch where not every rollout has tokens, the
 * rows themselves, each of them standing for one token.
 */
export interface Units {
  readonly level: "token" | "turn" | "step";
  /** First unit of each rollout. */
  readonly offsets: Int32Array;
  /** 1 where the policy wrote the unit; `null` when it wrote them all. */
  readonly mask: Uint8Array | null;
  /** The units with mask 1 as runs. */
  readonly runs: Runs;
  /** Unit on which the value of each turn or step sits, -1 for none. */
  readonly slots: Int32Array;
}

/** Units of a batch for values of its turns or steps. */
export function unitsOf(batch: Batch, level: "turn" | "step"): Units {
  return batch.memo(`units ${level}`, () => {
    if (batch.hasLevel("token")) {
      const offsets = batch.offsets("token");
      return { level: "token", offsets, mask: policyMask(batch), runs: policyRuns(batch), slots: slots(batch, level) };
    }
    const offsets = batch.offsets(level);
    const own = Int32Array.from({ length: batch.count(level) }, (_, row) => row);
    return { level, offsets, mask: null, runs: maskRuns(offsets, null), slots: own };
  }, ["turns.end", "steps.end", "tokens.mask"]);
}

/** Adds the value of each row to the unit of its slot; several may add up, a row without a slot is lost. */
export function scatterAdd(units: Units, values: ArrayLike<number>, out: FloatArray): void {
  const { slots } = units;
  for (let row = 0; row < slots.length; row++) if (slots[row] >= 0) out[slots[row]] += values[row];
}

/** For each row what stands on the unit of its slot; 0 for a row without a slot. Writes into `out` (one per row). */
export function gatherSlots(units: Units, values: ArrayLike<number>, out: FloatArray): void {
  const { slots } = units;
  for (let row = 0; row < slots.length; row++) out[row] = slots[row] < 0 ? 0 : values[slots[row]];
}

import { tokenSpans } from "../operators/broadcast.ts";
import { type Batch, InputError } from "../rollouts/index.ts";

/** Levels at which credit is given, finest first. */
export const creditLevels = ["token", "step", "turn", "rollout"] as const;
export type CreditLevel = (typeof creditLevels)[number];

/** Whether level `a` is finer than level `b`. */
export function isFiner(a: CreditLevel, b: CreditLevel): boolean {
  return creditLevels.indexOf(a) < creditLevels.indexOf(b);
}

/** Rollout of each row of a level. */
function rolloutRows(batch: Batch, level: CreditLevel): Int32Array {
  const offsets = batch.offsets(level);
  const above = new Int32Array(batch.count(level));
  for (let i = 0; i < batch.size; i++) above.fill(i, offsets[i], offsets[i + 1]);
  return above;
}

/** Turn or step of each token; -1 for tokens outside. */
function spanRows(batch: Batch, level: "turn" | "step"): Int32Array {
  const { starts, ends } = tokenSpans(batch, level);
  const above = new Int32Array(batch.count("token")).fill(-1);
  for (let row = 0; row < starts.length; row++) above.fill(row, starts[row], ends[row]);
  return above;
}

/** Turn of each step: the one in which the step's last token lies. */
function stepTurns(batch: Batch): Int32Array {
  const turns = spanRows(batch, "turn");
  return Int32Array.from(tokenSpans(batch, "step").ends, (end) => (end > 0 ? turns[end - 1] : -1));
}

/** Whether rows of the finer level can be told apart by rows of the coarser one. */
export function canPlace(batch: Batch, fine: CreditLevel, coarse: CreditLevel): boolean {
  if (fine === coarse || coarse === "rollout") return true;
  if (!isFiner(fine, coarse)) return false;
  if (fine === "step") return canPlace(batch, "token", "step") && canPlace(batch, "token", "turn");
  return batch.has(coarse === "turn" ? "turns.end" : "steps.end", "every") && batch.hasLevel("token");
}

/**
 * For each row of the finer level the row of the coarser level that it lies in, -1 for none. Linear in rows.
 * @throws InputError when the levels are not placed against each other (`turns.end`, `steps.end` are missing).
 */
export function rowsAbove(batch: Batch, fine: CreditLevel, coarse: CreditLevel): Int32Array {
  return batch.memo(`rows of ${coarse} above ${fine}`, () => {
    if (fine === coarse) return Int32Array.from({ length: batch.count(fine) }, (_, row) => row);
    if (coarse === "rollout") return rolloutRows(batch, fine);
    if (!canPlace(batch, fine, coarse)) {
      const column = coarse === "turn" ? "turns.end" : "steps.end";
      throw new InputError(`${fine}s cannot be told apart by ${coarse}`, { column, expected: "token offsets" });
    }
    return fine === "step" ? stepTurns(batch) : spanRows(batch, coarse as "turn" | "step");
  });
}

import { type Batch, describe } from "../rollouts/index.ts";
import { type Pools, poolByKeys } from "./pools.ts";
import { isSimilarText } from "./text.ts";

/** Cells of a state column and the level it stands on. */
function statesOf(batch: Batch, path: string): { level: "turn" | "step"; states: readonly unknown[] } {
  const column = batch.column(path);
  const lacking = column.present?.indexOf(0) ?? -1;
  if (lacking >= 0) throw batch.missing(path, lacking);
  const level = column.level === "step" ? "step" : "turn";
  return { level, states: column.kind === "number" ? batch.cells(path) : column.values };
}

/**
 * One pool per (group, state): rows anywhere in a group whose cells are equal. A number and its text are two states;
 * rows without a state (null) are in no pool.
 * @param path a column of turns or steps.
 * @throws InputError when a rollout lacks the column, or a cell is neither text nor a number.
 */
export function poolByState(batch: Batch, path = "turns.state"): Pools {
  const { level, states } = statesOf(batch, path);
  return poolByKeys(batch, level, (row) => {
    const state = states[row];
    if (state === null || typeof state === "string" || typeof state === "number") return state;
    throw batch.wrongValue(path, row, "text or a number", describe(state));
  });
}

/**
 * One pool per (group, cluster of similar texts). Rows are taken in file order; a row joins the first cluster of its
 * group whose first member it resembles (`textSimilarity(row, first member) >= threshold`), else it opens one.
 * Rows without a state (null) are in no pool.
 * @param path a column of turns or steps.
 * @throws InputError when a rollout lacks the column, or a cell is not text.
 */
export function poolBySimilarState(batch: Batch, threshold: number, path = "turns.state"): Pools {
  const { level, states } = statesOf(batch, path);
  const firstMembers: string[][] = Array.from({ length: batch.groupCount }, () => []);
  // An equal text always joins the cluster that the one before it joined.
  const joined: Map<string, string>[] = Array.from({ length: batch.groupCount }, () => new Map());
  return poolByKeys(batch, level, (row, rollout) => {
    const state = states[row];
    if (state === null) return null;
    if (typeof state !== "string") throw batch.wrongValue(path, row, "text", describe(state));
    const group = batch.groupOf[rollout];
    let first = joined[group].get(state);
    if (first === undefined) {
      first = firstMembers[group].find((member) => isSimilarText(state, member, threshold));
      if (first === undefined) {
        first = state;
        firstMembers[group].push(state);
      }
      joined[group].set(state, first);
    }
    return first;
  });
}

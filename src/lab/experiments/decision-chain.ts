import type { Random } from "../random.ts";
import type { SoftmaxTable } from "../softmax-table.ts";

/** Logit of the right action (the others 0) with which all `decisions` are right with the chance `success`. */
export function logitOf(success: number, decisions: number, actions: number): number {
  const p = success ** (1 / decisions);
  return Math.log((p * (actions - 1)) / (1 - p));
}

/** Chance that all rows of some are right (action 0 is the right one everywhere). */
export function allRight(policy: SoftmaxTable, rows: readonly number[]): number {
  return rows.reduce((product, row) => product * policy.probability(row, 0), 1);
}

/**
 * Outcomes of `samples` fresh continuations: 1 when the rows still to come are all right, and so was everything so far.
 */
export function continuations(
  policy: SoftmaxTable,
  rows: readonly number[],
  soFar: boolean,
  samples: number,
  random: Random,
): number[] {
  return Array.from({ length: samples }, () => {
    let right = soFar;
    for (const row of rows) right = policy.sample(row, random) === 0 && right;
    return right ? 1 : 0;
  });
}

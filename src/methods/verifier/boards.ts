import { describe, InputError } from "../../rollouts/index.ts";

/** What an oracle says about one action: its reward, and the kind of action it was. */
export interface Verdict<Tier extends string> {
  reward: number;
  tier: Tier;
}

/**
 * Checks that a board is a rectangle with at least one cell and that every cell will do.
 * @param isCell whether a cell is legal; `expected` says what is.
 * @throws InputError naming the argument.
 */
export function checkedBoard<T>(
  rows: readonly (readonly T[])[],
  name: string,
  isCell: (cell: T) => boolean,
  expected: string,
): { height: number; width: number } {
  const height = rows.length;
  const width = rows[0]?.length ?? 0;
  if (width === 0) throw new InputError(`argument ${name} not valid`, { expected: "at least one cell", got: "none" });
  rows.forEach((row, r) => {
    if (row.length !== width) {
      throw new InputError(`row ${r} of ${name} has another length`, { expected: `${width}`, got: `${row.length}` });
    }
    const wrong = row.findIndex((cell) => !isCell(cell));
    if (wrong < 0) return;
    throw new InputError(`argument ${name}.${r}.${wrong} not valid`, { expected, got: describe(row[wrong]) });
  });
  return { height, width };
}

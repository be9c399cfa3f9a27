import { z } from "zod";
import { describe, InputError } from "../../rollouts/index.ts";
import { bit, count, functionArgs } from "../arguments.ts";
import { checkedBoard, type Verdict } from "./boards.ts";
import { minePosterior } from "./mine-posterior.ts";

const board = z.array(z.array(z.int().min(0).max(8).nullable()));
const posteriorArgs = z.object({ cells: board, mines: count });

/** Probabilities by row and column; null where the cell is open. */
function posteriorOf(cells: z.output<typeof board>, mines: number): (number | null)[][] {
  const { height, width } = checkedBoard(cells, "cells", () => true, "a cell");
  const values = minePosterior(cells.flat(), height, width, mines);
  return cells.map((row, r) => row.map((shown, c) => (shown === null ? values[r * width + c] : null)));
}

/**
 * Exact probability of a mine under each hidden cell (null or flagged cells are hidden) given the numbers shown and the
 * number of mines; null on open cells, 0 everywhere when no placement is consistent.
 */
export function minesweeperPosterior(args: z.input<typeof posteriorArgs>): (number | null)[][] {
  const { cells, mines } = functionArgs(posteriorArgs, args);
  return posteriorOf(cells, mines);
}

const mark = z.union([bit, z.boolean()]);
const rewardArgs = z.object({
  cells: board,
  mines: count,
  kind: z.enum(["reveal", "flag"]),
  row: z.number(),
  col: z.number(),
  /** Flags as a board of 0 and 1, or as a list of [row, column]. */
  flags: z.array(z.array(mark.or(count))).nullish(),
});

function flagsOf(given: z.output<typeof rewardArgs>["flags"], height: number, width: number): (at: number) => boolean {
  if (!given || given.length === 0) return () => false;
  if (given.length === height && given.every((row) => row.length === width)) {
    const flat = given.flat();
    return (at) => Boolean(flat[at]);
  }
  const flagged = new Set(
    given.map((pair) => {
      const [row, column] = pair;
      if (pair.length === 2 && typeof row === "number" && typeof column === "number") {
        if (row < height && column < width) return row * width + column;
      }
      const expected = `a board of ${height} × ${width}, or cells [row, column] on it`;
      throw new InputError("argument flags not valid", { expected, got: JSON.stringify(pair) ?? describe(pair) });
    }),
  );
  return (at) => flagged.has(at);
}

/** Distance within which a probability counts as 0, as 1, or as equal to another. */
const slack = 1e-9;

/**
 * Verdict on one action in Minesweeper from the exact probabilities. −2 `invalid`: outside, on an open cell, or revealing
 * a flagged one. Flag: +1 `certain_flag` on a sure mine that has none yet, else −1 `wrong_flag`. Reveal: +2 `safe_reveal`
 * on a sure non-mine; +1 `guess` on a cell of least probability when nothing hidden and unflagged is sure; else 0 `other`.
 */
export function minesweeperReward(
  args: z.input<typeof rewardArgs>,
): Verdict<"invalid" | "certain_flag" | "wrong_flag" | "safe_reveal" | "guess" | "other"> {
  const { cells, mines, kind, row, col, flags } = functionArgs(rewardArgs, args);
  const posterior = posteriorOf(cells, mines);
  const width = cells[0].length;
  const isFlagged = flagsOf(flags, cells.length, width);
  const own = posterior[row]?.[col] ?? null;
  if (own === null) return { reward: -2, tier: "invalid" };
  const flagged = isFlagged(row * width + col);
  if (kind === "flag") {
    return own > 1 - slack && !flagged ? { reward: 1, tier: "certain_flag" } : { reward: -1, tier: "wrong_flag" };
  }
  if (flagged) return { reward: -2, tier: "invalid" };
  if (own < slack) return { reward: 2, tier: "safe_reveal" };
  const free = posterior.flat().filter((p, at): p is number => p !== null && !isFlagged(at));
  const least = free.reduce((a, b) => Math.min(a, b), 1);
  const guess = least >= slack && least < 1 - slack && own - least <= slack;
  return guess ? { reward: 1, tier: "guess" } : { reward: 0, tier: "other" };
}

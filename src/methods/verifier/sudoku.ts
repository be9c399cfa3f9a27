import { z } from "zod";
import { InputError } from "../../rollouts/index.ts";
import { count, functionArgs } from "../arguments.ts";
import { checkedBoard, type Verdict } from "./boards.ts";

const grid = z.array(z.array(count));
const moveArgs = z.object({ board: grid, solution: grid, row: z.number(), col: z.number(), digit: z.number() });

/** Digits that stand in neither the row, the column nor the box of a cell. Boxes have the integer root of the size as side. */
function legalDigits(board: readonly (readonly number[])[], row: number, col: number): number {
  const size = board.length;
  const side = Math.floor(Math.sqrt(size));
  const taken = new Set<number>();
  for (let k = 0; k < size; k++) {
    taken.add(board[row][k]);
    taken.add(board[k][col]);
  }
  const top = row - (row % side);
  const left = col - (col % side);
  for (let r = top; r < Math.min(top + side, size); r++) {
    for (let c = left; c < Math.min(left + side, size); c++) taken.add(board[r][c]);
  }
  taken.delete(0);
  return size - taken.size;
}

/**
 * Verdict on one digit written into a Sudoku (0 = blank): −2 `invalid` outside or on a cell that is not blank, −1 `wrong`
 * when it is not the solution's digit, else +2 `forced` when the cell has one legal digit, +1 `mrv` when no blank has
 * fewer, +0.5 `legal` otherwise.
 * @throws InputError when board and solution are not squares of one size with digits from 0 (1) to it.
 */
export function sudokuMoveReward(
  args: z.input<typeof moveArgs>,
): Verdict<"invalid" | "wrong" | "forced" | "mrv" | "legal"> {
  const { board, solution, row, col, digit } = functionArgs(moveArgs, args);
  const size = board.length;
  for (const [name, rows, least] of [["board", board, 0] as const, ["solution", solution, 1] as const]) {
    const shape = checkedBoard(rows, name, (cell) => cell >= least && cell <= size, `a digit from ${least} to ${size}`);
    if (shape.height === size && shape.width === size) continue;
    const got = `${shape.height} × ${shape.width}`;
    throw new InputError(`argument ${name} not valid`, { expected: `${size} × ${size} cells`, got });
  }
  if (board[row]?.[col] !== 0) return { reward: -2, tier: "invalid" };
  if (digit !== solution[row][col]) return { reward: -1, tier: "wrong" };
  const own = legalDigits(board, row, col);
  if (own === 1) return { reward: 2, tier: "forced" };
  const fewest = board
    .flatMap((cells, r) => cells.map((cell, c) => (cell === 0 ? legalDigits(board, r, c) : size)))
    .reduce((a, b) => Math.min(a, b));
  return own === fewest ? { reward: 1, tier: "mrv" } : { reward: 0.5, tier: "legal" };
}

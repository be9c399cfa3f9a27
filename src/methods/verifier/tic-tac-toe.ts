import { z } from "zod";
import { InputError } from "../../rollouts/index.ts";
import { functionArgs } from "../arguments.ts";

const lines = [
  [0, 1, 2],
  [3, 4, 5],
  [6, 7, 8],
  [0, 3, 6],
  [1, 4, 7],
  [2, 5, 8],
  [0, 4, 8],
  [2, 4, 6],
] as const;

type Player = "X" | "O";

function hasLine(cells: readonly string[], player: Player): boolean {
  return lines.some((line) => line.every((at) => cells[at] === player));
}

const other = (player: Player): Player => (player === "X" ? "O" : "X");

/** Moves with the best value for the player to move, and that value: 1 win, 0 draw, −1 loss; depth does not matter. */
function best(cells: string[], player: Player, known: Map<string, number>): { moves: number[]; value: number } {
  if (hasLine(cells, player)) return { moves: [], value: 1 };
  if (hasLine(cells, other(player))) return { moves: [], value: -1 };
  let moves: number[] = [];
  let value = Number.NEGATIVE_INFINITY;
  for (let at = 0; at < cells.length; at++) {
    if (cells[at] !== ".") continue;
    cells[at] = player;
    const key = cells.join("");
    const reached = known.get(key) ?? -best(cells, other(player), known).value;
    known.set(key, reached);
    cells[at] = ".";
    if (reached > value) moves = [];
    if (reached >= value) moves.push(at);
    value = Math.max(value, reached);
  }
  return moves.length === 0 ? { moves, value: 0 } : { moves, value: value + 0 };
}

const movesArgs = z.object({
  board: z.union([z.string(), z.array(z.string())]),
  player: z.enum(["X", "O"]),
});

/**
 * Exact minimax on tic-tac-toe: all cells (0 to 8, row by row) whose choice has the best value for `player`, and that value
 * (win 1, draw 0, loss −1). No moves on a finished board.
 * @param args board: 9 characters X, O and . (empty).
 */
export function ticTacToeOptimalMoves(args: z.input<typeof movesArgs>): { moves: number[]; value: number } {
  const { board, player } = functionArgs(movesArgs, args);
  const cells = [...board];
  if (cells.length !== 9 || cells.some((cell) => cell !== "X" && cell !== "O" && cell !== ".")) {
    const got = JSON.stringify(board);
    throw new InputError("argument board not valid", { expected: "9 characters X, O or .", got });
  }
  return best(cells, player, new Map());
}

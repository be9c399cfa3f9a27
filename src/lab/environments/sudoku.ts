import { z } from "zod";
import { sudokuMoveReward } from "../../methods/verifier/sudoku.ts";
import type { Random } from "../random.ts";
import { callText } from "./calls.ts";
import { cellList, cellName, cellNames } from "./cells.ts";
import { defineEnvironment } from "./entry.ts";
import type { EnvironmentFacts, ToolCall } from "./environment.ts";
import { type Clock, type Rules, RulesEnvironment, taskPool } from "./rules.ts";

export interface SudokuState extends Clock {
  /** Number of the puzzle. */
  task: number;
  /** Cells row by row, 0 for a blank. */
  cells: readonly number[];
}

export interface SudokuPuzzle {
  cells: readonly number[];
  solution: readonly number[];
}

const facts: EnvironmentFacts = {
  id: "sudoku",
  title: "Sudoku",
  task: "Fill the blanks of a Sudoku, one digit a turn. Success if all digits are those of the only solution.",
  horizon: "blanks (6), or until a wrong digit",
  branching: "size³ (64); blanks · size of them at a time",
  observability: "full",
  decisive: "in every digit: a wrong one cannot be taken back",
  level: "turn",
  agents: ["agent"],
};

const params = z.object({
  size: z
    .union([z.literal(4), z.literal(9)], "4 or 9")
    .default(4)
    .describe("side of the board: 4 or 9"),
  blanks: z
    .int()
    .min(1)
    .max(45)
    .default(6)
    .describe("cells to be filled; fewer where the solution would not be the only one"),
  wrong: z
    .enum(["ends", "stays"])
    .default("ends")
    .describe("whether a wrong digit ends the episode or stays on the board"),
  reward: z
    .enum(["outcome", "oracle"])
    .default("outcome")
    .describe("outcome: 1 for the full board; oracle: verdict on each digit"),
  tasks: z.int().min(1).max(10_000).default(16).describe("number of different puzzles"),
  seed: z.int().default(0).describe("draws the puzzles"),
});
type Params = z.output<typeof params>;

function shuffled(count: number, random: Random): number[] {
  const all = Array.from({ length: count }, (_, k) => k);
  for (let k = count - 1; k > 0; k--) {
    const other = random.below(k + 1);
    [all[k], all[other]] = [all[other], all[k]];
  }
  return all;
}

/** Digits that may still stand in a cell, as a bit set. */
function open(cells: readonly number[], size: number, at: number): number {
  const side = Math.sqrt(size);
  const row = Math.floor(at / size);
  const column = at % size;
  let taken = 0;
  for (let k = 0; k < size; k++) {
    taken |= 1 << cells[row * size + k];
    taken |= 1 << cells[k * size + column];
    const boxRow = row - (row % side) + Math.floor(k / side);
    taken |= 1 << cells[boxRow * size + (column - (column % side)) + (k % side)];
  }
  return ~taken & (2 ** (size + 1) - 2);
}

const bits = (set: number) => {
  let count = 0;
  for (let rest = set; rest !== 0; rest &= rest - 1) count++;
  return count;
};

/** Number of solutions, counted up to `most`; the cell with the fewest digits is tried first. */
function solutions(cells: number[], size: number, most: number): number {
  let at = -1;
  let digits = 0;
  let fewest = size + 1;
  for (let k = 0; k < cells.length && fewest > 1; k++) {
    if (cells[k] !== 0) continue;
    const found = open(cells, size, k);
    const count = bits(found);
    if (count >= fewest) continue;
    [at, digits, fewest] = [k, found, count];
  }
  if (at < 0) return 1;
  let total = 0;
  for (let digit = 1; digit <= size && total < most; digit++) {
    if (((digits >> digit) & 1) === 0) continue;
    cells[at] = digit;
    total += solutions(cells, size, most - total);
    cells[at] = 0;
  }
  return total;
}

/**
 * A puzzle with one solution: a pattern with its digits, rows and columns shuffled, blanked cell by cell as long as the
 * solution stays the only one.
 */
export function drawSudoku(size: number, blanks: number, random: Random): SudokuPuzzle {
  const side = Math.sqrt(size);
  const lines = () => shuffled(side, random).flatMap((band) => shuffled(side, random).map((k) => band * side + k));
  const rows = lines();
  const columns = lines();
  const digits = shuffled(size, random);
  const solution = rows.flatMap((r) =>
    columns.map((c) => 1 + digits[((r % side) * side + Math.floor(r / side) + c) % size]),
  );
  const cells = [...solution];
  let left = blanks;
  for (const at of shuffled(cells.length, random)) {
    if (left === 0) break;
    cells[at] = 0;
    if (solutions([...cells], size, 2) === 1) left--;
    else cells[at] = solution[at];
  }
  return { cells, solution };
}

/** Rules of the task; `puzzle(task)` is what is to be solved. */
export function sudokuRules(given: Params): Rules<SudokuState> & { puzzle(task: number): SudokuPuzzle } {
  const { size, blanks, wrong, reward, tasks, seed } = given;
  const puzzle = taskPool(seed, (random) => drawSudoku(size, blanks, random));
  const grid = (cells: readonly number[]) =>
    Array.from({ length: size }, (_, r) => cells.slice(r * size, (r + 1) * size));
  const show = (cells: readonly number[]) =>
    grid(cells)
      .map((row) => row.map((digit) => (digit === 0 ? "." : digit)).join(" "))
      .join(" / ");
  const calls: ToolCall[] = Array.from({ length: size ** 3 }, (_, k) => ({
    name: "put",
    arguments: { cell: cellName(Math.floor(k / size), size), digit: 1 + (k % size) },
  }));
  const allActions = calls.map(callText);
  const numbers = new Map(allActions.map((action, k) => [action, k]));
  const judge = ({ task, cells }: SudokuState, action: string) => {
    const k = numbers.get(action);
    if (k === undefined) return -2;
    const at = Math.floor(k / size);
    const solution = grid(puzzle(task).solution);
    const place = { row: Math.floor(at / size), col: at % size, digit: 1 + (k % size) };
    return sudokuMoveReward({ board: grid(cells), solution, ...place }).reward;
  };
  const verify = ({ task, cells }: SudokuState) =>
    cells.every((digit, k) => digit === puzzle(task).solution[k]) ? 1 : 0;
  const about =
    "Fill the blanks so that no row, column or box holds a digit twice. Cells are a1, a2, ... row by row. Tool: put(CELL, DIGIT). The board:";
  return {
    facts,
    puzzle,
    horizon: blanks,
    tasks,
    starts: (task) => ({ count: 1, state: () => ({ turn: 0, done: false, task, cells: puzzle(task).cells }) }),
    prompt: ({ task }) => `${about} ${show(puzzle(task).cells)}`,
    calls,
    allActions,
    actions: ({ cells }) => allActions.filter((_, k) => cells[Math.floor(k / size)] === 0),
    view: ({ cells }) =>
      cellList(
        cells.map((digit) => (digit === 0 ? null : digit)),
        size,
      ),
    moves: (state, action) => {
      const k = numbers.get(action) ?? 0;
      const at = Math.floor(k / size);
      const digit = 1 + (k % size);
      const isRight = digit === puzzle(state.task).solution[at];
      const next = { ...state, cells: state.cells.with(at, digit) };
      const done = !next.cells.includes(0) || (!isRight && wrong === "ends");
      const end = verify(next) === 1 ? "Solved." : "Not solved.";
      const observation = done ? end : show(next.cells);
      return [
        { state: { ...next, done }, observation, reward: reward === "oracle" ? judge(state, action) : verify(next) },
      ];
    },
    wasted: "There is no such blank.",
    wastedReward: reward === "oracle" ? -2 : 0,
    late: "Time is up.",
    texts: () => [
      about,
      ". Solved. Not solved. / empty,",
      ...cellNames(size ** 2, size),
      ...Array.from({ length: size }, (_, k) => String(k + 1)),
    ],
    verify,
    judge,
    meta: ({ task }) => ({ task, puzzle: show(puzzle(task).cells), solution: show(puzzle(task).solution) }),
  };
}

/**
 * Sudoku of 4 × 4 or 9 × 9 with one solution; `put(CELL, DIGIT)`, cells by names such as `b3`.
 *
 * Horizon: the number of blanks (a wasted turn makes the puzzle impossible), or until a wrong digit. Branching: size³, those
 * on blanks at a time. Observability: full. The decisive choice lies in every digit. No chance. Verdicts are those of
 * `sudokuMoveReward`: -1 wrong, 0.5 legal, 1 in a cell with the fewest digits, 2 forced, -2 no such blank.
 */
export const sudoku = defineEnvironment({
  facts,
  params,
  small: { blanks: 4, tasks: 4 },
  make: (given) => new RulesEnvironment(sudokuRules(given)),
});

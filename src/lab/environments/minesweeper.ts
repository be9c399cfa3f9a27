import { z } from "zod";
import { minesweeperReward } from "../../methods/verifier/minesweeper.ts";
import { InputError } from "../../rollouts/index.ts";
import { callText } from "./calls.ts";
import { cellList, cellName, cellNames } from "./cells.ts";
import { choices, chosen } from "./combinations.ts";
import { defineEnvironment } from "./entry.ts";
import type { EnvironmentFacts, ToolCall } from "./environment.ts";
import { type Clock, type Rules, RulesEnvironment } from "./rules.ts";

export interface MinesweeperState extends Clock {
  /** Cells with a mine, in ascending order; hidden from the agent. */
  mines: readonly number[];
  /** Row by row: -2 flagged, -1 hidden, else the number of mines around. */
  cells: readonly number[];
  /** Whether a mine was revealed or a cell without one flagged. */
  lost: boolean;
}

const hidden = -1;
const flagged = -2;

const facts: EnvironmentFacts = {
  id: "minesweeper",
  title: "Minesweeper",
  task: "Reveal all cells without a mine; the first corner is open from the start. Revealing a mine or flagging another cell ends the episode.",
  horizon: "until won or lost, at most rows · columns (16)",
  branching: "2 · rows · columns (32); those on hidden cells at a time",
  observability: "partial: mines are hidden, numbers around open cells tell of them",
  decisive: "wherever nothing is sure: a guess there is luck, a guess elsewhere a fault",
  level: "turn",
  agents: ["agent"],
};

const params = z.object({
  rows: z.int().min(2).max(9).default(4).describe("rows of the board"),
  columns: z.int().min(2).max(9).default(4).describe("columns of the board"),
  mines: z.int().min(1).max(20).default(3).describe("mines, none of them in the first corner"),
  flags: z.boolean().default(true).describe("whether cells can be flagged"),
  reward: z
    .enum(["outcome", "oracle"])
    .default("outcome")
    .describe("outcome: 1 when won; oracle: verdict on each action"),
});
type Params = z.output<typeof params>;

/** Rules of the task. A task is a number in the first corner; all places of the mines that go with it are equally likely. */
export function minesweeperRules(given: Params): Rules<MinesweeperState> {
  const { rows, columns, mines: count, flags, reward } = given;
  const size = rows * columns;
  if (count > size - 2) {
    throw new InputError("parameter mines is not valid", { expected: `at most ${size - 2}`, got: `${count}` });
  }
  const around = Array.from({ length: size }, (_, at) =>
    Array.from({ length: size }, (_, other) => other).filter(
      (other) =>
        other !== at &&
        Math.abs(Math.floor(other / columns) - Math.floor(at / columns)) <= 1 &&
        Math.abs((other % columns) - (at % columns)) <= 1,
    ),
  );
  /** Opens a cell, and those around it where there is no mine near. */
  const opened = (cells: readonly number[], mines: readonly number[], first: number): number[] => {
    const next = [...cells];
    const queue = [first];
    for (let at = queue.pop(); at !== undefined; at = queue.pop()) {
      if (next[at] >= 0) continue;
      next[at] = around[at].filter((other) => mines.includes(other)).length;
      if (next[at] === 0) queue.push(...around[at].filter((other) => next[other] === hidden));
    }
    return next;
  };
  const isWon = ({ cells, lost }: MinesweeperState) =>
    !lost && cells.filter((shown) => shown >= 0).length === size - count;
  /** Cells that are neither the first corner nor next to it, and how many mines can be next to it. */
  const far = Array.from({ length: size }, (_, at) => at).filter((at) => at !== 0 && !around[0].includes(at));
  const least = Math.max(0, count - far.length);
  const most = Math.min(around[0].length, count);
  const opening = (near: number) => [near, ...new Array<number>(size - 1).fill(hidden)];
  const kinds = flags ? ["reveal", "flag"] : ["reveal"];
  const calls: ToolCall[] = kinds.flatMap((name) =>
    Array.from({ length: size }, (_, at) => ({
      name,
      arguments: { cell: cellName(at, columns) },
    })),
  );
  const allActions = calls.map(callText);
  const show = (cells: readonly number[]) =>
    Array.from({ length: rows }, (_, r) =>
      cells
        .slice(r * columns, (r + 1) * columns)
        .map((shown) => (shown === hidden ? "?" : shown === flagged ? "!" : shown))
        .join(" "),
    ).join(" / ");
  const judge = ({ cells }: MinesweeperState, action: string) => {
    const k = allActions.indexOf(action);
    if (k < 0) return -2;
    const at = k % size;
    const board = (cell: (shown: number) => number | null) =>
      Array.from({ length: rows }, (_, r) => cells.slice(r * columns, (r + 1) * columns).map(cell));
    return minesweeperReward({
      cells: board((shown) => (shown >= 0 ? shown : null)),
      flags: board((shown) => (shown === flagged ? 1 : 0)) as number[][],
      mines: count,
      kind: k < size ? "reveal" : "flag",
      row: Math.floor(at / columns),
      col: at % columns,
    }).reward;
  };
  const about = `There are ${count} mines. Tools: ${flags ? "reveal(CELL), flag(CELL)" : "reveal(CELL)"}. Cells are a1, a2, ... row by row. The board:`;
  return {
    facts,
    horizon: size,
    tasks: most - least + 1,
    starts: (task) => {
      const near = least + task;
      const ways = choices(around[0].length, near);
      return {
        count: ways * choices(far.length, count - near),
        state: (k) => {
          const mines = [
            ...chosen(around[0].length, near, k % ways).map((at) => around[0][at]),
            ...chosen(far.length, count - near, Math.floor(k / ways)).map((at) => far[at]),
          ].sort((a, b) => a - b);
          return { turn: 0, done: false, mines, cells: opening(near), lost: false };
        },
      };
    },
    prompt: ({ mines }) => `${about} ${show(opening(around[0].filter((at) => mines.includes(at)).length))}`,
    calls,
    allActions,
    actions: ({ cells }) => allActions.filter((_, k) => cells[k % size] === hidden),
    view: ({ cells }) =>
      cellList(
        cells.map((shown) => (shown === hidden ? null : shown === flagged ? "!" : shown)),
        columns,
      ),
    moves: (state, action) => {
      const k = allActions.indexOf(action);
      const at = k % size;
      const isMine = state.mines.includes(at);
      const isFlag = k >= size;
      const cells = isFlag
        ? state.cells.with(at, flagged)
        : isMine
          ? state.cells
          : opened(state.cells, state.mines, at);
      const next = { ...state, cells, lost: isMine !== isFlag };
      const won = isWon(next);
      const done = won || next.lost;
      const observation = won ? "All is clear." : next.lost ? (isFlag ? "There was no mine." : "A mine!") : show(cells);
      return [
        { state: { ...next, done }, observation, reward: reward === "oracle" ? judge(state, action) : won ? 1 : 0 },
      ];
    },
    wasted: "There is no such hidden cell.",
    wastedReward: reward === "oracle" ? -2 : 0,
    late: "Time is up.",
    texts: () => [
      about,
      ...cellNames(size, columns),
      "All is clear. There was no mine. A mine! / ? , !",
      ...["?", "!", ...Array.from({ length: 9 }, (_, k) => String(k))],
    ],
    verify: (state) => (isWon(state) ? 1 : 0),
    judge,
    meta: ({ mines }) => ({ mines: mines.map((at) => cellName(at, columns)) }),
  };
}

/**
 * Minesweeper on a small board whose first corner is open; `reveal(CELL)` and `flag(CELL)`, cells by names such
 * as `b3`. A
 * cell without mines around opens its neighbours too.
 *
 * Horizon: until won or lost, at most one turn per cell. Branching: two per cell, those on hidden cells at a time.
 * Observability: partial. The decisive choices lie where nothing is sure, or where something is and the agent guesses all
 * the same. Luck is in the places of the mines. Verdicts are those of `minesweeperReward`: 2 safe, 1 best guess or certain
 * flag, 0 another cell, -1 wrong flag, -2 no such hidden cell.
 */
export const minesweeper = defineEnvironment({
  facts,
  params,
  small: { rows: 3, columns: 3, mines: 2, flags: false },
  make: (given) => new RulesEnvironment(minesweeperRules(given)),
});

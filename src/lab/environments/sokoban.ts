import { z } from "zod";
import { sokobanMoveReward, sokobanOptimalActions } from "../../methods/verifier/sokoban.ts";
import { InputError } from "../../rollouts/index.ts";
import type { Random } from "../random.ts";
import { cellList, cellNames } from "./cells.ts";
import { defineEnvironment } from "./entry.ts";
import type { EnvironmentFacts } from "./environment.ts";
import { type Clock, type Rules, RulesEnvironment, taskPool } from "./rules.ts";

export interface SokobanState extends Clock {
  /** Number of the room. */
  task: number;
  /** Rows: # wall, space floor, . goal, $ box, * box on goal, @ player, + player on goal. */
  room: readonly string[];
}

const facts: EnvironmentFacts = {
  id: "sokoban",
  title: "Sokoban",
  task: "Push every box onto a goal; boxes cannot be pulled. Success if all boxes are on goals in time.",
  horizon: "until solved, at most turns (16)",
  branching: "4",
  observability: "full",
  decisive: "in the pushes: a box in a corner is lost, and the rest of the episode with it; plain steps only cost time",
  level: "turn",
  agents: ["agent"],
};

const params = z.object({
  width: z.int().min(3).max(8).default(4).describe("width of the floor within its walls"),
  height: z.int().min(3).max(8).default(4).describe("height of the floor within its walls"),
  boxes: z.int().min(1).max(3).default(1).describe("boxes, and goals"),
  walls: z.int().min(0).max(20).default(2).describe("blocks on the floor"),
  least_moves: z.int().min(1).max(20).default(4).describe("length of the shortest solution, at least"),
  turns: z.int().min(1).max(200).default(16).describe("moves of an episode"),
  reward: z
    .enum(["outcome", "oracle"])
    .default("outcome")
    .describe("outcome: 1 when solved; oracle: verdict on each move"),
  tasks: z.int().min(1).max(10_000).default(16).describe("number of different rooms"),
  seed: z.int().default(0).describe("draws the rooms"),
});
type Params = z.output<typeof params>;

const directions = ["up", "down", "left", "right"] as const;
const steps = [
  [-1, 0],
  [1, 0],
  [0, -1],
  [0, 1],
] as const;

/** Rooms that are tried before it is said that there are none. */
const mostTries = 20_000;

function drawRoom(given: Params, random: Random): readonly string[] {
  const { width, height, boxes, walls, least_moves, turns } = given;
  const size = width * height;
  const marks = ["@", ..."$".repeat(boxes), ...".".repeat(boxes), ..."#".repeat(walls)];
  for (let tried = 0; tried < mostTries && marks.length <= size; tried++) {
    const cells: string[] = new Array(size).fill(" ");
    for (const mark of marks) {
      let at = random.below(size);
      while (cells[at] !== " ") at = random.below(size);
      cells[at] = mark;
    }
    const inner = Array.from({ length: height }, (_, r) => `#${cells.slice(r * width, (r + 1) * width).join("")}#`);
    const room = ["#".repeat(width + 2), ...inner, "#".repeat(width + 2)];
    const { length } = sokobanOptimalActions({ room, max_depth: turns });
    if (length !== null && length >= least_moves) return room;
  }
  throw new InputError("no room was found for these parameters", {
    hint: "environment sokoban: more floor, more turns, fewer boxes or walls, or smaller least_moves",
  });
}

/** The room after a move; null where a wall or a second box blocks it. */
function pushed(room: readonly string[], direction: number): readonly string[] | null {
  const cells = room.map((row) => [...row]);
  const row = cells.findIndex((marks) => marks.includes("@") || marks.includes("+"));
  const column = cells[row].findIndex((mark) => mark === "@" || mark === "+");
  const [down, right] = steps[direction];
  const isGoal = (r: number, c: number) => ".*+".includes(cells[r][c]);
  const isBox = (r: number, c: number) => "$*".includes(cells[r][c]);
  const [r, c] = [row + down, column + right];
  if (cells[r][c] === "#") return null;
  if (isBox(r, c)) {
    const [beyondR, beyondC] = [r + down, c + right];
    if (cells[beyondR][beyondC] === "#" || isBox(beyondR, beyondC)) return null;
    cells[beyondR][beyondC] = isGoal(beyondR, beyondC) ? "*" : "$";
  }
  cells[r][c] = isGoal(r, c) ? "+" : "@";
  cells[row][column] = isGoal(row, column) ? "." : " ";
  return cells.map((marks) => marks.join(""));
}

const isSolved = (room: readonly string[]) => room.every((row) => !row.includes("$"));

/** Rows in words, a dash for the floor; the frame of walls is left out. */
function show(room: readonly string[]): string {
  const inner = room
    .slice(1, -1)
    .map((row) => [...row.slice(1, -1)].map((mark) => (mark === " " ? "-" : mark)).join(" "));
  return inner.join(" / ");
}

/** What is not plain floor, cell by cell. */
function listed(room: readonly string[]): string {
  const inner = room.slice(1, -1).map((row) => row.slice(1, -1));
  return cellList(
    [...inner.join("")].map((mark) => (mark === " " ? null : mark)),
    inner[0].length,
  );
}

/** Rules of the task; `room(task)` is where it starts. */
export function sokobanRules(given: Params): Rules<SokobanState> & { room(task: number): readonly string[] } {
  const { width, height, turns, reward, tasks, seed } = given;
  const room = taskPool(seed, (random) => drawRoom(given, random));
  const judge = (state: SokobanState, action: string) =>
    sokobanMoveReward({ room: [...state.room], action, max_depth: turns, timeout: state.turn + 1 >= turns }).reward;
  const about =
    "Push every box $ onto a goal . in this room: - is floor, # wall, @ you, * and + stand on a goal. Moves:";
  const left = (state: SokobanState) => `moves left: ${turns - state.turn}.`;
  return {
    facts,
    room,
    horizon: turns,
    tasks,
    starts: (task) => ({ count: 1, state: () => ({ turn: 0, done: false, task, room: room(task) }) }),
    prompt: ({ task }) => `${about} ${directions.join(", ")}. ${show(room(task))}`,
    allActions: directions,
    view: (state) => `${listed(state.room)}, ${left(state)}`,
    moves: (state, action) => {
      const after = pushed(state.room, directions.indexOf(action as (typeof directions)[number]));
      const next = { ...state, room: after ?? state.room };
      const done = isSolved(next.room);
      const observation = done ? "All boxes are on goals." : after === null ? "That way is blocked." : show(next.room);
      const earned = reward === "oracle" ? judge(state, action) : done ? 1 : 0;
      return [{ state: { ...next, done }, observation, reward: earned }];
    },
    wasted: "There is no such move.",
    wastedReward: reward === "oracle" ? -2 : 0,
    late: "Time is up.",
    texts: () => [
      `${about} ${directions.join(", ")}. All boxes are on goals. That way is blocked. / ,`,
      ...cellNames(width * height, width),
      ..."#-.$*@+",
      ...Array.from({ length: turns + 1 }, (_, k) => `moves left: ${k}.`),
    ],
    verify: (state) => (isSolved(state.room) ? 1 : 0),
    judge,
    meta: ({ task }) => {
      const { length } = sokobanOptimalActions({ room: [...room(task)], max_depth: turns });
      return { task, room: room(task), shortest: length };
    },
  };
}

/**
 * Sokoban in a small room with walls around it: `up`, `down`, `left`, `right`.
 *
 * Horizon: until solved, at most `turns`. Branching: 4. Observability: full. The decisive choices are pushes that cannot be
 * undone. No chance. Verdicts are those of `sokobanMoveReward`: 2 on a shortest way, 0 on another, -2 blocked, unsolvable or
 * too late.
 */
export const sokoban = defineEnvironment({
  facts,
  params,
  small: { tasks: 4, turns: 10, least_moves: 3 },
  make: (given) => new RulesEnvironment(sokobanRules(given)),
});

import { z } from "zod";
import { InputError } from "../../rollouts/index.ts";
import { count, functionArgs } from "../arguments.ts";
import type { Verdict } from "./boards.ts";

const directions = ["up", "down", "left", "right"] as const;
type Direction = (typeof directions)[number];

/** A room without what moves: walls, goals and the distance to the cell in each direction. */
interface Room {
  wall: Uint8Array;
  goal: Uint8Array;
  steps: readonly number[];
}

/** Where the player and the boxes stand; boxes in increasing order. */
interface Position {
  player: number;
  boxes: readonly number[];
}

/** Reads a room; a frame of walls is put around it, so that its edge need not be looked at. */
function parseRoom(rows: readonly string[]): { room: Room; start: Position } {
  const lines = rows.map((row) => [...row]);
  const width = lines.reduce((most, row) => Math.max(most, row.length), 0) + 2;
  const wall = new Uint8Array(width * (lines.length + 2)).fill(1);
  const goal = new Uint8Array(wall.length);
  const boxes: number[] = [];
  const players: number[] = [];
  lines.forEach((row, r) => {
    row.forEach((mark, c) => {
      if (!"# .$*@+".includes(mark)) {
        const expected = "the characters # space . $ * @ +";
        throw new InputError(`argument room.${r} not valid`, { expected, got: JSON.stringify(mark) });
      }
      const at = (r + 1) * width + c + 1;
      if (mark !== "#") wall[at] = 0;
      if (mark === "." || mark === "*" || mark === "+") goal[at] = 1;
      if (mark === "$" || mark === "*") boxes.push(at);
      if (mark === "@" || mark === "+") players.push(at);
    });
  });
  if (players.length !== 1) {
    throw new InputError("argument room not valid", { expected: "one player (@ or +)", got: `${players.length}` });
  }
  return { room: { wall, goal, steps: [-width, width, -1, 1] }, start: { player: players[0], boxes } };
}

/** The position after a move, `null` where a wall or a second box blocks it. */
function moved({ wall, steps }: Room, { player, boxes }: Position, direction: number): Position | null {
  const step = steps[direction];
  const to = player + step;
  if (wall[to] === 1) return null;
  const box = boxes.indexOf(to);
  if (box < 0) return { player: to, boxes };
  const beyond = to + step;
  if (wall[beyond] === 1 || boxes.includes(beyond)) return null;
  const pushed = boxes.map((at, b) => (b === box ? beyond : at)).sort((a, b) => a - b);
  return { player: to, boxes: pushed };
}

const isSolved = ({ goal }: Room, { boxes }: Position) => boxes.every((at) => goal[at] === 1);
const keyOf = ({ player, boxes }: Position) => `${player} ${boxes.join(" ")}`;

/**
 * Length of the shortest solutions and the first moves that start one, by breadth-first search over positions; each
 * position of a layer carries a bit per first move that reaches it in the least number of moves.
 * @returns length `null` when nothing within `maxDepth` moves solves the room.
 */
function shortest(room: Room, start: Position, maxDepth: number): { first: number; length: number | null } {
  if (isSolved(room, start)) return { first: 0, length: 0 };
  const seen = new Set([keyOf(start)]);
  let layer: { position: Position; first: number }[] = [{ position: start, first: 0 }];
  for (let depth = 1; depth <= maxDepth && layer.length > 0; depth++) {
    const next = new Map<string, { position: Position; first: number }>();
    let solved = 0;
    for (const { position, first } of layer) {
      for (let d = 0; d < directions.length; d++) {
        const position2 = moved(room, position, d);
        if (position2 === null) continue;
        const key = keyOf(position2);
        if (seen.has(key)) continue;
        const bits = depth === 1 ? 1 << d : first;
        const known = next.get(key);
        if (known === undefined) next.set(key, { position: position2, first: bits });
        else known.first |= bits;
        if (isSolved(room, position2)) solved |= bits;
      }
    }
    if (solved !== 0) return { first: solved, length: depth };
    for (const key of next.keys()) seen.add(key);
    layer = [...next.values()];
  }
  return { first: 0, length: null };
}

const namesOf = (bits: number) => directions.filter((_, d) => (bits >> d) & 1);

const roomRows = z.array(z.string()).min(1);
const maxDepth = count.default(25);
const actionsArgs = z.object({ room: roomRows, max_depth: maxDepth });

/**
 * Moves (in the order up, down, left, right) that start some shortest solution of a Sokoban room, and the length of that
 * solution in moves. Solved already: no moves, 0; not solvable within `max_depth` moves: no moves, null.
 * @param args room: one text per row with # wall, space floor, . goal, $ box, * box on goal, @ player, + player on goal.
 * @throws InputError on other characters, and unless there is exactly one player.
 */
export function sokobanOptimalActions(args: z.input<typeof actionsArgs>): {
  actions: Direction[];
  length: number | null;
} {
  const { room: rows, max_depth } = functionArgs(actionsArgs, args);
  const { room, start } = parseRoom(rows);
  const { first, length } = shortest(room, start, max_depth);
  return { actions: namesOf(first), length };
}

const rewardArgs = z.object({
  room: roomRows,
  /** A direction; anything else is a move that could not be read. */
  action: z.string().nullable(),
  max_depth: maxDepth,
  /** Whether the episode runs out of steps with this move. */
  timeout: z.boolean().default(false),
});

/**
 * Verdict on one move in Sokoban: +2 `optimal` when it starts a shortest solution, 0 `effective` otherwise; −2 `invalid`
 * when it could not be read or is blocked, −2 `unsolvable` when no way of any length leads on from it to a solution, and
 * −2 `timeout` when the episode ends with it unsolved, whatever the move was.
 */
export function sokobanMoveReward(
  args: z.input<typeof rewardArgs>,
): Verdict<"optimal" | "effective" | "invalid" | "unsolvable" | "timeout"> {
  const { room: rows, action, max_depth, timeout } = functionArgs(rewardArgs, args);
  const { room, start } = parseRoom(rows);
  const direction = directions.indexOf(action as Direction);
  const after = direction < 0 ? null : moved(room, start, direction);
  if (after === null) return { reward: -2, tier: "invalid" };
  if (timeout && !isSolved(room, after)) return { reward: -2, tier: "timeout" };
  const { first } = shortest(room, start, max_depth);
  if ((first >> direction) & 1) return { reward: 2, tier: "optimal" };
  const { length } = shortest(room, after, Number.POSITIVE_INFINITY);
  return length === null ? { reward: -2, tier: "unsolvable" } : { reward: 0, tier: "effective" };
}

import fc from "fast-check";
import { expect, test } from "vitest";
import { minesweeperPosterior, minesweeperReward } from "../../src/methods/verifier/minesweeper.ts";
import { sokobanMoveReward, sokobanOptimalActions } from "../../src/methods/verifier/sokoban.ts";
import { sudokuMoveReward } from "../../src/methods/verifier/sudoku.ts";
import { ticTacToeOptimalMoves } from "../../src/methods/verifier/tic-tac-toe.ts";
import { InputError } from "../../src/rollouts/index.ts";
import { credit } from "./credit.ts";

type Board = (number | null)[][];

function around(height: number, width: number, r: number, c: number): [number, number][] {
  const found: [number, number][] = [];
  for (let y = r - 1; y <= r + 1; y++) {
    for (let x = c - 1; x <= c + 1; x++) {
      if ((y !== r || x !== c) && y >= 0 && x >= 0 && y < height && x < width) found.push([y, x]);
    }
  }
  return found;
}

/** Every placement of the mines, one after another. */
function enumerated(cells: Board, mines: number): Board {
  const [height, width] = [cells.length, cells[0].length];
  const hidden = cells.flatMap((row, r) => row.flatMap((shown, c) => (shown === null ? [[r, c] as const] : [])));
  const counts = new Map<string, number>();
  let placements = 0;
  for (let bits = 0; bits < 2 ** hidden.length; bits++) {
    const mined = new Set(hidden.filter((_, k) => (bits >> k) & 1).map(String));
    if (mined.size !== mines) continue;
    const consistent = cells.every((row, r) =>
      row.every((shown, c) => {
        return shown === null || around(height, width, r, c).filter((at) => mined.has(String(at))).length === shown;
      }),
    );
    if (!consistent) continue;
    placements++;
    for (const at of mined) counts.set(at, (counts.get(at) ?? 0) + 1);
  }
  return cells.map((row, r) =>
    row.map((shown, c) => (shown === null ? (counts.get(String([r, c])) ?? 0) / Math.max(placements, 1) : null)),
  );
}

const boards = fc
  .record({
    height: fc.integer({ min: 1, max: 3 }),
    width: fc.integer({ min: 1, max: 4 }),
    cells: fc.array(fc.tuple(fc.boolean(), fc.boolean()), { minLength: 12, maxLength: 12 }),
    wrong: fc.constantFrom(0, 0, 0, 1),
  })
  .map(({ height, width, cells, wrong }) => {
    const mined = (r: number, c: number) => cells[r * width + c][0];
    let mines = wrong;
    const shown: Board = Array.from({ length: height }, (_, r) =>
      Array.from({ length: width }, (_, c) => {
        if (mined(r, c)) mines++;
        if (mined(r, c) || cells[r * width + c][1]) return null;
        return around(height, width, r, c).filter(([y, x]) => mined(y, x)).length;
      }),
    );
    return { shown, mines };
  });

test("the mine posterior is that of counting every placement", () => {
  fc.assert(
    fc.property(boards, ({ shown, mines }) => {
      const exact = enumerated(shown, mines);
      minesweeperPosterior({ cells: shown, mines }).forEach((row, r) => {
        row.forEach((p, c) => {
          const expected = exact[r][c];
          if (expected === null) expect(p).toBeNull();
          else expect(p).toBeCloseTo(expected, 9);
        });
      });
    }),
    { numRuns: 150 },
  );
});

test("a large open board is solved in parts, and its probabilities sum to the mines", () => {
  const cells: Board = Array.from({ length: 16 }, (_, r) =>
    Array.from({ length: 30 }, (_, c) => (r % 5 === 2 && c % 5 === 2 ? 1 : null)),
  );
  const posterior = minesweeperPosterior({ cells, mines: 99 });
  const sum = posterior.flat().reduce<number>((a, p) => a + (p ?? 0), 0);
  expect(sum).toBeCloseTo(99, 6);
});

test("Minesweeper verdicts", () => {
  // The two cells below the 1s hold one mine: the middle column is safe on neither side.
  const cells = [
    [0, 1, null],
    [0, 1, null],
  ];
  const ask = (kind: "reveal" | "flag", row: number, col: number, flags: number[][] | null = null) =>
    minesweeperReward({ cells, mines: 1, kind, row, col, flags }).tier;
  expect(ask("reveal", 0, 2)).toBe("guess");
  expect(ask("flag", 0, 2)).toBe("wrong_flag");
  expect(ask("reveal", 0, 0)).toBe("invalid");
  expect(ask("reveal", 5, 0)).toBe("invalid");
  expect(ask("reveal", 0, 2, [[0, 2]])).toBe("invalid");
  const sure = [
    [1, null, null],
    [1, 2, null],
    [0, 1, 1],
  ];
  // The 1 in the first corner touches a single hidden cell: that is the mine, and the 1 at the far end finds the other.
  const verdict = (kind: "reveal" | "flag", row: number, col: number, flags: number[][] = []) =>
    minesweeperReward({ cells: sure, mines: 2, kind, row, col, flags });
  expect(verdict("flag", 0, 1)).toEqual({ reward: 1, tier: "certain_flag" });
  expect(verdict("flag", 0, 1, [[0, 1]])).toEqual({ reward: -1, tier: "wrong_flag" });
  expect(verdict("reveal", 0, 2)).toEqual({ reward: 2, tier: "safe_reveal" });
  expect(verdict("reveal", 1, 2)).toEqual({ reward: 0, tier: "other" });
  expect(() => minesweeperReward({ cells, mines: 1, kind: "flag", row: 0, col: 0, flags: [[9, 9]] })).toThrow(
    InputError,
  );
});

const solution = [
  [1, 2, 3, 4],
  [3, 4, 1, 2],
  [2, 1, 4, 3],
  [4, 3, 2, 1],
];

test("Sudoku verdicts", () => {
  const empty = solution.map((row) => row.map(() => 0));
  const half = [[1, 0, 0, 0], ...empty.slice(1)];
  const ask = (board: number[][], row: number, col: number, digit: number) =>
    sudokuMoveReward({ board, solution, row, col, digit });
  expect(ask(half, 0, 1, 2)).toEqual({ reward: 1, tier: "mrv" });
  expect(ask(half, 3, 3, 1)).toEqual({ reward: 0.5, tier: "legal" });
  expect(ask(half, 0, 1, 3)).toEqual({ reward: -1, tier: "wrong" });
  expect(ask(half, 0, 0, 1)).toEqual({ reward: -2, tier: "invalid" });
  expect(ask(half, -1, 4, 1)).toEqual({ reward: -2, tier: "invalid" });
  expect(() => ask([[0, 0]], 0, 0, 1)).toThrow(InputError);
});

test("a Sokoban move is optimal exactly when it leaves one move less to the solution", () => {
  const room = fc.array(
    fc.array(fc.constantFrom<string>(" ", " ", " ", "#", ".", "$", "*"), { minLength: 4, maxLength: 4 }),
    {
      minLength: 3,
      maxLength: 4,
    },
  );
  fc.assert(
    fc.property(room, fc.nat(3), fc.nat(2), (cells, x, y) => {
      cells[y][x] = "@";
      const lengthOf = (rows: string[][]) => sokobanOptimalActions({ room: rows.map((row) => row.join("")) }).length;
      const { actions, length } = sokobanOptimalActions({ room: cells.map((row) => row.join("")) });
      const steps = { up: [-1, 0], down: [1, 0], left: [0, -1], right: [0, 1] } as const;
      for (const [name, [dy, dx]] of Object.entries(steps)) {
        const after = pushed(cells, y, x, dy, dx);
        const optimal = after !== null && length !== null && length > 0 && lengthOf(after) === length - 1;
        expect(actions.includes(name as "up"), name).toBe(optimal);
      }
    }),
    { numRuns: 60 },
  );
});

/** The room after a step, `null` when it is blocked: written on the characters themselves. */
function pushed(cells: string[][], y: number, x: number, dy: number, dx: number): string[][] | null {
  const rows = cells.map((row) => [...row]);
  const at = (k: number) => rows[y + k * dy]?.[x + k * dx] ?? "#";
  const put = (k: number, mark: string) => {
    rows[y + k * dy][x + k * dx] = mark;
  };
  if (at(1) === "#") return null;
  if (at(1) === "$" || at(1) === "*") {
    if (at(2) !== " " && at(2) !== ".") return null;
    put(2, at(2) === "." ? "*" : "$");
    put(1, at(1) === "*" ? "." : " ");
  }
  put(1, at(1) === "." ? "+" : "@");
  put(0, " ");
  return rows;
}

test("Sokoban verdicts", () => {
  const room = ["######", "#@   #", "#    #", "#  $.#", "#    #", "######"];
  const ask = (action: string | null, timeout = false) => sokobanMoveReward({ room, action, timeout }).tier;
  expect(["down", "right", "up", "jump", null].map((a) => ask(a))).toEqual([
    "optimal",
    "optimal",
    "invalid",
    "invalid",
    "invalid",
  ]);
  expect(ask("down", true)).toBe("timeout");
  const corner = ["#####", "#@$ #", "# . #", "#####"];
  expect(sokobanMoveReward({ room: corner, action: "right" })).toEqual({ reward: -2, tier: "unsolvable" });
  expect(sokobanOptimalActions({ room: ["@*"] })).toEqual({ actions: [], length: 0 });
  expect(() => sokobanOptimalActions({ room: ["#.#"] })).toThrow(InputError);
});

test("tic-tac-toe: the empty board is a draw, a row is completed, a fork is lost", () => {
  expect(ticTacToeOptimalMoves({ board: ".........", player: "X" })).toEqual({
    moves: [0, 1, 2, 3, 4, 5, 6, 7, 8],
    value: 0,
  });
  expect(ticTacToeOptimalMoves({ board: "XX.OO....", player: "X" })).toEqual({ moves: [2], value: 1 });
  expect(ticTacToeOptimalMoves({ board: "X........", player: "O" })).toEqual({ moves: [4], value: 0 });
  expect(ticTacToeOptimalMoves({ board: "XXXOO....", player: "O" })).toEqual({ moves: [], value: -1 });
  expect(() => ticTacToeOptimalMoves({ board: "X", player: "X" })).toThrow(InputError);
});

test("padding and turns without a verdict neither train nor enter the statistics", () => {
  const turns = (reward: (number | null)[]) => ({ reward });
  const rollouts = [
    { id: "a", turns: turns([1, null]) },
    { id: "b", turns: turns([0, 0]) },
    { id: "c", signals: { padding: 1 }, turns: turns([9, 9]) },
  ];
  const p = { min_group_size: 1 };
  expect(credit("vpr", rollouts, p, "turns.weight")).toEqual([1, 0, 1, 1, 0, 0]);
  const advantage = credit("vpr", rollouts, p, "turns.advantage");
  expect(advantage[0]).toBeCloseTo(1, 6);
  expect(advantage[2]).toBeCloseTo(-1, 6);
  expect([1, 3, 4, 5].map((k) => advantage[k])).toEqual([0, 0, 0, 0]);
});

import { expect, test } from "vitest";
import { choices, chosen } from "../../src/lab/environments/combinations.ts";
import type { Environment, ExactEnvironment } from "../../src/lab/environments/environment.ts";
import type { MinesweeperState } from "../../src/lab/environments/minesweeper.ts";
import { makeEnvironment } from "../../src/lab/environments/registry.ts";
import { drawSudoku } from "../../src/lab/environments/sudoku.ts";
import { exactModel } from "../../src/lab/exact/model.ts";
import { optimum } from "../../src/lab/exact/values.ts";
import { Random } from "../../src/lab/random.ts";
import { minesweeperPosterior } from "../../src/methods/verifier/minesweeper.ts";
import { sokobanOptimalActions } from "../../src/methods/verifier/sokoban.ts";

const exact = (id: string, params: Record<string, unknown> = {}) => makeEnvironment(id, params) as ExactEnvironment;
const stateOf = <T>(environment: Environment) => (environment.snapshot() as { state: T }).state;
const metaOf = (environment: Environment) => environment.meta?.() ?? {};

/** Solutions of a Sudoku by trying every digit in every blank, in order. */
function solve(cells: number[], size: number): number[][] {
  const at = cells.indexOf(0);
  if (at < 0) return [[...cells]];
  const side = Math.sqrt(size);
  const box = (k: number) => Math.floor(k / size / side) * side + Math.floor((k % size) / side);
  const found: number[][] = [];
  for (let digit = 1; digit <= size; digit++) {
    const clash = cells.some(
      (other, k) =>
        other === digit &&
        (k % size === at % size || Math.floor(k / size) === Math.floor(at / size) || box(k) === box(at)),
    );
    if (clash) continue;
    cells[at] = digit;
    found.push(...solve(cells, size));
    cells[at] = 0;
  }
  return found;
}

test("every Sudoku has the one solution it is said to have", () => {
  for (let seed = 0; seed < 30; seed++) {
    const { cells, solution } = drawSudoku(4, 9, new Random(seed));
    expect(solve([...cells], 4)).toEqual([solution]);
  }
  const { cells, solution } = drawSudoku(9, 40, new Random(1));
  expect(cells.filter((cell) => cell === 0).length).toBe(40);
  expect(solve([...cells], 9)).toEqual([solution]);
});

test("combinations are numbered without gaps", () => {
  for (const [count, many] of [
    [6, 0],
    [6, 2],
    [7, 4],
    [5, 5],
  ]) {
    const all = Array.from({ length: choices(count, many) }, (_, k) => chosen(count, many, k).join());
    expect(new Set(all).size).toBe(all.length);
    for (const members of all.filter((text) => text !== "")) {
      const numbers = members.split(",").map(Number);
      expect(numbers.length).toBe(many);
      expect(numbers.every((n, k) => n < count && (k === 0 || n > numbers[k - 1]))).toBe(true);
    }
  }
  expect(choices(40, 20)).toBe(137846528820);
});

test("boards of Minesweeper agree with the posterior: no sure cell ever holds the other thing", () => {
  const environment = makeEnvironment("minesweeper", { rows: 3, columns: 4, mines: 3 });
  const random = new Random(3);
  for (let seed = 0; seed < 60; seed++) {
    environment.reset(seed);
    for (let done = false; !done; ) {
      const { cells, mines } = stateOf<MinesweeperState>(environment);
      const rows = [0, 1, 2].map((r) => cells.slice(4 * r, 4 * r + 4).map((shown) => (shown >= 0 ? shown : null)));
      const posterior = minesweeperPosterior({ cells: rows, mines: 3 }).flat();
      posterior.forEach((p, at) => {
        if (p === null) expect(mines).not.toContain(at);
        if (p === 0) expect(mines).not.toContain(at);
        if (p === 1) expect(mines).toContain(at);
      });
      const actions = environment.actions();
      ({ done } = environment.step(actions[random.below(actions.length)]));
    }
  }
});

test("the first move of Minesweeper is as sure as the posterior says", () => {
  const environment = exact("minesweeper", { rows: 3, columns: 3, mines: 2 });
  let chance = 0;
  let total = 0;
  for (const { probability, snapshot } of environment.starts()) {
    const { state } = snapshot as { state: MinesweeperState };
    if (state.cells[0] !== 1) continue;
    total += probability;
    if (state.mines.includes(8)) chance += probability;
  }
  const cells = [
    [1, null, null],
    [null, null, null],
    [null, null, null],
  ];
  expect(chance / total).toBeCloseTo(minesweeperPosterior({ cells, mines: 2 })[2][2] as number, 12);
});

test("a board that cannot hold its mines is refused", () => {
  expect(() => makeEnvironment("minesweeper", { rows: 2, columns: 2, mines: 3 })).toThrow("expected at most 2, got 3");
});

test("moves in Sokoban shorten the way by one where the oracle says so", () => {
  const environment = makeEnvironment("sokoban", { boxes: 2, tasks: 4, turns: 25 });
  for (let task = 0; task < 4; task++) {
    environment.reset(1, task);
    let { length } = sokobanOptimalActions({ room: [...stateOf<{ room: string[] }>(environment).room] });
    expect(length).toBe(metaOf(environment).shortest);
    for (let done = false; !done; ) {
      const { room } = stateOf<{ room: string[] }>(environment);
      const { actions } = sokobanOptimalActions({ room: [...room] });
      ({ done } = environment.step(actions[actions.length - 1]));
      const after = sokobanOptimalActions({ room: [...stateOf<{ room: string[] }>(environment).room] }).length;
      expect(after).toBe((length as number) - 1);
      length = after;
    }
    expect(environment.verify()).toBe(1);
  }
  expect(() => makeEnvironment("sokoban", { width: 3, height: 3, boxes: 3, walls: 6 })).toThrow("no room was found");
});

test("against a perfect opponent tic-tac-toe is a draw at best, against a random one nearly a win", () => {
  const best = (skill: number, first: boolean) => {
    const model = exactModel(exact("tic-tac-toe", { skill, first }));
    return optimum(model).value;
  };
  expect(best(1, true)).toBeCloseTo(0.5, 12);
  expect(best(1, false)).toBeCloseTo(0.5, 12);
  expect(best(0, true)).toBeGreaterThan(0.99);
});

test("under the oracle a wasted turn of a puzzle costs what an invalid move costs", () => {
  for (const id of ["minesweeper", "sokoban", "sudoku"]) {
    const paid = ["oracle", "outcome"].map((reward) => {
      const environment = makeEnvironment(id, { reward });
      environment.reset(1);
      expect(environment.judge?.("nonsense")).toBe(-2);
      return environment.step("nonsense").reward;
    });
    expect(paid).toEqual([-2, 0]);
  }
});

test("under the oracle the rewards of a puzzle are its verdicts", () => {
  for (const id of ["minesweeper", "sokoban", "sudoku", "tic-tac-toe"]) {
    const environment = makeEnvironment(id, { reward: "oracle" });
    const random = new Random(4);
    for (let seed = 0; seed < 5; seed++) {
      environment.reset(seed);
      for (let done = false; !done; ) {
        const actions = environment.actions();
        const action = actions[random.below(actions.length)];
        const verdict = environment.judge?.(action);
        const result = environment.step(action);
        expect(result.reward).toBe(verdict);
        ({ done } = result);
      }
    }
  }
});

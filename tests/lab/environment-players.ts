import { cellName } from "../../src/lab/environments/cells.ts";
import type { Environment } from "../../src/lab/environments/environment.ts";
import type { MinesweeperState } from "../../src/lab/environments/minesweeper.ts";
import type { OrchestratorState } from "../../src/lab/environments/orchestrator.ts";

type Player = (environment: Environment) => string;

/** The action with the best verdict. */
const judged: Player = (environment) => {
  const judge = environment.judge;
  if (judge === undefined) throw new Error("there are no verdicts");
  const actions = environment.actions();
  const verdicts = actions.map((action) => judge(action));
  return actions[verdicts.indexOf(Math.max(...verdicts))];
};

/** Looks for a way on to success by trying every action on copies, a few steps deep. */
const planned =
  (depth: number): Player =>
  (environment) => {
    const best = (left: number): { action: string; value: number } => {
      const here = environment.snapshot();
      let found = { action: environment.actions()[0], value: -1 };
      for (const action of environment.actions()) {
        const { done } = environment.step(action);
        const value = done || left === 1 ? environment.verify() : best(left - 1).value;
        environment.restore(here);
        if (value > found.value) found = { action, value };
        if (value === 1) break;
      }
      return found;
    };
    return best(depth).action;
  };

/** Reveals cells that hold no mine. */
const seer: Player = (environment) => {
  const { state } = environment.snapshot() as { state: MinesweeperState };
  const columns = Math.sqrt(state.cells.length);
  const at = state.cells.findIndex((shown, k) => shown < 0 && !state.mines.includes(k));
  return `reveal(${cellName(at, columns)})`;
};

/** Gives every part to the one who knows it best. */
const leader: Player = (environment) => {
  const { state } = environment.snapshot() as { state: OrchestratorState };
  if (state.at !== null) return "careful()";
  if (state.workers < state.parts.length && state.workers < environment.facts.agents.length - 1) return "spawn()";
  const part = state.parts.indexOf("open");
  if (part >= 0) return `delegate(${1 + Math.min(part, state.workers - 1)}, ${part + 1})`;
  return state.result === null ? "aggregate()" : "stop()";
};

/** One player per environment that does what leads to the best outcome. It may see what the agent does not. */
export const players: Readonly<Record<string, Player>> = {
  arithmetic: judged,
  bifurcation: planned(8),
  chain: judged,
  "key-door": planned(3),
  minesweeper: seer,
  orchestrator: leader,
  preference: judged,
  search: judged,
  sokoban: judged,
  sudoku: judged,
  "tic-tac-toe": judged,
  "tool-calls": judged,
};

/** Episodes out of 20 that these players win at least; where chance takes part it is fewer than all. */
export const wins: Readonly<Record<string, number>> = {
  bifurcation: 10,
  orchestrator: 12,
  "tic-tac-toe": 10,
};

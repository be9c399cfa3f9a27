import { InputError } from "../../rollouts/index.ts";
import { arithmetic } from "./arithmetic.ts";
import { bifurcation } from "./bifurcation.ts";
import { chain } from "./chain.ts";
import type { EnvironmentEntry } from "./entry.ts";
import type { Environment } from "./environment.ts";
import { keyDoor } from "./key-door.ts";
import { minesweeper } from "./minesweeper.ts";
import { orchestrator } from "./orchestrator.ts";
import { preference } from "./preference.ts";
import { search } from "./search.ts";
import { sokoban } from "./sokoban.ts";
import { sudoku } from "./sudoku.ts";
import { ticTacToe } from "./tic-tac-toe.ts";
import { toolCalls } from "./tool-calls.ts";

/** Environments by their id. */
export const environments: Readonly<Record<string, EnvironmentEntry>> = Object.fromEntries(
  [
    arithmetic,
    bifurcation,
    chain,
    keyDoor,
    minesweeper,
    orchestrator,
    preference,
    search,
    sokoban,
    sudoku,
    ticTacToe,
    toolCalls,
  ].map((entry) => [entry.facts.id, entry]),
);

/**
 * An environment by its id.
 * @throws InputError for an unknown environment or parameter, naming those that there are.
 */
export function makeEnvironment(id: string, params: Readonly<Record<string, unknown>> = {}): Environment {
  if (!Object.hasOwn(environments, id)) {
    throw new InputError(`unknown environment ${JSON.stringify(id)}`, {
      expected: `one of ${Object.keys(environments).join(", ")}`,
    });
  }
  return environments[id].make(params);
}

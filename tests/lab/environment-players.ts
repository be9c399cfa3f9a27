import type { Environment } from "../../src/lab/environments/environment.ts";

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

/** One player per environment that does what leads to the best outcome. It may see what the agent does not. */
export const players: Readonly<Record<string, Player>> = {
  bifurcation: planned(8),
  chain: judged,
  "key-door": planned(3),
};

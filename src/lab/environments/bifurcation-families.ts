import type { BifurcationStep, BifurcationTask } from "../../mechanisms/bifurcation.ts";
import { InputError } from "../../rollouts/index.ts";
import type { Random } from "../random.ts";

/** Families of tasks whose credit is known exactly; each makes something else hard. */
export const bifurcationFamilies = {
  "single-gate": "one step decides, at a random place",
  "and-gates": "several steps decide, and all of them have to be right",
  "gate-repair": "a wrong step can be made good within a few steps",
  "early-gate": "the first step decides, so its credit comes late",
  "late-gate": "the last step decides, so all the steps before it get none",
  noisy: "several steps decide, and chance throws episodes off the track",
  decoy: "one step decides; at all the others many actions do nothing",
} as const;
export type BifurcationFamily = keyof typeof bifurcationFamilies;

export interface FamilyOptions {
  /** Steps H. Default 16. */
  horizon?: number;
  /** Actions K. Default 2, of `decoy` 32. */
  actions?: number;
  /** Actions that are right at a gate or repair. Default: half of them, at least one. */
  right?: number;
  /** Gates of `and-gates` and `noisy`. Default 2. */
  gates?: number;
  /** Steps behind the gate of `gate-repair` among which the repair lies. Default 4. */
  window?: number;
  /** Default 0, of `noisy` 0.05. */
  slip?: number;
  rho?: number;
  pOn?: number;
  pOff?: number;
}

/** Different whole numbers below `count`, in ascending order. */
function distinct(random: Random, count: number, many: number): number[] {
  const all = Array.from({ length: count }, (_, k) => k);
  for (let k = 0; k < many; k++) {
    const other = k + random.below(count - k);
    [all[k], all[other]] = [all[other], all[k]];
  }
  return all.slice(0, many).sort((a, b) => a - b);
}

function requireWhole(name: string, value: number, least: number, most: number): void {
  if (Number.isInteger(value) && value >= least && value <= most) return;
  throw new InputError(`option ${name} not valid`, {
    expected: `a whole number from ${least} to ${most}`,
    got: `${value}`,
  });
}

function requireShare(name: string, value: number): void {
  if (value >= 0 && value <= 1) return;
  throw new InputError(`option ${name} not valid`, { expected: "a number from 0 to 1", got: `${value}` });
}

/**
 * A task of a family; gates, repairs and right actions are drawn from `random`, so that equal seeds give equal tasks.
 * @throws InputError naming the option: no room for the gates or the repair, or out of range.
 */
export function bifurcationTask(
  family: BifurcationFamily,
  random: Random,
  options: FamilyOptions = {},
): BifurcationTask {
  const { horizon = 16, actions = family === "decoy" ? 32 : 2, rho = 1, pOn = 0.95, pOff = 0.05 } = options;
  const { right = Math.max(1, Math.floor(actions / 2)), slip = family === "noisy" ? 0.05 : 0, window = 4 } = options;
  const several = family === "and-gates" || family === "noisy";
  const gates = several ? (options.gates ?? Math.min(2, horizon)) : 1;
  requireWhole("horizon", horizon, family === "gate-repair" ? 2 : 1, 1_000_000);
  requireWhole("actions", actions, 2, 1_000_000);
  requireWhole("right", right, 0, actions);
  requireWhole("gates", gates, 1, horizon);
  requireWhole("window", window, 1, 1_000_000);
  for (const [name, value] of Object.entries({ rho, slip, pOn, pOff })) requireShare(name, value);
  const steps = Array.from({ length: horizon }, (): BifurcationStep => ({ kind: "neutral", correct: [], rho, slip }));
  const put = (kind: "gate" | "repair", t: number) => {
    steps[t] = { kind, correct: distinct(random, actions, right), rho, slip };
  };
  if (family === "early-gate") put("gate", 0);
  else if (family === "late-gate") put("gate", horizon - 1);
  else if (family === "gate-repair") {
    const at = random.below(horizon - 1);
    put("gate", at);
    put("repair", at + 1 + random.below(Math.min(window, horizon - 1 - at)));
  } else for (const t of distinct(random, horizon, gates)) put("gate", t);
  return { actions, pOn, pOff, steps };
}

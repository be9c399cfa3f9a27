import { methodParams } from "../../methods/assign.ts";
import type { Method, Scope } from "../../methods/method.ts";
import type { RolloutObject } from "../../rollouts/index.ts";
import type { Critic } from "./columns.ts";
import { type CreditColumn, creditColumn, creditOf, type TokenCredit } from "./credit.ts";
import { type Episode, episodeOf } from "./episodes.ts";
import { type Plan, planOf, rolloutOf } from "./plan.ts";
import { specials } from "./specials.ts";
import { type Change, type Solved, solve, type Task } from "./tasks.ts";

/** A method with parameters, and how it is fed and read. */
export interface Setting {
  method: Method;
  params: Readonly<Record<string, unknown>>;
  scope: Scope;
  plan: Plan;
  column: CreditColumn;
  /** Whether rollouts are compared with others of their group or call. */
  compares: boolean;
}

export type Group = readonly Episode[];

/**
 * What is needed to run a method on tiny tasks; a sentence where that cannot be done.
 * @throws InputError for unknown parameters.
 */
export function settingOf(method: Method, given: Readonly<Record<string, unknown>> = {}): Setting | string {
  if (method.assign === undefined) return "the card has functions only, no credit rule";
  const params = methodParams(method, { ...specials[method.id]?.params, ...given });
  const plan = planOf(method, params);
  if (typeof plan === "string") return plan;
  const column = creditColumn(method);
  if (column === null) return "it writes no credit";
  const scope = method.scope(params);
  return { method, params, scope, plan, column, compares: scope !== "rollout" };
}

const solutions = new Map<Task, Map<string, Solved>>();

/** `solve`, remembered for changes that can be named. */
export function solution(setting: Setting, task: Task, policy: number, change: Change = {}): Solved {
  const { layout } = setting.plan;
  if (change.potential !== undefined) return solve(task, policy, layout, change);
  const key = `${policy} ${layout} ${change.scale ?? 1} ${change.shift ?? 0}`;
  let known = solutions.get(task);
  if (known === undefined) {
    known = new Map();
    solutions.set(task, known);
  }
  let solved = known.get(key);
  if (solved === undefined) {
    solved = solve(task, policy, layout, change);
    known.set(key, solved);
  }
  return solved;
}

/** Sizes of groups that are gone through: single rollouts where nothing is compared, else two and three. */
export function groupSizes({ compares }: Setting, { trajectories }: Solved): readonly number[] {
  if (!compares) return [1];
  return trajectories.length > 4 ? [2] : [2, 3];
}

/** All groups of a size, as tuples of trajectories, with how likely each is. */
export function allGroups(solved: Solved, size: number): { group: Group; numbers: number[]; probability: number }[] {
  const episodes = solved.trajectories.map((trajectory) => episodeOf(solved, trajectory));
  let tuples: number[][] = [[]];
  for (let k = 0; k < size; k++) tuples = tuples.flatMap((tuple) => episodes.map((_, i) => [...tuple, i]));
  return tuples.map((numbers) => ({
    numbers,
    group: numbers.map((i) => episodes[i]),
    probability: numbers.reduce((product, i) => product * solved.trajectories[i].probability, 1),
  }));
}

/** The rollouts of groups; group k is called `g` and its number. */
export function rolloutsOf({ plan }: Setting, groups: readonly Group[], critic: Critic): RolloutObject[][] {
  return groups.map((group, g) => group.map((episode, i) => rolloutOf(episode, plan, critic, `g${g}-${i}`, `g${g}`)));
}

/** Runs the method: all groups in one call where it looks at groups or less, a call per group where it looks at calls. */
export function creditGroups(setting: Setting, groups: readonly Group[], critic: Critic = "exact"): TokenCredit[][] {
  const { method, params, column, scope } = setting;
  const rollouts = rolloutsOf(setting, groups, critic);
  if (scope === "batch") return rollouts.map((call) => creditOf(method, params, column, call));
  const all = creditOf(method, params, column, rollouts.flat());
  let at = 0;
  return rollouts.map((group) => {
    at += group.length;
    return all.slice(at - group.length, at);
  });
}

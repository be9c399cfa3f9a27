import { methodParams } from "../../methods/assign.ts";
import type { Method, Scope } from "../../methods/method.ts";
import type { RolloutObject } from "../../rollouts/index.ts";
import type { Critic } from "./columns.ts";
import { type CreditColumn, creditColumn, creditOf, type TokenCredit } from "./credit.ts";
import { type Episode, episodesOf } from "./episodes.ts";
import { type Columns, columnsOf, type Plan, planOf } from "./plan.ts";
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
  /** Columns of the episodes that were fed so far. */
  fed: Readonly<Record<Critic, WeakMap<Episode, Columns>>>;
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
  return {
    method,
    params,
    scope,
    plan,
    column,
    compares: scope !== "rollout",
    fed: { exact: new WeakMap(), wrong: new WeakMap() },
  };
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

/** Sizes of groups that are gone through: single rollouts where nothing is compared, else as many as there is room for. */
export function groupSizes({ compares }: Setting, { trajectories }: Solved): readonly number[] {
  if (!compares) return [1];
  if (trajectories.length > 4) return [2];
  return trajectories.length > 3 ? [2, 3] : [2, 3, 4];
}

/** How many groups of how many rollouts one call holds. */
export interface Form {
  groups: number;
  size: number;
}

/** Forms that the laws of bias go through: a group, and two side by side where a method looks at the whole call. */
export function formsOf(setting: Setting, solved: Solved): readonly Form[] {
  const single = groupSizes(setting, solved).map((size) => ({ groups: 1, size }));
  const several = setting.scope === "batch" && solved.trajectories.length <= 4;
  return several ? [...single, { groups: 2, size: 2 }] : single;
}

/** All groups of a size, as tuples of trajectories, with how likely each is. */
export function allGroups(solved: Solved, size: number): { group: Group; numbers: number[]; probability: number }[] {
  const episodes = episodesOf(solved);
  let tuples: number[][] = [[]];
  for (let k = 0; k < size; k++) tuples = tuples.flatMap((tuple) => episodes.map((_, i) => [...tuple, i]));
  return tuples.map((numbers) => ({
    numbers,
    group: numbers.map((i) => episodes[i]),
    probability: numbers.reduce((product, i) => product * solved.trajectories[i].probability, 1),
  }));
}

/** The rollouts of groups; group k is called `g` and its number. With a size, `groups` are calls of several such groups. */
export function rolloutsOf(
  { plan, fed }: Setting,
  groups: readonly Group[],
  critic: Critic,
  size = Number.POSITIVE_INFINITY,
): RolloutObject[][] {
  const known = fed[critic];
  return groups.map((group, g) =>
    group.map((episode, i) => {
      let columns = known.get(episode);
      if (columns === undefined) {
        columns = columnsOf(episode, plan, critic);
        known.set(episode, columns);
      }
      const part = group.length > size ? `.${Math.floor(i / size)}` : "";
      return { id: `g${g}-${i}`, group: `g${g}${part}`, ...columns };
    }),
  );
}

/** Runs the method: all groups in one call where it looks at groups or less, a call per group where it looks at calls. */
export function creditGroups(
  setting: Setting,
  groups: readonly Group[],
  critic: Critic = "exact",
  size?: number,
): TokenCredit[][] {
  const { method, params, column, scope } = setting;
  const rollouts = rolloutsOf(setting, groups, critic, size);
  if (scope === "batch") return rollouts.map((call) => creditOf(method, params, column, call));
  const all = creditOf(method, params, column, rollouts.flat());
  let at = 0;
  return rollouts.map((group) => {
    at += group.length;
    return all.slice(at - group.length, at);
  });
}

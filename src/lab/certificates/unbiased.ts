import { InputError, type RolloutObject } from "../../rollouts/index.ts";
import { type Compared, type Counterexample, constants, type Finding, notApplicable, rounding } from "./certificate.ts";
import type { Critic } from "./columns.ts";
import type { TokenCredit } from "./credit.ts";
import { tellsOutcome } from "./plan.ts";
import {
  allGroups,
  creditGroups,
  type Form,
  formsOf,
  type Group,
  rolloutsOf,
  type Setting,
  solution,
} from "./setting.ts";
import { specials } from "./specials.ts";
import { type Change, policyCount, type Solved, statesOf, type Task, tasks } from "./tasks.ts";

/** One task, policy and group size: what the method's gradient is in the mean, beside the exact one. */
export interface GradientCase {
  task: Task;
  policy: number;
  form: Form;
  solved: Solved;
  /** How many calls (or groups, where those are looked at one by one) were gone through. */
  cases: number;
  /** E over all groups of Σ credit × weight × ∇ log π, per rollout. */
  expected: Float64Array;
  exact: Float64Array;
  /** ⟨expected, exact⟩ / ⟨exact, exact⟩. */
  multiple: number;
  /** ‖expected − multiple · exact‖ / max(‖expected‖, ‖exact‖). */
  residual: number;
}

const dot = (a: Float64Array, b: Float64Array) => a.reduce((sum, value, k) => sum + value * b[k], 0);

/** Adds Σ_t pull_t ∇ log π(a_t | s_t) of a group, times a weight. */
function accumulate({ policy }: Solved, group: Group, credits: readonly TokenCredit[], weight: number): void {
  for (const [i, { turns }] of group.entries()) {
    let t = 0;
    for (const { tokens } of turns) {
      for (const { choice } of tokens) {
        if (choice !== null) policy.accumulate(choice.row, choice.column, weight * credits[i].pull[t]);
        t++;
      }
    }
  }
}

/** Exact gradient of the expected best total of a group, per rollout. */
function bestGradient(solved: Solved, groups: ReturnType<typeof allGroups>, size: number): Float64Array {
  for (const { group, probability } of groups) {
    const best = Math.max(...group.map(({ trajectory }) => trajectory.total));
    for (const { trajectory } of group) {
      for (const { row, column } of trajectory.choices) {
        solved.policy.accumulate(row, column, (probability * best) / size);
      }
    }
  }
  const gradient = Float64Array.from(solved.policy.gradient);
  solved.policy.ascend(0);
  return gradient;
}

/** The expected gradient of a method, by going through all groups. */
export function gradientCase(
  setting: Setting,
  task: Task,
  policy: number,
  form: Form,
  critic: Critic,
  change: Change = {},
): GradientCase {
  const solved = solution(setting, task, policy, change);
  const size = form.groups * form.size;
  const found = allGroups(solved, size);
  const credits = creditGroups(
    setting,
    found.map(({ group }) => group),
    critic,
    form.size,
  );
  found.forEach(({ group, probability }, g) => {
    accumulate(solved, group, credits[g], probability / size);
  });
  const expected = Float64Array.from(solved.policy.gradient);
  solved.policy.ascend(0);
  const exact = specials[setting.method.id]?.seeks === "best" ? bestGradient(solved, found, size) : solved.gradient;
  const multiple = dot(expected, exact) / dot(exact, exact);
  const rest = expected.map((value, k) => value - multiple * exact[k]);
  const length = Math.sqrt(Math.max(dot(exact, exact), dot(expected, expected)));
  const residual = Math.sqrt(dot(rest, rest)) / length;
  return { task, policy, form, solved, cases: found.length, expected, exact, multiple, residual };
}

export const taskName = ({ shape, rewards }: Task) => `${shape.title}; ${rewards.id} outcomes`;

/** Cases of a law of bias; tasks that the method refuses are left out and named. */
function casesOf(setting: Setting, stops: boolean, critic: Critic): { cases: GradientCase[]; refusals: string[] } {
  const cases: GradientCase[] = [];
  const refusals: string[] = [];
  for (const task of tasks.filter(({ shape }) => shape.stops === stops)) {
    try {
      for (const form of formsOf(setting, solution(setting, task, 0))) {
        for (let policy = 0; policy < policyCount; policy++) {
          cases.push(gradientCase(setting, task, policy, form, critic));
        }
      }
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      refusals.push(error.message);
    }
  }
  return { cases, refusals };
}

/** Names of the entries of a gradient: state and action. */
function entries({ task: { shape } }: GradientCase): string[] {
  const states = statesOf(shape);
  const columns = Math.max(...states.map((state) => shape.choices(state).length));
  return states.flatMap((state) =>
    Array.from({ length: columns }, (_, k) => {
      const letter = shape.choices(state)[k];
      return letter === undefined ? "" : `${letter} ${state === "" ? "at the start" : `after ${state}`}`;
    }),
  );
}

/** All groups of a case as rollouts; `meta` says how likely the group is and which choices were made. */
function weightedRollouts(setting: Setting, { solved, form }: GradientCase): RolloutObject[] {
  const groups = allGroups(solved, form.groups * form.size);
  const rollouts = rolloutsOf(
    setting,
    groups.map(({ group }) => group),
    "exact",
    form.size,
  );
  return rollouts.flatMap((rows, g) =>
    rows.map((rollout, i) => ({
      ...rollout,
      meta: { group_probability: groups[g].probability, path: groups[g].group[i].trajectory.path },
    })),
  );
}

/** Two gradients side by side, entries that stand for no action left out. */
function sideBySide(one: GradientCase, expected: Float64Array, got: Float64Array): Compared[] {
  return entries(one).flatMap((name, k) =>
    name === "" ? [] : [{ what: `log-odds of ${name}`, expected: expected[k], got: got[k] }],
  );
}

const farthest = (compared: readonly Compared[]) =>
  Math.max(...compared.map(({ expected, got }) => Math.abs(expected - got)));

/** A wrong gradient as something to replay; `fitted`: beside the multiple of the exact one that comes closest. */
function replayable(setting: Setting, found: GradientCase, what: string, fitted: boolean): Counterexample {
  const factor = fitted && found.multiple > constants ? found.multiple : 1;
  const compared = sideBySide(
    found,
    found.exact.map((value) => factor * value),
    found.expected,
  );
  return {
    what,
    task: taskName(found.task),
    policy: found.policy,
    rollouts: weightedRollouts(setting, found),
    changed: null,
    callPerGroup: setting.scope === "batch",
    titles: [factor === 1 ? "exact gradient" : `${shown(factor)} × exact gradient`, "method's gradient"],
    compared,
    difference: farthest(compared),
  };
}

/** Expected gradients before and after a change as something to replay. */
export function gradientPair(
  setting: Setting,
  before: GradientCase,
  after: GradientCase,
  what: string,
): Counterexample {
  const compared = sideBySide(before, before.expected, after.expected);
  return {
    what,
    task: taskName(before.task),
    policy: before.policy,
    rollouts: weightedRollouts(setting, before),
    changed: weightedRollouts(setting, after),
    callPerGroup: setting.scope === "batch",
    titles: ["gradient before", "gradient after"],
    compared,
    difference: farthest(compared),
  };
}

/** How far apart the multiples of one kind of task are: same shape and group size, whatever the policy and the rewards. */
function multiples(cases: readonly GradientCase[]): Map<string, GradientCase[]> {
  const kinds = new Map<string, GradientCase[]>();
  for (const one of cases) {
    const key = `${one.task.shape.id} ${one.form.groups} ${one.form.size}`;
    kinds.set(key, [...(kinds.get(key) ?? []), one]);
  }
  return kinds;
}

const formName = ({ groups, size }: Form) =>
  size === 1 ? "single rollouts" : groups === 1 ? `groups of ${size}` : `${groups} groups of ${size} in a call`;

const shown = (value: number) => Number(value.toPrecision(4)).toString();

interface Judged {
  verdict: "yes" | "factor" | "no";
  largest: number;
  notes: string[];
  worst: GradientCase | null;
  what: string;
}

/** Unbiased, right but for a factor that varies, or wrong in direction. */
function judge(cases: readonly GradientCase[]): Judged {
  const largest = Math.max(...cases.map(({ residual }) => residual));
  const isWrong = ({ residual, multiple }: GradientCase) => residual > constants || multiple <= constants;
  const wrong = cases.filter(isWrong);
  if (wrong.length > 0) {
    const least = Math.min(...wrong.map((one) => one.cases));
    const [worst] = wrong.filter((one) => one.cases === least).sort((a, b) => b.residual - a.residual);
    const binary = cases.filter(({ task }) => task.rewards.id === "binary");
    const notes = binary.length > 0 && !binary.some(isWrong) ? ["right in direction where outcomes are 0 or 1"] : [];
    const alike = cases.filter(({ task }) => task.shape === worst.task.shape);
    const off = [...new Set(alike.map(({ form }) => formName(form)))].map((name) => {
      const most = Math.max(...alike.filter(({ form }) => formName(form) === name).map(({ residual }) => residual));
      return `${Math.round(100 * most)} % (${name})`;
    });
    notes.push(`off by up to ${off.join(", ")} of the gradient's length (${worst.task.shape.title})`);
    const zero = Math.abs(worst.multiple) <= constants && worst.residual <= constants;
    const what = zero ? "the expected gradient is zero" : "the expected gradient points elsewhere";
    return { verdict: "no", largest, notes, worst, what };
  }
  const kinds = [...multiples(cases).values()];
  const spread = (kind: readonly GradientCase[]) => {
    const sorted = [...kind].sort((a, b) => a.multiple - b.multiple);
    return { low: sorted[0], high: sorted[sorted.length - 1] };
  };
  const varying = kinds.map(spread).find(({ low, high }) => high.multiple - low.multiple > constants * high.multiple);
  if (varying !== undefined) {
    const { low, high } = varying;
    const range = `${shown(low.multiple)} to ${shown(high.multiple)}`;
    const what = `the expected gradient is ${range} times the exact one, depending on policy and rewards`;
    return { verdict: "factor", largest, notes: [], worst: low, what };
  }
  const found = kinds.map(
    ([{ multiple, form, task }]) => `${shown(multiple)} (${formName(form)}; ${task.shape.title})`,
  );
  const allOne = kinds.every(([{ multiple }]) => Math.abs(multiple - 1) < rounding);
  const notes = allOne ? [] : [`times a constant: ${found.join(", ")}`];
  if (largest > rounding) notes.push("up to the small constants of its normalisation");
  return { verdict: "yes", largest, notes, worst: null, what: "" };
}

/**
 * Unbiasedness: whether E[Σ credit × weight × ∇ log π] over all groups is the exact gradient of the expected total, up to a
 * constant that neither policies nor rewards change.
 */
export function unbiased(setting: Setting, stops: boolean): Finding {
  if (!tellsOutcome(setting.plan)) return notApplicable("nothing that it reads says how the episode went");
  const { cases, refusals } = casesOf(setting, stops, "exact");
  if (cases.length === 0) return notApplicable(`it refuses every task here: ${refusals[0]}`);
  if (cases.every(({ expected }) => dot(expected, expected) === 0)) return notApplicable("its credit is zero here");
  const judged = judge(cases);
  const notes = [...judged.notes];
  const { bias, seeks } = specials[setting.method.id] ?? {};
  const { gamma } = setting.params;
  if (judged.verdict === "no" && bias !== undefined) notes.push(bias);
  if (judged.verdict === "no" && typeof gamma === "number" && gamma < 1) {
    notes.push(`it discounts by ${gamma}; the gradient that is sought does not`);
  }
  if (seeks === "best") notes.push("measured by the best reward of a group");
  if (refusals.length > 0) notes.push(`refuses some of the tasks: ${refusals[0]}`);
  let exactOnly = false;
  if (setting.plan.critic) {
    const wrong = judge(casesOf(setting, stops, "wrong").cases);
    exactOnly = judged.verdict === "yes" && wrong.verdict !== "yes";
    notes.push(
      wrong.verdict === "yes" ? "with a wrong critic too" : `with a wrong critic: ${wrong.verdict}, ${wrong.what}`,
    );
  }
  const counterexample =
    judged.worst === null ? null : replayable(setting, judged.worst, judged.what, judged.verdict === "no");
  const gone = cases.reduce((sum, one) => sum + one.cases, 0);
  return { verdict: judged.verdict, exactOnly, cases: gone, largest: judged.largest, notes, counterexample };
}

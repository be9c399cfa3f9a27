import type { Compared, Finding } from "./certificate.ts";
import { notApplicable, smallerRewards } from "./certificate.ts";
import { anyReading, compareAll, type Pair, type Trial } from "./compare.ts";
import type { TokenCredit } from "./credit.ts";
import { agents, cut, type Episode, episodesOf, lengthened, renamed, reversed, widened } from "./episodes.ts";
import { readsRewards } from "./plan.ts";
import { allGroups, groupSizes, type Setting, solution } from "./setting.ts";
import { type Change, policyCount, tasks } from "./tasks.ts";

/** Policies that sample-wise laws are tried under: they matter only to columns that hold exact values. */
const tried = [0, policyCount - 1];

const nameOf = ({ trajectory }: Episode) => trajectory.path;

/** Trials over all tasks and policies; `trial` gives the pairs of one group. */
function* trials(
  setting: Setting,
  pairsOf: (group: readonly Episode[], numbers: readonly number[], task: number, policy: number) => readonly Pair[],
  only: (size: number) => boolean = () => true,
): Generator<Trial> {
  for (const [t, task] of tasks.entries()) {
    for (const policy of tried) {
      const solved = solution(setting, task, policy);
      for (const size of groupSizes(setting, solved).filter(only)) {
        const groups = allGroups(solved, size);
        yield { task, policy, pairs: groups.flatMap(({ group, numbers }) => pairsOf(group, numbers, t, policy)) };
      }
    }
  }
}

const total = (values: ArrayLike<number>) => Array.from(values).reduce((sum, value) => sum + value, 0);

/** What the credits of the rollouts of a group sum up to, a rollout counting as `of` its tokens. */
function sumOfGroup(group: readonly Episode[], credits: readonly TokenCredit[], of: (credit: Float64Array) => number) {
  const each = credits.map(({ credit }) => of(credit));
  const size = Math.max(...each.map(Math.abs));
  // The first entry says how large the credits are, so that rounding can be told from a sum.
  return [
    { what: "largest credit of a rollout", expected: size, got: size },
    { what: `sum over the rollouts ${group.map(nameOf).join(", ")}`, expected: 0, got: total(each) },
  ];
}

/**
 * Zero group mean: the credits of the rollouts of a group sum to 0, where every rollout counts once (the mean over its
 * tokens) or every token does (their sum).
 */
export function zeroMean(setting: Setting): Finding {
  if (!setting.compares) return notApplicable("it looks at single rollouts: no group");
  const find = (of: (credit: Float64Array) => number) => () => {
    const what = "the credits of the group do not sum to 0";
    const found = trials(setting, (group) => [
      { before: group, after: group, what, read: (credits) => sumOfGroup(group, credits, of) },
    ]);
    return compareAll(setting, found, ["required", "found"]);
  };
  const readings = [
    { name: "each rollout counts once", find: find((credit) => total(credit) / credit.length) },
    { name: "each token counts once", find: find(total) },
  ];
  return anyReading(setting.column.wholeRollout ? readings.slice(0, 1) : readings);
}

/** Pulls of the tokens that decide something, named by rollout and token. */
function pullsOf(group: readonly Episode[], credits: readonly TokenCredit[]): { what: string; pull: number }[] {
  return group.flatMap((episode, i) => {
    let t = 0;
    return episode.turns.flatMap(({ tokens }) =>
      tokens.flatMap(({ choice }) => {
        const pull = credits[i].pull[t++];
        return choice === null ? [] : [{ what: `rollout ${i + 1} (${nameOf(episode)}): ${choice.node}`, pull }];
      }),
    );
  });
}

function side(before: readonly { what: string; pull: number }[], after: readonly { pull: number }[]): Compared[] {
  return before.map(({ what, pull }, k) => ({ what, expected: pull, got: after[k].pull }));
}

const noRewards = "it reads chances or log-probabilities, no reward";
const scales = [0.5, 3];
const shifts = [0.25, -0.5, 1];

/** Reward scale or shift: the same trajectories, their rewards changed and all exact values with them. */
function* changed(setting: Setting, changes: readonly { change: Change; what: string }[]): Generator<Trial> {
  for (const { change, what } of changes) {
    yield* trials(setting, (group, numbers, t, policy) => {
      const other = solution(setting, tasks[t], policy, change);
      const [after] = groupsOf(other, [numbers]);
      return [
        {
          before: group,
          after,
          what,
          factor: change.scale,
          read: (a, b) => side(pullsOf(group, a), pullsOf(after, b)),
        },
      ];
    });
  }
}

function groupsOf(solved: ReturnType<typeof solution>, tuples: readonly (readonly number[])[]): Episode[][] {
  const single = episodesOf(solved);
  return tuples.map((numbers) => numbers.map((i) => single[i]));
}

/** Reward scale: a · reward leaves every credit as it is (or, as `factor`, multiplies all of a group alike). */
export function scaleLaw(setting: Setting): Finding {
  if (!readsRewards(setting.plan)) return notApplicable(noRewards);
  const changes = scales.map((scale) => ({ change: { scale }, what: `every reward is multiplied by ${scale}` }));
  return compareAll(setting, changed(setting, changes), ["credit before", "credit after"], smallerRewards);
}

/** Reward shift: outcome + b leaves every credit as it is. */
export function shiftLaw(setting: Setting): Finding {
  if (!readsRewards(setting.plan)) return notApplicable(noRewards);
  const changes = shifts.map((shift) => ({ change: { shift }, what: `${shift} is added to every outcome` }));
  return compareAll(setting, changed(setting, changes), ["credit before", "credit after"]);
}

/** Groups in which one turn of one rollout is two tokens long, before and after it is cut between them. */
function cuts(
  group: readonly Episode[],
  compared: (cut: Cut, before: readonly TokenCredit[], after: readonly TokenCredit[]) => readonly Compared[],
): Pair[] {
  return group.flatMap((episode, i) =>
    episode.turns.flatMap((_, at) =>
      (["before", "after"] as const).map((place) => {
        const before = group.map((one, k) => (k === i ? widened(one, at, place) : one));
        const after = group.map((one, k) => (k === i ? cut(one, at, place) : one));
        const first = before[i].turns.slice(0, at).reduce((sum, { tokens }) => sum + tokens.length, 0);
        const idle = place === "before" ? "first" : "second";
        return {
          before,
          after,
          what: `turn ${at + 1} of rollout ${i + 1} is cut in two; nothing is decided in the ${idle} part`,
          read: (a: readonly TokenCredit[], b: readonly TokenCredit[]) =>
            compared({ before, after, rollout: i, first }, a, b),
        };
      }),
    ),
  );
}

interface Cut {
  before: readonly Episode[];
  after: readonly Episode[];
  /** The rollout with the cut, and the first of the two tokens. */
  rollout: number;
  first: number;
}

/**
 * Split: cutting a turn in two, where one part decides nothing and nothing is learned between them, leaves the credit of
 * every token that decides something, or the sum over the two tokens, as it is.
 */
export function splitLaw(setting: Setting): Finding {
  if (setting.plan.rows.length === 0) return notApplicable("it reads no turns and no steps");
  const find = (compared: Parameters<typeof cuts>[1]) => () => {
    const found = trials(
      setting,
      (group) => cuts(group, compared),
      (size) => size < 3,
    );
    return compareAll(setting, found, ["one turn", "two turns"]);
  };
  return anyReading([
    {
      name: "every choice keeps its credit",
      find: find(({ before, after }, a, b) => side(pullsOf(before, a), pullsOf(after, b))),
    },
    { name: "the sum over the two parts stays", find: find(joined) },
  ]);
}

/** Tokens side by side; the two of the turn that was cut as their sum. */
function joined(
  { before: group, rollout, first }: Cut,
  before: readonly TokenCredit[],
  after: readonly TokenCredit[],
): Compared[] {
  return group.flatMap((episode, k) => {
    const name = (t: number) => `rollout ${k + 1} (${nameOf(episode)}), token ${t + 1}`;
    return [...before[k].pull].flatMap((pull, t) => {
      if (k !== rollout || (t !== first && t !== first + 1)) {
        return [{ what: name(t), expected: pull, got: after[k].pull[t] }];
      }
      if (t === first) return [];
      const sum = ({ pull: of }: TokenCredit) => of[first] + of[first + 1];
      return [{ what: `${name(first)} and ${t + 1}`, expected: sum(before[k]), got: sum(after[k]) }];
    });
  });
}

/** Agents exchangeable: other names change nothing; turns that change places take their credit with them. */
export function exchangeable(setting: Setting): Finding {
  const { columns } = setting.plan;
  if (!columns.includes("turns.agent")) return notApplicable("it knows no agents");
  const placeless = columns.every((path) => !path.startsWith("turns.") || path in free);
  const found = trials(setting, (group) => {
    const after = group.map(renamed);
    const names = {
      before: group,
      after,
      what: `the agents ${agents[0]} and ${agents[1]} exchange names`,
      read: (a: readonly TokenCredit[], b: readonly TokenCredit[]) => side(pullsOf(group, a), pullsOf(after, b)),
    };
    if (!placeless || setting.plan.layout !== "outcome" || group.some(({ turns }) => turns.length !== 2))
      return [names];
    const turned = group.map(reversed);
    const places = {
      before: group,
      after: turned,
      what: "the turns change places, each with all that belongs to it",
      read: (a: readonly TokenCredit[], b: readonly TokenCredit[]) =>
        side(pullsOf(group, a), pullsOf(turned.map(reversed), unturned(b))),
    };
    return [names, places];
  });
  return compareAll(setting, found, ["credit before", "credit after"]);
}

/** Columns of turns that say nothing about what came before. */
const free: Readonly<Record<string, true>> = {
  "turns.agent": true,
  "turns.role": true,
  "turns.reward": true,
  "turns.duration_s": true,
};

const unturned = (credits: readonly TokenCredit[]): TokenCredit[] =>
  credits.map(({ credit, pull }) => ({ credit: credit.slice().reverse(), pull: pull.slice().reverse() }));

/** Length-neutral: tokens that decide nothing, put at the end of a response, leave the pull of every other token alone. */
export function lengthNeutral(setting: Setting): Finding {
  const { method } = setting;
  if (!method.writes.some((path) => path.startsWith("tokens."))) return notApplicable("it writes nothing for tokens");
  const longer = (group: readonly Episode[]) =>
    group.map((_, i) => {
      const after = group.map((one, k) => (k === i ? lengthened(one, 2) : one));
      return {
        before: group,
        after,
        what: `two tokens that decide nothing are put at the end of rollout ${i + 1}`,
        factor: "any" as const,
        read: (a: readonly TokenCredit[], b: readonly TokenCredit[]) => side(pullsOf(group, a), pullsOf(after, b)),
      };
    });
  return compareAll(
    setting,
    trials(setting, longer, (size) => size < 3),
    ["credit before", "credit after"],
  );
}

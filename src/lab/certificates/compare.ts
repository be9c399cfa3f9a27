import { InputError } from "../../rollouts/index.ts";
import { type Compared, type Counterexample, constants, type Finding, notApplicable, rounding } from "./certificate.ts";
import type { TokenCredit } from "./credit.ts";
import type { Episode } from "./episodes.ts";
import { creditGroups, type Group, rolloutsOf, type Setting } from "./setting.ts";
import type { Task } from "./tasks.ts";
import { taskName } from "./unbiased.ts";

/** A group before and after a change, and the numbers that ought to agree. */
export interface Pair {
  before: Group;
  after: Group;
  /** The change in words. */
  what: string;
  /**
   * By what a failure may multiply the numbers and still be worth a word of its own: this very factor, or any that all of
   * the group share. Absent: a failure is a failure.
   */
  factor?: number | "any";
  read(before: readonly TokenCredit[], after: readonly TokenCredit[]): readonly Compared[];
}

/** Pairs of one task and policy. */
export interface Trial {
  task: Task;
  policy: number;
  pairs: readonly Pair[];
}

interface Failure {
  pair: Pair;
  trial: Trial;
  compared: readonly Compared[];
  difference: number;
  /** Tokens of the group: the size of the counterexample. */
  tokens: number;
}

/** Credits below this are rounding, blown up by a small spread. */
const silence = 1e-5;

/** What the numbers of all pairs say so far. */
interface Tally {
  cases: number;
  /** Largest credit met: with none but zeros a law would hold for nothing. */
  credit: number;
  largest: number;
  equal: boolean;
  proportional: boolean;
  worst: Failure | null;
}

const lengthOf = (group: readonly Episode[]) =>
  group.reduce((sum, { turns }) => sum + turns.reduce((all, { tokens }) => all + tokens.length, 0), 0);

/** Whether got = factor · expected, for the factor that the pair names or for any positive one. */
function proportional({ factor, before }: Pair, compared: readonly Compared[], room: number): boolean {
  if (factor === undefined || (factor === "any" && before.length < 2)) return false;
  const top = compared.reduce((a, b) => (Math.abs(b.expected) > Math.abs(a.expected) ? b : a));
  const ratio = factor !== "any" ? factor : top.expected === 0 ? 1 : top.got / top.expected;
  return ratio > 0 && compared.every(({ expected, got }) => Math.abs(got - ratio * expected) <= room);
}

/** Smaller beats larger; of equal size the greater difference beats the lesser. */
const better = (a: Failure, b: Failure | null) =>
  b === null || a.tokens < b.tokens || (a.tokens === b.tokens && a.difference > b.difference * (1 + 1e-9));

function weigh(setting: Setting, trial: Trial, tally: Tally, room: number): void {
  const before = creditGroups(
    setting,
    trial.pairs.map((pair) => pair.before),
  );
  const after = creditGroups(
    setting,
    trial.pairs.map((pair) => pair.after),
  );
  for (const [k, pair] of trial.pairs.entries()) {
    const compared = pair.read(before[k], after[k]);
    const top = Math.max(...compared.map(({ expected, got }) => Math.max(Math.abs(expected), Math.abs(got))));
    const difference = Math.max(...compared.map(({ expected, got }) => Math.abs(expected - got)));
    tally.cases++;
    tally.credit = Math.max(tally.credit, top);
    if (top < silence) continue;
    tally.largest = Math.max(tally.largest, difference / top);
    if (difference <= room * top) continue;
    tally.equal = false;
    tally.proportional &&= proportional(pair, compared, room * top);
    const tokens = lengthOf(pair.before) + 1e3 * pair.before.length;
    const failure = { pair, trial, compared, difference, tokens };
    if (better(failure, tally.worst)) tally.worst = failure;
  }
}

/** A failure as something to replay. */
function replayable(setting: Setting, failure: Failure, titles: readonly [string, string]): Counterexample {
  const { pair, trial, compared, difference } = failure;
  const [[before], [after]] = [pair.before, pair.after].map((group) => rolloutsOf(setting, [group], "exact"));
  return {
    what: pair.what,
    task: taskName(trial.task),
    policy: trial.policy,
    rollouts: before,
    changed: pair.before === pair.after ? null : after,
    callPerGroup: setting.scope === "batch",
    titles,
    compared,
    difference,
  };
}

const percent = (share: number) => `${Number((100 * share).toPrecision(2))} %`;

/**
 * Goes through pairs of groups whose numbers ought to be equal. Trials that the method refuses are left out.
 * @param room relative difference that is not worth a word. Default a thousandth.
 */
export function compareAll(
  setting: Setting,
  trials: Iterable<Trial>,
  titles: readonly [string, string],
  room = constants,
): Finding {
  const tally: Tally = { cases: 0, credit: 0, largest: 0, equal: true, proportional: true, worst: null };
  const refusals: string[] = [];
  for (const trial of trials) {
    try {
      weigh(setting, trial, tally, room);
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      refusals.push(error.message);
    }
  }
  const { cases, largest, worst } = tally;
  if (cases === 0) return notApplicable(refusals.length > 0 ? `it refuses every case: ${refusals[0]}` : "no case here");
  if (tally.credit < silence) return notApplicable("its credit is zero on every task here");
  const notes = refusals.length > 0 ? [`refuses some of the cases: ${refusals[0]}`] : [];
  if (worst === null) {
    if (largest > rounding) notes.push(`up to small constants and rounding: ${percent(largest)} at most`);
    return { verdict: "yes", cases, largest, notes };
  }
  const verdict = tally.proportional ? "factor" : "no";
  return { verdict, cases, largest, notes, counterexample: replayable(setting, worst, titles) };
}

/** A law that may be read in several ways: the first reading that holds, else what the first one found. */
export function anyReading(readings: readonly { name: string; find: () => Finding }[]): Finding {
  const findings: Finding[] = [];
  for (const { name, find } of readings) {
    const finding = find();
    if (finding.verdict === "none") return finding;
    if (finding.verdict === "yes") return { ...finding, notes: [name, ...(finding.notes ?? [])] };
    findings.push(finding);
  }
  return findings[0];
}

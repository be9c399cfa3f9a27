import { tryMethod } from "../../analysis/trial.ts";
import type { Method } from "../../methods/method.ts";
import { missingReads } from "../../methods/reads.ts";
import { InputError } from "../../rollouts/index.ts";
import { Random } from "../random.ts";
import { Bench } from "./apply.ts";
import { type Credit, givesCredit } from "./credit.ts";
import { type Entry, entryOf } from "./entries.ts";
import type { Feed } from "./feed.ts";
import { rolloutsFor, sourcesOf } from "./rollouts.ts";
import type { Signal, Source } from "./signals.ts";
import { benchTasks, settingOf } from "./tasks.ts";

/** What can be said of a method on a task before anything is measured. */
export type Fitness =
  | {
      runs: true;
      /** The entry as it runs: with another choice of a parameter where the defaults ask for more than there is. */
      entry: Entry;
      /** Columns that it is given. */
      columns: readonly string[];
      sources: readonly Source[];
      /** The column that its credit is read from. */
      credit: string;
      /** Of the credit that it gives: as long as this and the version stay, results can be kept. */
      fingerprint: string;
    }
  | { runs: false; reason: string };

const probeGroups = 32;
const probeSize = 8;

const refused = (reason: string): Fitness => ({ runs: false, reason });

/** Whether a method can be run on a task, and how. */
export function fitnessOf(entry: Entry, taskId: string): Fitness {
  const setting = settingOf(benchTasks[taskId]);
  const probe = new Bench(entry, setting, 0);
  const { method } = probe;
  if (method !== null && !givesCredit(method)) return refused("writes no credit that a policy gradient could follow");
  const feed = probe.sample(setting.start, probe.oracles(setting.start), probeGroups, probeSize, new Random(0));
  const settled = method === null ? entry : settledEntry(entry, method, feed, probe.given);
  if (typeof settled === "string") return refused(settled);
  const bench = new Bench(settled, setting, 0);
  const tried = creditOrReason(bench, feed, bench.given);
  if (typeof tried === "string") return refused(tried);
  if (new Set(tried.values).size <= 1) return refused("gives every turn the same credit on these tasks");
  const used = usedSignals(bench, feed, tried);
  return {
    runs: true,
    entry: settled,
    columns: [...used.keys()],
    sources: sourcesOf(used),
    credit: tried.column,
    fingerprint: fingerprintOf([...numbersOf(tried), setting.start.logits, [setting.optimalValue]]),
  };
}

const numbersOf = ({ values, weights }: Credit) => [values, weights ?? []];

function reasonOf(error: unknown): string {
  if (!(error instanceof InputError)) throw error;
  const { problem, at } = error;
  if (problem === "column is missing") return `needs ${at.column}`;
  return at.column === undefined ? problem : `${at.column}: ${problem}`;
}

function settledEntry(entry: Entry, method: Method, feed: Feed, given: ReadonlyMap<string, Signal>): Entry | string {
  const batch = rolloutsFor(feed, given);
  const missing = missingReads(batch, method);
  if (missing.length > 0) return `needs ${missing.join(", ")}`;
  if (Object.keys(entry.params).length > 0) return entry;
  const { params, refusal } = tryMethod(batch, method);
  return params === null ? reasonOf(refusal) : entryOf(entry.method, params);
}

function creditOrReason(bench: Bench, feed: Feed, given: ReadonlyMap<string, Signal>): Credit | string {
  try {
    return bench.credit(feed, given);
  } catch (error) {
    return error instanceof Error && error.message.endsWith("gave no credit") ? "gives no credit" : reasonOf(error);
  }
}

/** The signals without those that cost something and change nothing. */
function usedSignals(bench: Bench, feed: Feed, credit: Credit): ReadonlyMap<string, Signal> {
  const whole = fingerprintOf(numbersOf(credit));
  let kept: ReadonlyMap<string, Signal> = bench.given;
  for (const [path, { source }] of bench.given) {
    if (source === "episode" || source === "policy") continue;
    const less = new Map([...kept].filter(([other]) => other !== path));
    const without = creditOrReason(bench, feed, less);
    if (typeof without !== "string" && fingerprintOf(numbersOf(without)) === whole) kept = less;
  }
  return kept;
}

/** A short text for many numbers: FNV-1a over their decimal forms, nine digits each. */
export function fingerprintOf(lists: readonly ArrayLike<number>[]): string {
  let hash = 0x811c9dc5;
  for (const list of lists) {
    for (let k = 0; k < list.length; k++) {
      const text = Math.abs(list[k]) < 1e-9 ? "0" : list[k].toPrecision(9);
      for (let c = 0; c < text.length; c++) hash = Math.imul(hash ^ text.charCodeAt(c), 0x01000193);
      hash = Math.imul(hash ^ 59, 0x01000193);
    }
  }
  return (hash >>> 0).toString(16).padStart(8, "0");
}

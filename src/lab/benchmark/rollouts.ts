import type { Method } from "../../methods/method.ts";
import { parseRead } from "../../methods/reads.ts";
import { Batch, type Column, type ColumnValues } from "../../rollouts/index.ts";
import type { ExactEnvironment } from "../environments/environment.ts";
import { type Feed, feedFor } from "./feed.ts";
import { finalReward, intermediateReward, type Signal, type Source, signals, verdicts } from "./signals.ts";

/** Columns that mean something else to one method than to the others, by method and path; `null` = not given. */
const special: Readonly<Record<string, Readonly<Record<string, Signal | null>>>> = {
  "mt-grpo": { "turns.reward": intermediateReward, "rollout.reward": finalReward },
  comam: { "turns.reward": verdicts },
  shapley: { "turns.reward": null },
  slate: { "turns.reward": verdicts },
  vpr: { "turns.reward": verdicts },
  barfi: { "turns.aux_reward": verdicts },
  matchtir: { "turns.reward": null },
};

/** The signals that a method is given on a task: every column of its `reads` that the benchmark knows. */
export function signalsFor(method: Method, environment: ExactEnvironment): ReadonlyMap<string, Signal> {
  const own = special[method.id] ?? {};
  const given = new Map<string, Signal>();
  const paths = method.reads.flatMap((read) => parseRead(read).anyOf).flatMap(expanded);
  for (const path of ["rollout.reward", ...paths, ...Object.keys(own)]) {
    const chosen = Object.hasOwn(own, path) ? own[path] : signals[path];
    if (chosen === null || chosen === undefined || chosen.isIn?.(environment) === false) continue;
    given.set(path, chosen);
  }
  return given;
}

/** Columns behind an entry of `reads`: families by their first member, facts of the task through `meta`. */
function expanded(path: string): string[] {
  if (path.startsWith("meta.")) return ["meta"];
  if (path === "rewards.*") return ["rewards.accuracy"];
  return [path.replace("_*", "_1")];
}

/** Where signals come from, the episode and the policy's own probabilities aside: what it takes to have them. */
export function sourcesOf(used: ReadonlyMap<string, Signal>): Source[] {
  const sources = new Set([...used.values()].map(({ source }) => source));
  return (["critic", "process model", "judge", "answer", "samples"] as const).filter((source) => sources.has(source));
}

function ends(feed: Feed): Int32Array {
  const { turns, count } = feed.episodes;
  const { end, offsets } = feed.layout;
  const out = new Int32Array(end.length);
  for (let i = 0; i < count; i++) for (let t = turns[i]; t < turns[i + 1]; t++) out[t] = end[t] - offsets[i];
  return out;
}

/** Ids of tokens: actions by their column, then observations by their text; mask 1 on actions. */
function tokens(feed: Feed): { id: Int32Array; mask: Uint8Array } {
  const { model, actions, outcomes } = feed.episodes;
  const { actionToken, end, count } = feed.layout;
  const id = new Int32Array(count);
  const mask = new Uint8Array(count);
  const said = new Map<string, number>();
  for (let t = 0; t < actions.length; t++) {
    id[actionToken[t]] = actions[t];
    mask[actionToken[t]] = 1;
    if (end[t] === actionToken[t] + 1) continue;
    const text = model.observation[outcomes[t]];
    if (!said.has(text)) said.set(text, model.actions.length + said.size);
    id[actionToken[t] + 1] = said.get(text) as number;
  }
  return { id, mask };
}

/** Episodes as a batch with the columns that a method reads, and nothing else that it could pick up. */
export function rolloutsFor(feed: Feed, given: ReadonlyMap<string, Signal>): Batch {
  const { turns, count, size } = feed.episodes;
  const rows = { offsets: turns, present: null };
  const hasSteps = [...given.keys()].some((path) => path.startsWith("steps."));
  const number = (level: Column["level"], values: Int32Array | Uint8Array): Column => {
    return { kind: "number", level, values, valid: null, present: null };
  };
  const { id, mask } = tokens(feed);
  const columns = new Map<string, Column>([
    ["turns.end", number("turn", ends(feed))],
    ["tokens.id", number("token", id)],
    ["tokens.mask", number("token", mask)],
  ]);
  if (hasSteps) columns.set("steps.end", number("step", ends(feed)));
  const batch = new Batch({
    ids: Array.from({ length: count }, (_, i) => `r${i}`),
    groupNames: Array.from({ length: count }, (_, i) => `g${Math.floor(i / size)}`),
    levels: {
      turn: rows,
      token: { offsets: feed.layout.offsets, present: null },
      ...(hasSteps ? { step: rows } : {}),
    },
    columns,
  });
  const made: Record<string, ColumnValues> = {};
  for (const [path, { make }] of given) made[path] = make(feedFor(feed, path));
  return batch.with(made);
}

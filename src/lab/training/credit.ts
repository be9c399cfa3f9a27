import { assign } from "../../methods/assign.ts";
import type { Method } from "../../methods/method.ts";
import { parseRead } from "../../methods/reads.ts";
import { rolloutsToTokens, rowsToTokens } from "../../operators/broadcast.ts";
import { type Batch, InputError, type NumericArray } from "../../rollouts/index.ts";

/** A method with its parameters; several in a row hand their columns on. */
export interface CreditCall {
  method: Method;
  params: Readonly<Record<string, unknown>>;
}

/** Methods whose `tokens.weight` is the paper's average over tokens: loss = (1/N) Σ weight · loss, N rollouts. */
const averaging = new Set(["grpo", "dr-grpo"]);

/** What a method says about every policy token of a batch, in the order of `PolicyRows.tokens`. */
export interface TokenCredit {
  advantage: Float64Array;
  /** How much a token is trained, 0 = not at all; `null` = all alike. */
  weight: Float64Array | null;
  /** The method's own average, where `agg` is `method`; `null` = it has none. */
  average: Float64Array | null;
  clipLow: Float64Array | null;
  clipHigh: Float64Array | null;
}

/** Tokens that the policy wrote: rollout i has the batch's tokens `tokens[offsets[i]] … tokens[offsets[i + 1] - 1]`. */
export interface PolicyRows {
  readonly offsets: Int32Array;
  readonly tokens: Int32Array;
  /** All tokens of each rollout, those of the environment included. */
  readonly lengths: Int32Array;
}

export function policyRows(batch: Batch): PolicyRows {
  const from = batch.offsets("token");
  const mask = batch.numbers("tokens.mask");
  const offsets = new Int32Array(batch.size + 1);
  const tokens: number[] = [];
  for (let i = 0; i < batch.size; i++) {
    for (let t = from[i]; t < from[i + 1]; t++) if (mask[t] === 1) tokens.push(t);
    offsets[i + 1] = tokens.length;
  }
  const lengths = Int32Array.from({ length: batch.size }, (_, i) => from[i + 1] - from[i]);
  return { offsets, tokens: Int32Array.from(tokens), lengths };
}

/** Values of a token column at the policy's tokens. */
export function atPolicy(values: ArrayLike<number>, { tokens }: PolicyRows): Float64Array {
  return Float64Array.from(tokens, (t) => values[t]);
}

/** Runs the methods of an arm, one after another. */
export function credit(batch: Batch, calls: readonly CreditCall[]): Batch {
  return calls.reduce((given, { method, params }) => assign(given, method, params), batch);
}

/**
 * Reads what the methods wrote: the advantage of every policy token (from `tokens.advantage`, else spread from turns, steps
 * or rollouts), weights and clip ranges.
 * @throws InputError when nothing that was written is an advantage.
 */
export function tokenCredit(before: Batch, after: Batch, rows: PolicyRows, calls: readonly CreditCall[]): TokenCredit {
  const written = (path: string) => after.has(path) && after.find(path) !== before.find(path);
  const at = (path: string) => (written(path) ? atPolicy(after.numbers(path, { absent: 0, missing: 0 }), rows) : null);
  const last = calls[calls.length - 1].method.id;
  const own = at("tokens.weight");
  const isAverage = averaging.has(last);
  const rollouts = rolloutWeights(after, rows, written);
  return {
    advantage: advantages(after, rows, calls, written),
    weight: isAverage ? rollouts : times(own, rollouts),
    average: isAverage ? times(own, rollouts) : null,
    clipLow: at("tokens.clip_low"),
    clipHigh: at("tokens.clip_high"),
  };
}

function advantages(
  batch: Batch,
  rows: PolicyRows,
  calls: readonly CreditCall[],
  written: (path: string) => boolean,
): Float64Array {
  if (written("tokens.advantage")) return atPolicy(batch.numbers("tokens.advantage"), rows);
  const filled = (path: string): NumericArray => batch.numbers(path, { absent: 0, missing: 0 });
  for (const level of ["turn", "step"] as const) {
    const path = `${level}s.advantage`;
    if (written(path)) return atPolicy(rowsToTokens(batch, level, filled(path)), rows);
  }
  if (written("rollout.advantage")) return atPolicy(rolloutsToTokens(batch, filled("rollout.advantage")), rows);
  const { id, writes } = calls[calls.length - 1].method;
  throw new InputError("the method writes no advantage, so nothing can be learned from it alone", {
    method: id,
    expected: "tokens.advantage, turns.advantage, steps.advantage or rollout.advantage",
    got: writes.join(", "),
    hint: `let a method that reads them follow: ${calls.map(({ method }) => method.id).join("+")}+${followerOf(writes)}`,
  });
}

/** A method that learns from rewards which another one has changed, as it is asked for on the command line. */
function followerOf(writes: readonly string[]): string {
  if (writes.includes("tokens.reward")) return "reinforce-pp";
  return writes.includes("rollout.reward_shaped") ? "grpo -p grpo.reward_column=rollout.reward_shaped" : "grpo";
}

/** `rollout.weight` and `rollout.keep`, spread over policy tokens. */
function rolloutWeights(batch: Batch, rows: PolicyRows, written: (path: string) => boolean): Float64Array | null {
  let out: Float64Array | null = null;
  for (const path of ["rollout.weight", "rollout.keep"]) {
    if (!written(path)) continue;
    const factor = batch.numbers(path, { absent: 1, missing: 1 });
    const spread = new Float64Array(rows.tokens.length);
    for (let i = 0; i < batch.size; i++) spread.fill(factor[i], rows.offsets[i], rows.offsets[i + 1]);
    out = times(out, spread);
  }
  return out;
}

function times(a: Float64Array | null, b: Float64Array | null): Float64Array | null {
  if (a === null || b === null) return a ?? b;
  return a.map((x, k) => x * b[k]);
}

/** Columns that one of the methods may read. */
export function readColumns(calls: readonly CreditCall[]): Set<string> {
  return new Set(calls.flatMap(({ method }) => method.reads.flatMap((entry) => parseRead(entry).anyOf)));
}

/** Whether one of the methods may read what a critic has learned. */
export function readsValues(calls: readonly CreditCall[]): boolean {
  const columns = readColumns(calls);
  return ["tokens.value", "turns.value", "turns.potential"].some((path) => columns.has(path));
}

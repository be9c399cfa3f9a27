import { InputError } from "../../../rollouts/index.ts";
import { bucket, lengthBucket } from "../buckets.ts";
import { type Block, blockedLogit, type Decisions, type Outcomes } from "../compiled.ts";
import type { Evaluation, Recorded } from "../policy.ts";
import type { FullShape } from "./shape.ts";

/** Sequences and tokens of one compiled call at most. */
const mostSequences = 64;
const mostRows = 4096;
/** Shared beginnings are worked out once from this length on, in steps of it, so that there are few shapes. */
const prefixStep = 16;

/** A recorded episode as the network reads it. */
interface Sequence {
  trace: Recorded;
  /** Place of its first token among those of all traces. */
  at: number;
  /** Tokens to be read: up to the one before the last that was chosen. */
  length: number;
}

/** Some recorded episodes, padded to one shape. */
export interface PaddedBatch {
  decisions: Decisions;
  /** Per chosen token: row of the call, and place among the tokens of all traces. */
  rows: Int32Array;
  places: Int32Array;
}

function sequencesOf(traces: readonly Recorded[]): Sequence[] {
  const made: Sequence[] = [];
  let at = 0;
  for (const trace of traces) {
    const last = trace.mask.lastIndexOf(1);
    if (last >= 0) made.push({ trace, at, length: trace.prompt.length + last + 1 });
    at += trace.tokens.length;
  }
  return made;
}

/**
 * How many tokens, the start included, all episodes begin with: at most what comes before the last token of each
 * prompt, and a multiple of 16.
 */
function sharedPrefix(sequences: readonly Sequence[]): number {
  if (sequences.length < 2) return 0;
  const [{ prompt: first }] = sequences.map(({ trace }) => trace);
  let shared = first.length;
  for (const {
    trace: { prompt },
  } of sequences) {
    let k = 0;
    while (k < shared && k < prompt.length && prompt[k] === first[k]) k++;
    shared = k;
  }
  return shared - (shared % prefixStep);
}

/**
 * Recorded episodes in batches of equal length: sorted by length, so that little is padding, in groups of at most 64
 * and 4096 tokens. A beginning that all share is put aside as their prefix. Masks of illegal tokens are made only where
 * a policy has them.
 * @throws InputError when an episode is longer than the context.
 */
export function* padded(
  traces: readonly Recorded[],
  shape: FullShape,
  start: number,
  isConstrained: boolean,
): Generator<PaddedBatch> {
  const sequences = sequencesOf(traces).sort((a, b) => b.length - a.length || a.at - b.at);
  const longest = sequences[0]?.length ?? 0;
  if (longest > shape.context) {
    const place = { column: "context", expected: `at most ${shape.context} tokens`, got: `${longest}` };
    throw new InputError("a trace is longer than the context of the policy", place);
  }
  const prefix = sharedPrefix(sequences);
  for (let from = 0; from < sequences.length; ) {
    const length = Math.min(shape.context - prefix, lengthBucket(sequences[from].length - prefix));
    let most = mostSequences;
    while (most > 1 && most * length > mostRows) most /= 2;
    const part = sequences.slice(from, from + most);
    const size = bucket(part.length, Math.min(8, most), most);
    yield pad(part, { size, length, prefix, start, columns: isConstrained ? shape.columns : 0 });
    from += part.length;
  }
}

function pad(
  sequences: readonly Sequence[],
  {
    size,
    length,
    prefix,
    start,
    columns,
  }: { size: number; length: number; prefix: number; start: number; columns: number },
): PaddedBatch {
  const ids = new Int32Array(size * length);
  const taken = new Int32Array(size * length);
  const blocked = columns > 0 ? new Float32Array(size * length * columns) : null;
  const inputs: Record<string, Block> = { ids: { data: ids, shape: [size, length] } };
  const rows: number[] = [];
  const places: number[] = [];
  sequences.forEach(({ trace: { prompt, tokens, mask, allowed }, at, length: used }, s) => {
    const from = s * length;
    const read = Int32Array.of(start, ...prompt, ...tokens.subarray(0, used - prompt.length - 1));
    ids.set(read.subarray(prefix), from);
    if (s === 0 && prefix > 0) inputs.prefix = { data: read.slice(0, prefix), shape: [1, prefix] };
    for (let k = 0; k < used - prompt.length; k++) {
      if (mask[k] === 0) continue;
      const row = from + prompt.length - prefix + k;
      taken[row] = tokens[k];
      rows.push(row);
      places.push(at + k);
      const open = allowed[k];
      if (blocked === null || open === null) continue;
      for (let c = 0; c < open.length; c++) if (open[c] === 0) blocked[row * columns + c] = blockedLogit;
    }
  });
  return { decisions: { inputs, taken, blocked }, rows: Int32Array.from(rows), places: Int32Array.from(places) };
}

/** Numbers per token of all traces at the rows of a padded call; zeros elsewhere. */
export function scatter(given: ArrayLike<number> | undefined, { decisions, rows, places }: PaddedBatch): Float32Array {
  const made = new Float32Array(decisions.taken.length);
  if (given !== undefined) for (let k = 0; k < rows.length; k++) made[rows[k]] = given[places[k]];
  return made;
}

/** Writes what a padded call gave to the places of its tokens. */
export function gather(from: Outcomes, { rows, places }: PaddedBatch, into: Evaluation, width: number): void {
  for (let k = 0; k < rows.length; k++) {
    const [row, place] = [rows[k], places[k]];
    into.logprob[place] = Math.min(0, from.logprob[row]);
    into.entropy[place] = Math.max(0, from.entropy[row]);
    if (into.value !== null && from.value !== null) into.value[place] = from.value[row];
    if (from.hidden !== null) into.hidden?.set(from.hidden.subarray(row * width, (row + 1) * width), place * width);
  }
}

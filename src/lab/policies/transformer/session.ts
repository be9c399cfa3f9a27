import { InputError } from "../../../rollouts/index.ts";
import { Distribution } from "../distribution.ts";
import type { Choice, Moment, Request, Sampling, Session, Trace } from "../policy.ts";
import { Recording } from "../recording.ts";
import { requireSampling } from "../sampling.ts";
import { Slots } from "../slots.ts";
import { Cache, type Decoder, type Input } from "./decoder.ts";
import type { Spellings, Words } from "./vocabulary.ts";

/** What an episode has read, and what it still has to read before it can act. */
interface Reader {
  cache: Cache;
  /** Read with the next step; never empty. */
  pending: number[];
  recording: Recording;
}

/** An action while it is written. */
interface Writing {
  request: Request;
  reader: Reader;
  from: number;
  ids: number[];
}

/** What a session needs of its policy. */
export interface SessionPolicy {
  readonly words: Words;
  /** Where only legal actions may be written; null where anything may. */
  readonly spellings: Spellings | null;
  /** The network with the parameters as they are. */
  decoder(): Decoder;
}

const defaultMaxTokens = 32;
/** Prompts that are kept; then they are forgotten all at once. */
const mostPrompts = 256;

/** Episodes of a token policy, sampled together with the keys and values of what they have read. */
export class TransformerSession implements Session {
  readonly #policy: SessionPolicy;
  readonly #sampling: Sampling;
  readonly #decoder: Decoder;
  readonly #slots = new Slots<Reader>();
  /** What prompts leave in the cache, all but their last token: episodes that begin alike read it once. */
  readonly #prompts = new Map<string, Cache>();
  readonly #distribution: Distribution;

  constructor(policy: SessionPolicy, sampling: Sampling) {
    requireSampling(sampling);
    this.#policy = policy;
    this.#sampling = sampling;
    this.#decoder = policy.decoder();
    this.#distribution = new Distribution(policy.words.choices);
  }

  open(prompt: string): number {
    const { words } = this.#policy;
    const { value, width } = this.#decoder.shape;
    const ids = words.encode(prompt);
    const recording = new Recording(Int32Array.from(ids), value, this.#sampling.hidden ? width : 0);
    const all = [words.start, ...ids];
    return this.#slots.add({ cache: this.#promptCache(prompt, all), pending: all.slice(-1), recording });
  }

  #promptCache(prompt: string, ids: readonly number[]): Cache {
    let cache = this.#prompts.get(prompt);
    if (cache === undefined) {
      cache = new Cache(this.#decoder.shape.layers);
      this.#read([{ cache, pending: ids.slice(0, -1) }]);
      if (this.#prompts.size === mostPrompts) this.#prompts.clear();
      this.#prompts.set(prompt, cache);
    }
    return cache.copy();
  }

  choose(requests: readonly Request[]): Choice[] {
    const writings = requests.map((request): Writing => {
      const reader = this.#slots.at(request.slot);
      return { request, reader, from: reader.recording.length, ids: [] };
    });
    let open = writings;
    while (open.length > 0) {
      this.#read(open.map(({ reader }) => reader));
      open = open.filter((writing, row) => !this.#write(writing, row));
    }
    return writings.map(({ ids, from, reader }) => ({
      action: this.#policy.words.decode(ids),
      from,
      to: reader.recording.length,
    }));
  }

  /** Reads what is pending; row k of the decoder is then what follows the last token of reader k. */
  #read(readers: readonly Pick<Reader, "cache" | "pending">[]): void {
    if (this.#decoder !== this.#policy.decoder()) throw new Error("the parameters changed: open a new session");
    const { context } = this.#decoder.shape;
    const inputs: Input[] = [];
    readers.forEach(({ cache, pending }, row) => {
      if (cache.length + pending.length > context) {
        const place = { column: "context", expected: `at most ${context} tokens`, got: "more" };
        throw new InputError("an episode is longer than the context of the policy", place);
      }
      pending.forEach((token, k) => {
        inputs.push({ cache, token, into: k === pending.length - 1 ? row : -1 });
      });
    });
    this.#decoder.read(inputs);
    for (const reader of readers) reader.pending = [];
  }

  /** Draws the next token of an action from a row of the decoder; true when that completes it. */
  #write({ request, reader, ids }: Writing, row: number): boolean {
    const { words, spellings } = this.#policy;
    const { shape, logits, value, hidden } = this.#decoder;
    const distribution = this.#distribution;
    const allowed = spellings === null ? null : spellings.next(request.actions, ids);
    distribution.of(logits, row * shape.choices, allowed);
    const { entropy } = distribution;
    const token = distribution.draw(request.random, this.#sampling);
    const drawn = {
      logprob: distribution.logprob(token),
      samplingLogprob: Math.log(distribution.probabilities[token]),
      entropy,
      value: value[row],
    };
    const state = this.#sampling.hidden
      ? Float32Array.from(hidden.subarray(row * shape.width, (row + 1) * shape.width))
      : null;
    reader.recording.chose(token, allowed, drawn, state);
    reader.pending.push(token);
    ids.push(token);
    const { maxTokens = defaultMaxTokens } = this.#sampling;
    return words.end === null || token === words.end || ids.length >= maxTokens;
  }

  observe(slot: number, text: string): void {
    if (text === "") return;
    const { recording, pending } = this.#slots.at(slot);
    const ids = this.#policy.words.encode(` ${text}`);
    recording.read(Int32Array.from(ids));
    pending.push(...ids);
  }

  /**
   * Sum over the tokens of the action; where only legal actions may be written, among `actions`, else among all texts.
   */
  score({ slot, actions }: Moment, action: string): number {
    const { words, spellings } = this.#policy;
    const ids = words.encodeAction(action);
    if (spellings !== null && !actions.includes(action)) {
      throw new InputError("the action may not be taken here", { expected: actions.join(", "), got: action });
    }
    const { cache, pending, recording } = this.#slots.at(slot);
    const reader = { cache: cache.copy(), pending: pending.slice(), recording };
    let sum = 0;
    ids.forEach((id, k) => {
      this.#read([reader]);
      const allowed = spellings === null ? null : spellings.next(actions, ids.slice(0, k));
      this.#distribution.of(this.#decoder.logits, 0, allowed);
      sum += this.#distribution.logprob(id);
      reader.pending.push(id);
    });
    return sum;
  }

  length(slot: number): number {
    return this.#slots.at(slot).recording.length;
  }

  fork(slot: number): number {
    const { cache, pending, recording } = this.#slots.at(slot);
    return this.#slots.add({ cache: cache.copy(), pending: pending.slice(), recording: recording.copy() });
  }

  trace(slot: number): Trace {
    return this.#slots.at(slot).recording.trace();
  }

  close(slot: number): void {
    this.#slots.close(slot);
  }
}

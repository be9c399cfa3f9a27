import { InputError } from "../../../rollouts/index.ts";
import { splitWords } from "../../environments/vocabulary.ts";

/**
 * Words as token ids: the words of the environment in their order, then `<end>` where actions are ended by the policy,
 * then what is only read: `<start>` and `<unknown>`.
 */
export class Words {
  readonly words: readonly string[];
  /** Written by the policy when its action is complete; null where every action is one token. */
  readonly end: number | null;
  readonly start: number;
  readonly unknown: number;
  /** Ids below this can be chosen. */
  readonly choices: number;
  readonly size: number;
  readonly #ids: ReadonlyMap<string, number>;

  /**
   * @param given words; those that stand twice count once.
   * @throws InputError when there is none.
   */
  constructor(given: readonly string[], withEnd: boolean) {
    const words = [...new Set(given)];
    if (words.length === 0) throw new InputError("a token policy needs words", { column: "words", got: "none" });
    this.#ids = new Map(words.map((word, id) => [word, id]));
    this.words = words;
    this.end = withEnd ? words.length : null;
    this.choices = words.length + (withEnd ? 1 : 0);
    this.start = this.choices;
    this.unknown = this.choices + 1;
    this.size = this.choices + 2;
  }

  /** A word that is not known with the space before it may be known without, and the other way round. */
  #id(word: string): number {
    const near = word.startsWith(" ") ? word.slice(1) : ` ${word}`;
    return this.#ids.get(word) ?? this.#ids.get(near) ?? this.unknown;
  }

  encode(text: string): number[] {
    return splitWords(text).map((word) => this.#id(word));
  }

  /**
   * Ids of an action that the policy could write, its end included.
   * @throws InputError when one of its words is unknown, or it is more than one token where it has to be one.
   */
  encodeAction(action: string): number[] {
    const ids = splitWords(action).map((word) => this.#ids.get(word) ?? this.unknown);
    if (ids.length === 0 || ids.includes(this.unknown)) {
      throw new InputError("the policy cannot write this action", { got: action, hint: "name all words of actions" });
    }
    if (this.end !== null) return [...ids, this.end];
    if (ids.length === 1) return ids;
    throw new InputError("an action at the level of tokens is one word", { got: action });
  }

  text(id: number): string {
    if (id === this.end) return "<end>";
    if (id === this.start) return "<start>";
    return this.words[id] ?? "<unknown>";
  }

  /** The action that was written; its end is nothing. */
  decode(ids: readonly number[]): string {
    return ids.map((id) => (id === this.end ? "" : this.text(id))).join("");
  }
}

/** Which tokens may follow, where only legal actions may be written. */
export class Spellings {
  readonly #words: Words;
  readonly #spelled = new Map<string, readonly number[]>();
  readonly #masks = new Map<string, Uint8Array>();

  constructor(words: Words) {
    this.#words = words;
  }

  #spell(action: string): readonly number[] {
    let ids = this.#spelled.get(action);
    if (ids === undefined) {
      ids = this.#words.encodeAction(action);
      this.#spelled.set(action, ids);
    }
    return ids;
  }

  /** 1 at the tokens that go on from `written` towards one of the actions. Equal masks are one array. */
  next(actions: readonly string[], written: readonly number[]): Uint8Array {
    const open = new Set<number>();
    for (const action of actions) {
      const ids = this.#spell(action);
      if (ids.length > written.length && written.every((id, k) => ids[k] === id)) open.add(ids[written.length]);
    }
    if (open.size === 0) throw new InputError("no action may be taken here", { hint: "the episode is over" });
    const sorted = [...open].sort((a, b) => a - b);
    const key = sorted.join();
    let mask = this.#masks.get(key);
    if (mask === undefined) {
      mask = new Uint8Array(this.#words.choices);
      for (const id of sorted) mask[id] = 1;
      this.#masks.set(key, mask);
    }
    return mask;
  }
}

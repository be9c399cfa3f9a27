import type { Environment } from "../../src/lab/environments/environment.ts";
import { splitWords } from "../../src/lab/environments/vocabulary.ts";

/** Written by an agent when its action is complete. */
const endOfTurn = "<end>";

/** What an environment says and hears as token ids: one id per word, and one for the end of a turn. */
export class EnvironmentTokens {
  readonly words: readonly string[];
  /** Id of the token that ends a turn. */
  readonly end: number;
  readonly #ids: ReadonlyMap<string, number>;
  readonly #id: string;

  constructor(environment: Environment) {
    this.words = [...new Set(environment.words()), endOfTurn];
    this.end = this.words.length - 1;
    this.#ids = new Map(this.words.map((word, id) => [word, id]));
    this.#id = environment.facts.id;
  }

  get size(): number {
    return this.words.length;
  }

  /**
   * Token ids of a text.
   * @throws Error for a word that the environment did not name.
   */
  encode(text: string): number[] {
    return splitWords(text).map((word) => {
      const id = this.#ids.get(word);
      if (id === undefined) throw new Error(`environment ${this.#id} has no word ${JSON.stringify(word)}`);
      return id;
    });
  }

  /** Ids of what is told after an action: the text behind a space, nothing if there is none. */
  encodeObservation(observation: string): number[] {
    return observation === "" ? [] : this.encode(` ${observation}`);
  }

  /** The text of token ids; the end of a turn is nothing. */
  decode(ids: ArrayLike<number>): string {
    return Array.from(ids, (id) => (id === this.end ? "" : this.words[id])).join("");
  }
}

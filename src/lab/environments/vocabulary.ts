const piece = /\s?[\p{L}\p{N}_]+|\s?[^\s\p{L}\p{N}_]|\s+/gu;

/** Splits text into words and marks, each with the space before it: joined they give the text again. */
export function splitWords(text: string): string[] {
  return text.match(piece) ?? [];
}

/** Token ids for text: every new piece gets the next id, so equal texts have equal ids. */
export class Vocabulary {
  readonly #ids = new Map<string, number>();

  get size(): number {
    return this.#ids.size;
  }

  id(token: string): number {
    let id = this.#ids.get(token);
    if (id === undefined) {
      id = this.#ids.size;
      this.#ids.set(token, id);
    }
    return id;
  }
}

/**
 * Cuts a text into words, numbers and single signs without losing anything: the blanks before a word belong to it, a
 * line break is a token of its own, so are the calculator marks << and >>, and the tokens put together are the text.
 */
export function wordTokens(text: string): string[] {
  return text.match(/\r?\n|[^\S\n]*(?:[\p{L}\p{N}_]+|<<|>>|[^\s\p{L}\p{N}_])|[^\S\n]+/gu) ?? [];
}

/** Gives every distinct text a number of its own, in order of first appearance. */
export class WordTable {
  readonly #ids = new Map<string, number>();

  id(text: string): number {
    let id = this.#ids.get(text);
    if (id === undefined) {
      id = this.#ids.size;
      this.#ids.set(text, id);
    }
    return id;
  }
}

/** Tokens and steps of a text, one step per line that is not blank; blank lines belong to the line before them. */
export interface WordedText {
  tokens: { id: number[]; text: string[] };
  steps: { end: number[]; text: string[] };
}

/** Cuts a text into word tokens and its lines into steps. */
export function wordedText(text: string, table: WordTable): WordedText {
  const words = wordTokens(text);
  const end: number[] = [];
  const lines: string[] = [];
  let line = "";
  words.forEach((word, k) => {
    line += word;
    const last = k === words.length - 1;
    if (!last && !word.endsWith("\n")) return;
    const blank = line.trim() === "";
    if (blank && end.length > 0) end[end.length - 1] = k + 1;
    else if (!blank || last) {
      end.push(k + 1);
      lines.push(line.trim());
    } else return;
    line = "";
  });
  return {
    tokens: { id: words.map((word) => table.id(word)), text: words },
    steps: { end, text: lines },
  };
}

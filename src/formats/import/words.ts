import type { RolloutObject } from "../../rollouts/index.ts";

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
  const { end, lines } = lineEnds(words);
  return { tokens: { id: words.map((word) => table.id(word)), text: words }, steps: { end, text: lines } };
}

/** Where the lines of a text that is cut into words end; blank lines belong to the line before them. */
function lineEnds(words: readonly string[]): { end: number[]; lines: string[] } {
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
  return { end, lines };
}

/**
 * Gives a rollout that has turns with text, but neither tokens nor steps, words for tokens: those of `turns.text` are the
 * policy's (mask 1), those of `turns.observation` the environment's (mask 0), after a line break. Lines of the text are
 * steps; what was observed belongs to the last step of its turn. A turn without any text is one line break.
 */
export function withWords(rollout: RolloutObject, table: WordTable): RolloutObject {
  const { turns } = rollout;
  if (turns?.text === undefined || rollout.tokens !== undefined || rollout.steps !== undefined) return rollout;
  const tokens = { id: [] as number[], text: [] as string[], mask: [] as number[] };
  const steps = { end: [] as number[], text: [] as string[] };
  const add = (words: readonly string[], mask: 0 | 1) => {
    for (const word of words) {
      tokens.id.push(table.id(word));
      tokens.text.push(word);
      tokens.mask.push(mask);
    }
  };
  const end = turns.text.map((text, turn) => {
    const words = wordTokens(String(text ?? ""));
    const observed = String(turns.observation?.[turn] ?? "");
    const written = words.length === 0 && observed === "" ? ["\n"] : words;
    const ends = lineEnds(written);
    for (const at of ends.end) steps.end.push(tokens.id.length + at);
    steps.text.push(...ends.lines);
    add(written, 1);
    if (observed !== "") add(["\n", ...wordTokens(observed)], 0);
    if (written.length === 0) {
      steps.end.push(tokens.id.length);
      steps.text.push("");
    } else steps.end[steps.end.length - 1] = tokens.id.length;
    return tokens.id.length;
  });
  return { ...rollout, tokens, steps, turns: { ...turns, end } };
}

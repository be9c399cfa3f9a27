import { needed } from "../../analysis/feed.ts";
import { type Feature, questions } from "../../methods/survey/selection.ts";
import { tableLines } from "./table.ts";
import type { Terminal } from "./terminal.ts";
import { truncate, wrap } from "./text.ts";

/** One answer on the way through the tree, and where it comes from. */
export interface Answer {
  feature: Feature;
  value: boolean;
  by: "answer" | "file" | "asked" | "default";
  why: string;
}

/** One method of the short list. */
export interface Recommendation {
  method: string;
  title: string;
  /** The name by which the tree recommends it. */
  as: string;
  reason: string;
  /** Whether the file can feed it; null without a file, or for a method that is no credit rule. */
  runs: boolean | null;
  missing: readonly string[];
  command: string;
}

export interface Advice {
  file: string | null;
  answers: readonly Answer[];
  /** Best first. */
  recommend: readonly Recommendation[];
  /** Names of suitable methods that are not in the catalogue. */
  elsewhere: readonly string[];
}

/** The view of one advice: the way through the questions, then the short list. */
export function adviceLines(advice: Advice, { style, width }: Terminal): string[] {
  const way = tableLines(
    [{ title: "question", shrinkTo: 24, wraps: true }, { title: "" }, { title: "because", shrinkTo: 12, wraps: true }],
    advice.answers.map(({ feature, value, why }) => [
      questions[feature],
      { text: value ? "yes" : "no", set: value ? style.bold : style.dim },
      { text: why, set: style.dim },
    ]),
    { style, width },
  );
  const list = advice.recommend.flatMap(({ method, title, as, reason, runs, missing, command }, k) => {
    const name = as === method ? method : `${method} (${as})`;
    const head = ` ${k + 1} ${style.accent(name)}  ${style.dim(truncate(title, Math.max(10, width - name.length - 6)))}`;
    const feed = runs === null ? [] : runs ? ["the file has all it needs"] : [`the file lacks ${needed(missing)}`];
    const text = [reason, ...feed].flatMap((line) => wrap(line, width - 4).map((one) => `   ${one}`));
    return ["", head, ...text, `   ${style.bold(command)}`];
  });
  const guessed = advice.answers.filter(({ by }) => by === "default").map(({ feature }) => feature);
  const notes = [
    ...(advice.elsewhere.length > 0
      ? [`Suitable too, but not in this catalogue: ${advice.elsewhere.join(", ")}.`]
      : []),
    ...(guessed.length > 0
      ? [`Taken for no: ${guessed.join(", ")}. Say otherwise with --answer ${guessed[0]}=yes.`]
      : []),
  ];
  return [...way, ...list, ...notes.flatMap((note) => ["", ...wrap(note, width - 2).map((line) => ` ${line}`)])];
}

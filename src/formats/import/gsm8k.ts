import type { RolloutObject } from "../../rollouts/index.ts";
import { isObject, objectOf, present, scoreField, textField, wrongField } from "./fields.ts";
import type { Importer, RecordReader, RecordSource } from "./importer.ts";
import { WordTable, wordedText } from "./words.ts";

/** Final answer of a solution: what stands after the last `A:` or `####` at the beginning of a line; null without one. */
export function finalAnswer(solution: string): string | null {
  const marks = [...solution.matchAll(/^[^\S\n]*(?:A:|####)[^\S\n]*(.*)$/gm)];
  const written = marks.at(-1)?.[1] ?? "";
  const answer = written
    .trim()
    .replace(/^(-?)\$/, "$1")
    .replace(/,/g, "")
    .replace(/\.$/, "");
  return answer === "" ? null : answer;
}

function isSolution(value: unknown): boolean {
  return isObject(value) && "solution" in value && "is_correct" in value;
}

function* solutions(value: unknown, source: RecordSource, table: WordTable): Generator<RolloutObject> {
  const record = objectOf(value, "an object with question, ground_truth and solutions");
  const question = textField(record, "question");
  const truth = textField(record, "ground_truth");
  const models = Object.keys(record).filter((key) => isSolution(record[key]));
  if (models.length === 0)
    throw wrongField("(model name)", "at least one object with solution and is_correct", undefined);
  const group = `${source.prefix}q${source.index + 1}`;
  for (const model of models) {
    const entry = objectOf(record[model], "a solution");
    const solution = textField(entry, "solution");
    const { tokens, steps } = wordedText(solution, table);
    yield {
      id: `${group}-${model}`,
      group,
      reward: scoreField(entry, "is_correct"),
      signals: { answer: finalAnswer(solution) },
      tokens,
      steps,
      messages: [
        { role: "user", content: question },
        { role: "assistant", content: solution },
      ],
      meta: present({ model, question, ground_truth: truth, gold_answer: finalAnswer(truth) }),
    };
  }
}

function start(): RecordReader {
  const table = new WordTable();
  return (record, source) => solutions(record, source, table);
}

/** Model solutions published with GSM8K. */
export const gsm8k: Importer = {
  id: "gsm8k",
  title: "GSM8K model solutions",
  describe:
    "JSON lines of {question, ground_truth, MODEL: {solution, is_correct}, …}. A problem is a group, each model's " +
    "solution a rollout. Lines are steps, words are tokens; tokens.id numbers the distinct words of the whole import.",
  looksFor: "records with question, ground_truth and objects that hold solution and is_correct",
  recognises: ({ record }) =>
    isObject(record) && "question" in record && "ground_truth" in record && Object.values(record).some(isSolution)
      ? 0.95
      : 0,
  start,
};

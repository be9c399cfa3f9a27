import type { RolloutObject } from "../../rollouts/index.ts";
import { completionParts, numericFields, otherThanNumbers, promptGroup } from "./completion.ts";
import { isObject, type JsonObject, nameField, objectOf, present, scoreField } from "./fields.ts";
import type { Importer, ImportOptions, RecordSource } from "./importer.ts";

const taken = new Set(["prompt", "completion", "step", "advantage", "mode", "id", "reward"]);

/** Outcome of a row: the named column, else `reward`, else the sum of the reward columns as TRL adds them by default. */
function outcome(record: JsonObject, rewards: Record<string, number | null>, options: ImportOptions): number | null {
  if (options.reward !== undefined) return scoreField(record, options.reward);
  if ("reward" in record) return scoreField(record, "reward");
  const scores = Object.values(rewards).filter((score) => score !== null);
  return scores.length === 0 ? null : scores.reduce((sum, score) => sum + score, 0);
}

function* rollouts(value: unknown, source: RecordSource, options: ImportOptions): Generator<RolloutObject> {
  const record = objectOf(value, "an object with prompt and completion");
  const { turns, messages, meta } = completionParts(record.prompt, record.completion);
  const rewards = numericFields(record, taken);
  const byField =
    options.group === undefined || options.group === "prompt" ? undefined : nameField(record, options.group);
  const advantage = scoreField(record, "advantage");
  const step = scoreField(record, "step");
  const signals = present({ recorded_advantage: advantage, training_step: step });
  yield {
    id: nameField(record, "id") ?? `${source.stem}-${source.index}`,
    group: byField ?? promptGroup(record.prompt, record.step),
    reward: outcome(record, rewards, options),
    ...(Object.keys(rewards).length > 0 ? { rewards } : {}),
    ...(Object.keys(signals).length > 0 ? { signals } : {}),
    turns,
    ...(messages === undefined ? {} : { messages }),
    meta: { ...otherThanNumbers(record, taken), ...meta },
  };
}

/** Completions that TRL logs while it trains. */
export const trl: Importer = {
  id: "trl",
  title: "TRL completions",
  describe:
    "JSON lines of {step, prompt, completion, one column per reward function, advantage} (save TRL's Parquet as JSON " +
    "lines first). Prompts of one step make a group; number columns become rewards and their sum the reward; TRL's own " +
    "advantage is kept as signals.recorded_advantage.",
  looksFor: "records with prompt and completion",
  recognises: ({ record }) => {
    if (!isObject(record) || !("prompt" in record) || !("completion" in record) || "example_id" in record) return 0;
    return "advantage" in record || "step" in record ? 0.9 : 0.6;
  },
  start: (options) => (record, source) => rollouts(record, source, options),
};

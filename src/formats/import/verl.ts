import type { RolloutObject } from "../../rollouts/index.ts";
import { completionParts, numericFields, otherThanNumbers, promptGroup } from "./completion.ts";
import { isObject, nameField, objectOf, present, scoreField, textField } from "./fields.ts";
import type { Importer, ImportOptions, RecordSource } from "./importer.ts";

const taken = new Set(["input", "output", "gts", "score", "step", "uid", "pred"]);

function* rollouts(value: unknown, source: RecordSource, options: ImportOptions): Generator<RolloutObject> {
  const record = objectOf(value, "an object with input, output and score");
  const input = textField(record, "input");
  const { turns, meta } = completionParts(input, textField(record, "output"));
  const groupField = options.group ?? "uid";
  const named = groupField === "prompt" ? undefined : nameField(record, groupField);
  const rewards = numericFields(record, taken);
  const signals = present({ training_step: scoreField(record, "step"), answer: nameField(record, "pred") });
  yield {
    id: `${source.stem}-${source.index}`,
    group: named ?? promptGroup(input, record.step),
    reward: scoreField(record, options.reward ?? "score"),
    ...(Object.keys(rewards).length > 0 ? { rewards } : {}),
    ...(Object.keys(signals).length > 0 ? { signals } : {}),
    turns,
    meta: { ...otherThanNumbers(record, taken), ...present({ ground_truth: record.gts }), ...meta },
  };
}

/** Generations that verl dumps while it trains or validates. */
export const verlDump: Importer = {
  id: "verl",
  title: "verl rollout dumps",
  describe:
    "JSON lines of {input, output, gts, score, step, uid, …}. The group is uid, else all rows of one step with the same " +
    "input. Other numbers become rewards, gts becomes meta.ground_truth. The dump has text only, no token ids.",
  looksFor: "records with input, output and score",
  recognises: ({ record }) =>
    isObject(record) && typeof record.input === "string" && typeof record.output === "string" && "score" in record
      ? 0.9
      : 0,
  start: (options) => (record, source) => rollouts(record, source, options),
};

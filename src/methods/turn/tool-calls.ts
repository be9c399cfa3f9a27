import type { Matrix } from "../../operators/matching.ts";
import { describe, InputError } from "../../rollouts/index.ts";

/** A tool call ready to be compared: its name, and each parameter's value written in one canonical way. */
export interface ToolCall {
  readonly name: string;
  readonly values: ReadonlyMap<string, string>;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}

/** JSON with sorted keys: two values are equal as JSON exactly when this text is (1 and 1.0 are one number). */
function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  if (!isObject(value)) return JSON.stringify(value) ?? "null";
  const keys = Object.keys(value).sort();
  return `{${keys.map((key) => `${JSON.stringify(key)}:${canonicalJson(value[key])}`).join(",")}}`;
}

/**
 * Takes a call `{name, arguments}` apart. Arguments that are not an object count as none.
 * @throws InputError when it is not an object with a name.
 */
export function toolCall(value: unknown): ToolCall {
  if (!isObject(value) || typeof value.name !== "string") {
    const got = isObject(value) ? `name ${describe(value.name)}` : describe(value);
    throw new InputError("not a tool call", { expected: "an object with a name", got });
  }
  const given = isObject(value.arguments) ? value.arguments : {};
  return {
    name: value.name,
    values: new Map(Object.entries(given).map(([name, x]) => [name, canonicalJson(x)])),
  };
}

/**
 * Similarity of a predicted and a reference call (MatchTIR, arXiv 2601.10712): 0 when the names differ, else
 * S = (1 + J + E) / (2 + |N_g|), J = Jaccard index of the parameter names (1 when both have none), E = number of
 * reference parameters that the prediction has with an equal value. In [0, 1].
 */
export function toolSimilarity(predicted: ToolCall, reference: ToolCall, caseSensitive: boolean): number {
  const sameName = caseSensitive
    ? predicted.name === reference.name
    : predicted.name.toLowerCase() === reference.name.toLowerCase();
  if (!sameName) return 0;
  let shared = 0;
  let equal = 0;
  for (const [name, value] of reference.values) {
    const given = predicted.values.get(name);
    if (given === undefined) continue;
    shared++;
    if (given === value) equal++;
  }
  const union = predicted.values.size + reference.values.size - shared;
  const jaccard = union === 0 ? 1 : shared / union;
  return (1 + jaccard + equal) / (2 + reference.values.size);
}

/** Similarity of every predicted call (rows) to every reference call (columns). */
export function similarityMatrix(
  predicted: readonly ToolCall[],
  reference: readonly ToolCall[],
  caseSensitive: boolean,
): Matrix {
  const values = new Float64Array(predicted.length * reference.length);
  predicted.forEach((call, i) => {
    reference.forEach((gold, j) => {
      values[i * reference.length + j] = toolSimilarity(call, gold, caseSensitive);
    });
  });
  return { rows: predicted.length, columns: reference.length, values };
}

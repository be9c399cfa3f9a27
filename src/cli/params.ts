import { readFile } from "node:fs/promises";
import { closest } from "../methods/closest.ts";
import type { Method } from "../methods/method.ts";
import { describe, InputError } from "../rollouts/errors.ts";

/** Parameters as they stand on the command line; `only` is the method that `--param METHOD.NAME=VALUE` names. */
export interface GivenParam {
  name: string;
  only: string | null;
  value: unknown;
  /** Whether the value is text of the command line, still to be read by the type of its parameter. */
  text: boolean;
}

interface Readable {
  safeParse(value: unknown): { success: boolean };
}

/** What a text may stand for, likeliest first: a number, true, false, null, a JSON list or object, a bare list, text. */
function readings(text: string): unknown[] {
  const found: unknown[] = [];
  const number = Number(text);
  if (text.trim() !== "" && Number.isFinite(number)) found.push(number);
  else {
    try {
      found.push(JSON.parse(text));
    } catch {
      // not JSON: a bare list or plain text
    }
  }
  found.push(text);
  const items = text.trim() === "" ? [] : text.split(",").map((item) => item.trim());
  found.push(
    items.map((item) => (Number.isFinite(Number(item)) && item !== "" ? Number(item) : item)),
    items,
  );
  return found;
}

/** The value of a text by the type of its parameter; text that fits no reading is passed on for the type to refuse. */
export function readValue(schema: Readable | undefined, text: string): unknown {
  const candidates = readings(text);
  return candidates.find((value) => schema?.safeParse(value).success) ?? candidates[0];
}

/** Takes `name=value` or `method.name=value` apart. */
export function parseParam(text: string): GivenParam {
  const equals = text.indexOf("=");
  const key = text.slice(0, equals).trim();
  if (equals < 1 || key === "") throw new InputError("--param is not valid", { expected: "NAME=VALUE", got: text });
  const dot = key.lastIndexOf(".");
  const value = text.slice(equals + 1);
  return { name: key.slice(dot + 1), only: dot < 0 ? null : key.slice(0, dot), value, text: true };
}

/** Parameters of a JSON file: an object of values, or of such objects under the ids of the methods. */
export async function readParamsFile(file: string, ids: readonly string[]): Promise<GivenParam[]> {
  let parsed: unknown;
  const text = await readFile(file, "utf8");
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw new InputError("not JSON", { file, got: (error as Error).message });
  }
  const isObject = (value: unknown) => value !== null && typeof value === "object" && !Array.isArray(value);
  if (!isObject(parsed))
    throw new InputError("not a file of parameters", { file, expected: "an object", got: describe(parsed) });
  return Object.entries(parsed as Record<string, unknown>).flatMap(([name, value]): GivenParam[] =>
    ids.includes(name) && isObject(value)
      ? Object.entries(value as object).map(([inner, x]) => ({ name: inner, only: name, value: x, text: false }))
      : [{ name, only: null, value, text: false }],
  );
}

function unknownParam(given: GivenParam, methods: readonly Method[]): InputError {
  const known = [...new Set(methods.flatMap((method) => Object.keys(method.params.shape)))];
  const [near] = closest(given.name, known, 1);
  return new InputError(`unknown parameter ${given.name}`, {
    method: methods.map((method) => method.id).join(", "),
    expected: known.length > 0 ? `one of ${known.join(", ")}` : "no parameters",
    hint: near === undefined ? undefined : `did you mean ${near}?`,
  });
}

/**
 * The parameters of each method. With several methods, a parameter goes to all that have it and must belong to one.
 * Later ones win over earlier ones.
 */
export function paramsByMethod(
  methods: readonly Method[],
  given: readonly GivenParam[],
): Map<string, Record<string, unknown>> {
  const byId = new Map<string, Record<string, unknown>>(methods.map((method) => [method.id, {}]));
  for (const param of given) {
    const meant = param.only === null ? methods : methods.filter((method) => method.id === param.only);
    if (meant.length === 0) {
      throw new InputError(`parameter ${param.only}.${param.name} belongs to no method of this call`, {
        expected: `one of ${methods.map((method) => method.id).join(", ")} before the dot`,
      });
    }
    const takers = meant.filter((method) => param.name in method.params.shape);
    if (takers.length === 0) throw unknownParam(param, meant);
    for (const method of takers) {
      const schema = method.params.shape[param.name] as unknown as Readable;
      const value = param.text ? readValue(schema, param.value as string) : param.value;
      (byId.get(method.id) as Record<string, unknown>)[param.name] = value;
    }
  }
  return byId;
}

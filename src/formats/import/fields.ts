import { describe, InputError } from "../../rollouts/index.ts";

export type JsonObject = Record<string, unknown>;

export function isObject(value: unknown): value is JsonObject {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}

/** The record as an object; anything else is refused with what was expected of it. */
export function objectOf(value: unknown, expected: string): JsonObject {
  if (isObject(value)) return value;
  throw new InputError("wrong kind of record", { expected, got: describe(value) });
}

/** A fault in one field of a record. */
export function wrongField(field: string, expected: string, value: unknown): InputError {
  const problem = value === undefined ? `field ${field} is missing` : `field ${field} is not as expected`;
  return new InputError(problem, { expected, got: describe(value) });
}

/** A field that must hold text. */
export function textField(record: JsonObject, field: string): string {
  const value = record[field];
  if (typeof value !== "string") throw wrongField(field, "text", value);
  return value;
}

/** A field that must hold a list. */
export function listField(record: JsonObject, field: string): readonly unknown[] {
  const value = record[field];
  if (!Array.isArray(value)) throw wrongField(field, "a list", value);
  return value;
}

/** A score: a finite number, true as 1, false as 0, null where there is none. */
export function scoreField(record: JsonObject, field: string): number | null {
  const value = record[field] ?? null;
  if (value === null) return null;
  if (typeof value === "boolean") return value ? 1 : 0;
  if (typeof value === "number" && Number.isFinite(value)) return value;
  throw wrongField(field, "a number, true, false or null", value);
}

/** A name given as text or as a number; undefined when it is absent or empty. */
export function nameField(record: JsonObject, field: string): string | undefined {
  const value = record[field] ?? undefined;
  if (value === undefined || value === "") return undefined;
  if (typeof value === "string" || typeof value === "number") return String(value);
  throw wrongField(field, "text or a number", value);
}

/** The first of several fields that is there. */
export function firstField(record: JsonObject, fields: readonly string[]): string | undefined {
  return fields.find((field) => record[field] !== undefined && record[field] !== null);
}

/** Only the entries that have a value, so that absent facts leave no key behind. */
export function present(entries: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(entries).filter(([, value]) => value !== undefined && value !== null));
}

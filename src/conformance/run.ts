import { assign } from "../methods/assign.ts";
import { findMethod } from "../methods/registry.ts";
import { type Batch, batchFromObjects, InputError, levelOf, rolloutObject } from "../rollouts/index.ts";

/** What a case of a vector file expects: columns of a credit rule, the value of a function, or a refusal. */
export interface Expectation {
  tolerance?: number;
  columns?: Record<string, readonly unknown[]>;
  value?: unknown;
  error?: boolean;
}

export interface VectorCase {
  kind: "credit" | "function";
  name: string;
  params?: Record<string, unknown>;
  rollouts?: readonly unknown[];
  function?: string;
  args?: unknown;
  expect: Expectation;
}

export interface VectorFile {
  id: string;
  cases: readonly VectorCase[];
}

export interface CaseResult {
  case: string;
  kind: "credit" | "function";
  ok: boolean;
  /** Largest absolute difference of all numbers; `null` when the shapes differ or nothing numeric was compared. */
  max_abs_diff: number | null;
  tolerance: number | null;
  /** Computed columns or value, or the message of the refusal. */
  actual: unknown;
  /** First difference in words, absent when the case passes. */
  difference?: string;
}

interface Comparison {
  worst: number;
  difference: string | null;
}

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 80 ? `${text.slice(0, 77)}…` : text;
}

/** Compares numbers within an absolute tolerance and everything else exactly; keeps the first difference. */
function compare(expected: unknown, actual: unknown, tolerance: number, path: string, found: Comparison): void {
  const differ = (text: string) => {
    found.difference ??= `${path}: ${text}`;
  };
  if (typeof expected === "number" && typeof actual === "number") {
    const d = Math.abs(expected - actual);
    if (!(d <= found.worst)) found.worst = d;
    if (!(d <= tolerance)) differ(`expected ${expected}, got ${actual}`);
  } else if (Array.isArray(expected)) {
    const list = ArrayBuffer.isView(actual) ? Array.from(actual as unknown as ArrayLike<number>) : actual;
    if (!Array.isArray(list)) differ(`expected a list, got ${show(actual)}`);
    else if (list.length !== expected.length) differ(`expected ${expected.length} values, got ${list.length}`);
    else for (let k = 0; k < list.length; k++) compare(expected[k], list[k], tolerance, `${path}[${k}]`, found);
  } else if (expected !== null && typeof expected === "object") {
    if (actual === null || typeof actual !== "object") {
      differ(`expected an object, got ${show(actual)}`);
      return;
    }
    for (const key of new Set([...Object.keys(expected), ...Object.keys(actual)])) {
      const wanted = (expected as Record<string, unknown>)[key];
      compare(wanted, (actual as Record<string, unknown>)[key], tolerance, `${path}.${key}`, found);
    }
  } else if (expected !== actual) differ(`expected ${show(expected)}, got ${show(actual)}`);
}

/** A column as the vector files write it: one number per rollout, or one list per rollout. */
function columnOf(batch: Batch, path: string): unknown[] {
  const rolloutLevel = levelOf(path) === "rollout";
  const dot = path.indexOf(".");
  const key = path.slice(0, dot);
  const name = path.slice(dot + 1);
  return Array.from({ length: batch.size }, (_, i) => {
    const rollout = rolloutObject(batch, i);
    const table = key === "rollout" ? rollout : ((rollout[key] ?? {}) as Record<string, unknown>);
    return table[name] ?? (rolloutLevel ? null : []);
  });
}

function credit(id: string, test: VectorCase, columns: readonly string[]): Record<string, unknown> {
  const batch = assign(batchFromObjects(test.rollouts ?? []), id, test.params);
  return Object.fromEntries(columns.map((path) => [path, batch.has(path) ? columnOf(batch, path) : null]));
}

function callFunction(id: string, test: VectorCase): unknown {
  const method = findMethod(id);
  const call = method.functions?.[test.function ?? ""];
  if (call !== undefined) return call(test.args);
  const known = Object.keys(method.functions ?? {}).join(", ");
  throw new InputError(`unknown function ${test.function}`, {
    method: id,
    expected: known === "" ? "no function" : `one of ${known}`,
  });
}

/** Plain JSON of a result, as it would be printed: typed arrays become lists. */
function plain(value: unknown): unknown {
  if (ArrayBuffer.isView(value)) return Array.from(value as unknown as ArrayLike<number>);
  if (Array.isArray(value)) return value.map(plain);
  if (value !== null && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([key, x]) => [key, plain(x)]));
  }
  return value;
}

/**
 * Runs one case of a vector file through the public functions and compares what comes out.
 * A refusal is an `InputError`; any other exception fails the case.
 */
export async function runCase(id: string, test: VectorCase): Promise<CaseResult> {
  const { expect, kind } = test;
  const result: CaseResult = {
    case: test.name,
    kind,
    ok: false,
    max_abs_diff: null,
    tolerance: expect.tolerance ?? null,
    actual: null,
  };
  let actual: unknown;
  try {
    actual = kind === "function" ? await callFunction(id, test) : credit(id, test, Object.keys(expect.columns ?? {}));
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const refused = error instanceof InputError && expect.error === true;
    return { ...result, ok: refused, actual: message, ...(refused ? {} : { difference: message }) };
  }
  result.actual = plain(actual);
  if (expect.error === true) return { ...result, difference: "expected a refusal, got a result" };
  const found: Comparison = { worst: 0, difference: null };
  compare(kind === "function" ? expect.value : expect.columns, result.actual, expect.tolerance ?? 0, "", found);
  const difference = found.difference?.replace(/^[.:]\s*/, "");
  return {
    ...result,
    ok: difference === undefined,
    max_abs_diff: found.worst,
    ...(difference === undefined ? {} : { difference }),
  };
}

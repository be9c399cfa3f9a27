import { type AssignOptions, assign, methodParams } from "../methods/assign.ts";
import type { Method, Scope } from "../methods/method.ts";
import { findMethod } from "../methods/registry.ts";
import { Batch, type Column, type ColumnValues, LaterColumn, levelOf } from "../rollouts/index.ts";

/** A method to run, as a caller names it. */
export interface AssignCall {
  method: string | Method;
  params?: Readonly<Record<string, unknown>>;
  preset?: string;
}

/** A call with its parameters filled in, and what a first pass over the whole input has collected for it. */
export interface SettledCall {
  method: Method;
  params: Record<string, unknown>;
  state?: unknown;
}

/**
 * Looks methods and parameters up.
 * @throws InputError for an unknown method, preset or parameter.
 */
export function settleCalls(calls: readonly AssignCall[]): SettledCall[] {
  return calls.map(({ method, params, preset }) => {
    const found = typeof method === "string" ? findMethod(method) : method;
    return { method: found, params: methodParams(found, params, preset) };
  });
}

/** How the calls treat rollouts, and where warnings go. */
export type RunOptions = Pick<AssignOptions, "unscored" | "branches" | "into" | "warn">;

/** Whether pieces of the input will do for a call (in two passes if need be), and which; `null` when they will not. */
export function piecesScope({ method, params }: SettledCall): Exclude<Scope, "batch"> | null {
  const scope = method.scope(params);
  if (scope !== "batch") return scope;
  return method.twoPass?.scope(params) ?? null;
}

/** Whether a call takes statistics over the whole input. */
export function needsWhole({ method, params }: SettledCall): boolean {
  return method.scope(params) === "batch";
}

/** Where a column of one of several methods goes: `tokens.advantage` of `grpo` to `tokens.grpo_advantage`. */
export function columnOfMethod(path: string, id: string): string {
  const dot = path.indexOf(".");
  return `${path.slice(0, dot + 1)}${id}_${path.slice(dot + 1)}`;
}

function valuesOf(column: Column): ColumnValues {
  if (column instanceof LaterColumn) return { later: () => column.values };
  if (column.kind === "number") return { values: column.values, valid: column.valid };
  return column.kind === "string" ? column.values : { json: column.values };
}

/** Paths of the columns that `after` has and `before` had not, or had with other values. */
function newPaths(before: Batch, after: Batch): string[] {
  return after.paths.filter((path) => before.find(path) !== after.find(path));
}

function runCall(batch: Batch, call: SettledCall, options: RunOptions): Batch {
  const { method, params, state } = call;
  const { twoPass } = method;
  if (state === undefined || twoPass === undefined) return assign(batch, method, params, options);
  const secondPass = (part: Batch, settled: Record<string, unknown>) => twoPass.apply(part, settled, state);
  return assign(batch, { ...method, assign: secondPass }, params, options);
}

/** What a method's first pass knows after one more batch; unscored rollouts and faults are treated as `assign` does. */
export function collectState(batch: Batch, call: SettledCall, options: RunOptions): unknown {
  const { method, params } = call;
  const { twoPass } = method;
  let state: unknown = call.state ?? null;
  const firstPass = (part: Batch, settled: Record<string, unknown>) => {
    state = twoPass?.collect(part, settled, state) ?? null;
    return part;
  };
  assign(batch, { ...method, assign: firstPass, warnings: undefined }, params, options);
  return state;
}

/** A batch with credit, and the paths of the columns that the calls wrote. */
export interface Credited {
  batch: Batch;
  written: readonly string[];
}

/**
 * Runs the calls on one batch. A single call adds its columns under their own names; of several, each reads the batch as
 * it came and its columns are named after it (`columnOfMethod`).
 */
export function applyCalls(batch: Batch, calls: readonly SettledCall[], options: RunOptions): Credited {
  if (calls.length === 1) {
    const after = runCall(batch, calls[0], options);
    return { batch: after, written: newPaths(batch, after) };
  }
  const added: Record<string, ColumnValues> = {};
  for (const call of calls) {
    const after = runCall(batch, call, options);
    for (const path of newPaths(batch, after)) {
      added[columnOfMethod(path, call.method.id)] = valuesOf(after.column(path));
    }
  }
  return { batch: batch.with(added), written: Object.keys(added) };
}

/** Whether a path is one of `patterns`: paths, `LEVEL.*`, or a level alone. */
function isKept(path: string, patterns: readonly string[]): boolean {
  return patterns.some((pattern) =>
    pattern.endsWith("*") ? path.startsWith(pattern.slice(0, -1)) : path === pattern || path.startsWith(`${pattern}.`),
  );
}

/** Only ids, groups, the columns in `written`, and those that match `patterns`. */
export function onlyColumns(batch: Batch, written: readonly string[], patterns: readonly string[]): Batch {
  const { ids, groupNames, levels, columns } = batch.parts;
  const kept = [...columns].filter(([path]) => written.includes(path) || isKept(path, patterns));
  const used = new Set(kept.map(([path]) => levelOf(path)));
  const keptLevels = Object.entries(levels).filter(([level]) => used.has(level as never));
  return new Batch({ ids, groupNames, levels: Object.fromEntries(keptLevels), columns: new Map(kept) });
}

import { z } from "zod";
import {
  type Batch,
  type BranchReading,
  type ColumnValues,
  describe,
  firstNonFinite,
  firstTree,
  foldLines,
  InputError,
  LaterColumn,
  type NumericArray,
  type ResultMemory,
  readAsLines,
  selectRollouts,
} from "../rollouts/index.ts";
import type { Method } from "./method.ts";
import { parseRead } from "./reads.ts";
import { findMethod } from "./registry.ts";

export interface AssignOptions {
  /** A named set of parameters of the method; single parameters win over it. */
  preset?: string;
  /** Rollouts without a reward: stop (default), or leave them out of every pool and give them advantage and weight 0. */
  unscored?: "stop" | "leave-out";
  /**
   * How to read rollouts whose turns are a tree (`turns.parent`): every root-to-leaf path as a rollout of its own, results
   * of shared rows being the mean over their paths (`paths`), or the path to the last leaf alone, everything off it
   * getting 0 (`trunk`). Without it methods that understand only lines refuse trees.
   */
  branches?: BranchReading;
  /** Memory that results are written into; without it each call takes its own. */
  into?: ResultMemory;
  /** Called once per thing that a person should know about the result. */
  warn?: (message: string) => void;
}

/**
 * Parameters of a method with defaults filled in.
 * @throws InputError for an unknown preset or parameter, or a value out of range; names what is allowed.
 */
export function methodParams(
  method: Method,
  given: Readonly<Record<string, unknown>> = {},
  preset?: string,
): Record<string, unknown> {
  const chosen = preset === undefined ? {} : method.presets?.[preset];
  if (chosen === undefined) {
    const known = Object.keys(method.presets ?? {});
    throw new InputError(`unknown preset ${JSON.stringify(preset)}`, {
      method: method.id,
      expected: known.length > 0 ? `one of ${known.join(", ")}` : "no preset (this method has none)",
    });
  }
  const known = Object.keys(method.params.shape);
  const unknown = Object.keys(given).find((name) => !known.includes(name));
  if (unknown !== undefined) {
    throw new InputError(`unknown parameter ${unknown}`, {
      method: method.id,
      expected: known.length > 0 ? `one of ${known.join(", ")}` : "no parameters",
    });
  }
  const wanted: Record<string, unknown> = { ...chosen, ...given };
  const parsed = z.safeParse(method.params, wanted);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const name = issue.path.join(".");
  throw new InputError(name === "" ? "the parameters do not go together" : `parameter ${name} is not valid`, {
    method: method.id,
    expected: issue.message.replace(/^[^:]*: (expected )?/, "").replace(/, received .*$/, ""),
    got: name === "" ? undefined : describe(wanted[String(issue.path[0])]),
  });
}

/**
 * Runs a credit method: a new batch with the columns that the method writes.
 * @param method a method or its id.
 * @throws InputError for unknown methods and parameters and for every fault in the rollouts, naming method, rollout and column.
 */
export function assign(
  batch: Batch,
  method: string | Method,
  params: Readonly<Record<string, unknown>> = {},
  options: AssignOptions = {},
): Batch {
  const chosen = typeof method === "string" ? findMethod(method) : method;
  if (chosen.assign === undefined) {
    const names = Object.keys(chosen.functions ?? {});
    throw new InputError("this card has no credit rule", {
      method: chosen.id,
      hint: `it offers the functions ${names.join(", ")}`,
    });
  }
  const settled = methodParams(chosen, params, options.preset);
  try {
    const unscored = chosen.unscored === true ? [] : unscoredRollouts(batch, chosen, settled);
    if (unscored.length === 0) {
      return credited(options.into === undefined ? batch : batch.writingTo(options.into), chosen, settled, options);
    }
    if (options.unscored !== "leave-out") throw unscoredError(batch, unscored);
    const out = new Set(unscored);
    const kept = Array.from({ length: batch.size }, (_, i) => i).filter((i) => !out.has(i));
    const scored = selectRollouts(batch, kept);
    return leftOut(batch, kept, scored, credited(scored, chosen, settled, options));
  } catch (error) {
    throw error instanceof InputError ? error.located({ method: chosen.id }) : error;
  }
}

/** Runs the rule of a method on rollouts that are all scored, trees read as the options say. */
function credited(batch: Batch, method: Method, params: Record<string, unknown>, options: AssignOptions): Batch {
  const rule = method.assign as NonNullable<Method["assign"]>;
  const tree = method.branches === true && options.branches === undefined ? -1 : firstTree(batch);
  if (tree < 0) {
    const result = finite(batch, rule(batch, params));
    warnAbout(result, method, params, options);
    return result;
  }
  if (options.branches === undefined) {
    throw new InputError("the turns branch, and this method reads lines only", {
      rollout: batch.ids[tree],
      column: "turns.parent",
      hint: "say how to read trees: --branches paths credits every root-to-leaf path, --branches trunk the last one",
    });
  }
  const lines = readAsLines(batch, options.branches);
  const result = finite(lines.batch, rule(lines.batch, params));
  warnAbout(result, method, params, options);
  return finite(batch, foldLines(batch, lines, result));
}

function warnAbout(result: Batch, method: Method, params: Record<string, unknown>, options: AssignOptions): void {
  if (options.warn === undefined || method.warnings === undefined) return;
  for (const message of method.warnings(result, params)) options.warn(message);
}

/**
 * Rollouts without an outcome, for methods that need one: `reward_column`, else `rollout.reward` when it is required.
 * A rollout that has another column of the same entry of `reads` (as `tokens.reward | rollout.reward`) is not among them.
 */
function unscoredRollouts(batch: Batch, method: Method, params: Record<string, unknown>): number[] {
  const path = typeof params.reward_column === "string" ? params.reward_column : "rollout.reward";
  const isOutcome = (name: string) => name === path || name === "reward_column";
  const read = method.reads.map(parseRead).find(({ optional, anyOf }) => !optional && anyOf.some(isOutcome));
  if (read === undefined || !batch.has(path) || batch.column(path).level !== "rollout") return [];
  const valid = batch.validity(path);
  if (valid === null) return [];
  const others = read.anyOf.filter((name) => !isOutcome(name)).flatMap((name) => columnsNamed(batch, name));
  return Array.from({ length: batch.size }, (_, i) => i).filter(
    (i) => valid[i] === 0 && !others.some((name) => batch.hasIn(name, i)),
  );
}

/** Columns of an entry of `reads`: itself, or those of a family written with a star. */
function columnsNamed(batch: Batch, name: string): string[] {
  return name.endsWith("*") ? batch.paths.filter((path) => path.startsWith(name.slice(0, -1))) : [name];
}

function unscoredError(batch: Batch, unscored: readonly number[]): InputError {
  return new InputError(`${unscored.length} of ${batch.size} rollouts have no reward`, {
    rollout: batch.ids[unscored[0]],
    column: "rollout.reward",
    hint: "score them, or keep them out of every pool with --unscored leave-out",
  });
}

/** Spreads the results of the kept rollouts over the whole batch; rows of the others are 0 (or null for text). */
function leftOut(batch: Batch, kept: readonly number[], before: Batch, after: Batch): Batch {
  const added: Record<string, ColumnValues> = {};
  for (const path of after.paths) {
    const column = after.column(path);
    if (before.find(path) === column) continue;
    const to = batch.offsets(column.level);
    const from = after.offsets(column.level);
    const rows = batch.count(column.level);
    if (column.kind === "number") {
      const { values, valid } = column;
      const spread = new (values.constructor as new (length: number) => NumericArray)(rows);
      const marks = valid === null ? null : new Uint8Array(rows).fill(1);
      kept.forEach((i, k) => {
        spread.set(values.subarray(from[k], from[k + 1]), to[i]);
        if (valid !== null) marks?.set(valid.subarray(from[k], from[k + 1]), to[i]);
      });
      added[path] = { values: spread, valid: marks };
    } else {
      const { kind, values } = column;
      const cells: unknown[] = new Array(rows).fill(null);
      kept.forEach((i, k) => {
        for (let row = from[k]; row < from[k + 1]; row++) cells[to[i] + row - from[k]] = values[row];
      });
      added[path] = kind === "string" ? (cells as string[]) : { json: cells };
    }
  }
  return batch.with(added);
}

/** Results must be finite: extreme inputs that overflow are refused, never passed on as NaN or Infinity. */
function finite(before: Batch, after: Batch): Batch {
  for (const path of after.paths) {
    const column = after.column(path);
    if (column.kind !== "number" || column instanceof LaterColumn || before.find(path) === column) continue;
    const row = firstNonFinite(column.values);
    if (row >= 0) {
      const { at } = after.wrongValue(path, row, "a finite result", String(column.values[row]));
      throw new InputError("the result is not a finite number", {
        ...at,
        hint: "the values read are too large for this method; scale them down",
      });
    }
  }
  return after;
}

import { z } from "zod";
import { assign } from "../methods/assign.ts";
import type { Method } from "../methods/method.ts";
import { type Batch, firstTree, InputError, selectRollouts } from "../rollouts/index.ts";

/** Whether a method took some rollouts, and with which parameters. */
export interface Trial {
  /** Parameters that differ from the defaults; `null` when no setting that was tried works. */
  params: Record<string, unknown> | null;
  /** Why the defaults do not work; `null` when they do. */
  refusal: InputError | null;
}

/** The first rollouts of a batch, in whole groups as far as the batch holds them; about `most`, at least one group. */
export function firstGroups(batch: Batch, most: number): Batch {
  const groups = batch.groups();
  const taken: number[] = [];
  for (let g = 0; g < groups.count; g++) {
    const members = groups.members.subarray(groups.offsets[g], groups.offsets[g + 1]);
    if (g > 0 && taken.length + members.length > most) break;
    taken.push(...members);
  }
  return taken.length === batch.size ? batch : selectRollouts(batch, taken);
}

interface Choosable {
  default?: unknown;
  enum?: readonly unknown[];
  const?: unknown;
  type?: unknown;
  anyOf?: readonly Choosable[];
}

function choices(schema: Choosable): unknown[] {
  const listed = [schema, ...(schema.anyOf ?? [])].flatMap((one) => {
    if (one.enum !== undefined) return one.enum;
    if (one.const !== undefined) return [one.const];
    return one.type === "boolean" ? [true, false] : [];
  });
  return listed.filter((value) => value !== schema.default);
}

/** Parameters that differ from the defaults in one choice: a word, a truth value or a named constant. */
export function settingsBesideDefaults(method: Method): Record<string, unknown>[] {
  const { properties = {} } = z.toJSONSchema(method.params, { io: "input" });
  return Object.entries(properties).flatMap(([name, schema]) =>
    choices(schema as Choosable).map((value) => ({ [name]: value })),
  );
}

function refusalOf(batch: Batch, method: Method, params: Record<string, unknown>): InputError | null {
  const branches = method.branches !== true && firstTree(batch) >= 0 ? "paths" : undefined;
  try {
    assign(batch, method, params, { unscored: "leave-out", branches });
    return null;
  } catch (error) {
    if (error instanceof InputError) return error;
    throw error;
  }
}

/** Tries a method on rollouts: with its defaults, then with every other choice of one parameter until one works. */
export function tryMethod(batch: Batch, method: Method): Trial {
  const refusal = refusalOf(batch, method, {});
  if (refusal === null) return { params: {}, refusal };
  const works = (params: Record<string, unknown>) => refusalOf(batch, method, params) === null;
  return { params: settingsBesideDefaults(method).find(works) ?? null, refusal };
}

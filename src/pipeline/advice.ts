import type { Method, Scope } from "../methods/method.ts";
import type { SettledCall } from "./calls.ts";

/** A change of one parameter that lets a method run on pieces of the input. */
export interface ScopeChange {
  param: string;
  value: string | boolean;
  scope: Exclude<Scope, "batch">;
}

/** Words of a parameter that is true or false or one of a few words; none for other types. */
function choicesOf(method: Method, param: string): (string | boolean)[] {
  let schema: unknown = method.params.shape[param];
  for (;;) {
    const { def } = schema as { def: { type: string; innerType?: unknown; entries?: Record<string, string> } };
    if (def.innerType !== undefined) schema = def.innerType;
    else if (def.type === "boolean") return [true, false];
    else return def.type === "enum" ? Object.values(def.entries ?? {}) : [];
  }
}

/**
 * A parameter whose change makes a method local, found by trying: first those that are one of a few words (which may name
 * the scope itself), then those that are true or false.
 */
export function localChange(method: Method, params: Readonly<Record<string, unknown>>): ScopeChange | null {
  const changes = Object.keys(method.params.shape).flatMap((param) =>
    choicesOf(method, param).map((value) => ({ param, value })),
  );
  changes.sort((a, b) => Number(typeof a.value === "boolean") - Number(typeof b.value === "boolean"));
  for (const { param, value } of changes) {
    const scope = value === params[param] ? "batch" : method.scope({ ...params, [param]: value });
    if (scope !== "batch") return { param, value, scope };
  }
  return null;
}

/** What a person can do when the input of a method that needs all of it does not fit in memory. */
export function wholeInputAdvice(call: SettledCall, ...before: readonly string[]): string {
  const { method, params } = call;
  const change = localChange(method, params);
  const local =
    change === null
      ? []
      : [
          `give --param ${change.param}=${change.value}, which takes no statistics over the whole input and needs ${change.scope === "group" ? "whole groups" : "single rollouts"} only`,
        ];
  return [...before, "raise --memory", ...local].join(", or ");
}

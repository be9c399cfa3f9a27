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

/** The first parameter (true or false, or one of a few words) whose change makes a method local, found by trying. */
export function localChange(method: Method, params: Readonly<Record<string, unknown>>): ScopeChange | null {
  for (const param of Object.keys(method.params.shape)) {
    for (const value of choicesOf(method, param)) {
      if (value === params[param]) continue;
      const scope = method.scope({ ...params, [param]: value });
      if (scope !== "batch") return { param, value, scope };
    }
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
          `${change.param}=${params[change.param]} takes statistics over the whole input: --param ${change.param}=${change.value} needs ${change.scope === "group" ? "whole groups" : "single rollouts"} only`,
        ];
  return [...before, "raise --memory", ...local].join(", or ");
}

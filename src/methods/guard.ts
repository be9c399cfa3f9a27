import { InputError } from "../rollouts/index.ts";
import type { CardFunction } from "./method.ts";

/** Where a number that is not finite stands in a result, as `.a.2`; `null` when there is none. */
function nonFinitePlace(value: unknown, place = ""): string | null {
  if (typeof value === "number") return Number.isFinite(value) ? null : place;
  if (value === null || typeof value !== "object") return null;
  if (ArrayBuffer.isView(value)) {
    const at = (value as Float64Array).findIndex((x) => !Number.isFinite(x));
    return at < 0 ? null : `${place}.${at}`;
  }
  for (const [key, cell] of Object.entries(value)) {
    const found = nonFinitePlace(cell, `${place}.${key}`);
    if (found !== null) return found;
  }
  return null;
}

function finiteResult(method: string, name: string, result: unknown): unknown {
  const place = nonFinitePlace(result);
  if (place === null) return result;
  throw new InputError(`the result of ${name} is not a finite number`, {
    method,
    column: place === "" ? undefined : place.slice(1),
    hint: "an argument is too large or too small",
  });
}

/**
 * A card's functions with what holds for all of them: one object of arguments in, finite numbers out (but for those that
 * are listed as infinite).
 */
export function guardedFunctions(
  method: string,
  functions: Readonly<Record<string, CardFunction>>,
  infinite: readonly string[] = [],
): Readonly<Record<string, CardFunction>> {
  const guarded = Object.entries(functions).map(([name, call]): [string, CardFunction] => [
    name,
    (args) => {
      if (args === null || typeof args !== "object" || Array.isArray(args)) {
        throw new InputError(`the arguments of ${name} are not valid`, { method, expected: "an object" });
      }
      const result = call(args);
      if (infinite.includes(name)) return result;
      return result instanceof Promise
        ? result.then((value) => finiteResult(method, name, value))
        : finiteResult(method, name, result);
    },
  ]);
  return Object.fromEntries(guarded);
}

import { InputError } from "../rollouts/index.ts";
import * as catalogue from "./catalogue.ts";
import { closest } from "./closest.ts";
import type { Method } from "./method.ts";

export { closest } from "./closest.ts";

/** Every method of the catalogue by id, in alphabetical order. */
export const methods: ReadonlyMap<string, Method> = new Map(
  Object.values(catalogue as Record<string, Method>)
    .sort((a, b) => (a.id < b.id ? -1 : 1))
    .map((method) => [method.id, method]),
);

/**
 * The method with this id.
 * @throws InputError naming the closest ids.
 */
export function findMethod(id: string): Method {
  const method = methods.get(id);
  if (method !== undefined) return method;
  const near = closest(id, methods.keys());
  throw new InputError(`unknown method ${JSON.stringify(id)}`, {
    hint: near.length > 0 ? `did you mean ${near.join(" or ")}?` : "`apportion methods` lists them all",
  });
}

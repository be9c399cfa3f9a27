import { describe, InputError } from "../../rollouts/index.ts";

/**
 * A list of texts that `Policy.facts()` wrote.
 * @throws InputError when it is missing or is not such a list.
 */
export function readList(facts: Readonly<Record<string, string>>, name: string): string[] {
  const text = Object.hasOwn(facts, name) ? facts[name] : undefined;
  let list: unknown;
  try {
    list = JSON.parse(text ?? "");
  } catch {
    list = undefined;
  }
  if (Array.isArray(list) && list.every((entry) => typeof entry === "string")) return list;
  throw new InputError("a fact of the saved policy cannot be read", {
    column: name,
    expected: "a JSON list of texts",
    got: describe(text),
  });
}

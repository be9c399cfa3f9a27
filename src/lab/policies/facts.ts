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

/**
 * @param names facts that have to be the same where they are given.
 * @throws InputError when parameters are those of another kind of policy, or of one with other actions or words.
 */
export function requireSameFacts(
  given: Readonly<Record<string, string>>,
  own: Readonly<Record<string, string>>,
  names: readonly string[],
): void {
  for (const column of names) {
    if (!Object.hasOwn(given, column) || given[column] === own[column]) continue;
    const place = { column, expected: describe(own[column]), got: describe(given[column]) };
    throw new InputError("the saved parameters are those of another policy", place);
  }
}

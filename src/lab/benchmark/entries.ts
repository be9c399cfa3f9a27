import type { Method } from "../../methods/method.ts";
import { methods } from "../../methods/registry.ts";
import { yardstickIds } from "./apply.ts";

/** A method with parameters, as the benchmark runs it. */
export interface Entry {
  /** `mt-grpo`, or `mt-grpo baseline=fixed`. */
  label: string;
  method: string;
  params: Readonly<Record<string, unknown>>;
}

/** Settings that are worth a row of their own beside the defaults. */
const variants: Readonly<Record<string, readonly Readonly<Record<string, unknown>>[]>> = {
  "mt-grpo": ["turn_index_sum", "fixed", "alive"].map((baseline) => ({ baseline })),
};

/** `id`, or `id name=value …` where parameters differ from the defaults. */
export function labelOf(method: string, params: Readonly<Record<string, unknown>>): string {
  return [method, ...Object.entries(params).map(([name, value]) => `${name}=${JSON.stringify(value)}`)]
    .join(" ")
    .replaceAll('"', "");
}

export function entryOf(method: string, params: Readonly<Record<string, unknown>>): Entry {
  return { label: labelOf(method, params), method, params };
}

/** A method with its defaults, then its variants. */
export function entriesOf({ id }: Method): Entry[] {
  return [entryOf(id, {}), ...(variants[id] ?? []).map((params) => entryOf(id, params))];
}

/** Every yardstick, then every method that has a credit rule, with variants. */
export function allEntries(): Entry[] {
  const yardsticks = yardstickIds.map((id) => entryOf(id, {}));
  return [...yardsticks, ...[...methods.values()].filter(({ assign }) => assign !== undefined).flatMap(entriesOf)];
}

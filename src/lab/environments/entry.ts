import { z } from "zod";
import { describe, InputError } from "../../rollouts/index.ts";
import type { Environment, EnvironmentFacts } from "./environment.ts";

/** An environment as the registry keeps it. */
export interface EnvironmentEntry {
  facts: EnvironmentFacts;
  /** Parameters: a default, a range and a sentence each. */
  params: z.ZodObject;
  /** Parameters of a version that is small enough to enumerate; none where the defaults are. */
  small: Readonly<Record<string, unknown>>;
  /**
   * @param given parameters; those left out have their defaults.
   * @throws InputError naming the parameter: unknown, or out of range.
   */
  make(given?: Readonly<Record<string, unknown>>): Environment;
}

function settled<P extends z.ZodObject>(id: string, params: P, given: Readonly<Record<string, unknown>>): z.output<P> {
  const known = Object.keys(params.shape);
  const unknown = Object.keys(given).find((name) => !known.includes(name));
  const hint = `environment ${id}`;
  if (unknown !== undefined) {
    throw new InputError(`unknown parameter ${unknown}`, { expected: `one of ${known.join(", ")}`, hint });
  }
  const parsed = z.safeParse(params, given);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const name = issue.path.join(".");
  throw new InputError(name === "" ? "the parameters do not go together" : `parameter ${name} is not valid`, {
    expected: issue.message.replace(/^[^:]*: (expected )?/, "").replace(/, received .*$/, ""),
    got: name === "" ? undefined : describe(given[String(issue.path[0])]),
    hint,
  });
}

/** Declares an environment. */
export function defineEnvironment<P extends z.ZodObject>(definition: {
  facts: EnvironmentFacts;
  params: P;
  small?: z.input<P>;
  make(params: z.output<P>): Environment;
}): EnvironmentEntry {
  const { facts, params, small = {}, make } = definition;
  return { facts, params, small, make: (given = {}) => make(settled(facts.id, params, given)) };
}

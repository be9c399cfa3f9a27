import { InputError } from "../../rollouts/index.ts";
import type { Block } from "./compiled.ts";
import type { Coefficients, Evaluation, Parameters, Recorded } from "./policy.ts";

/** Copies of all arrays of a record. */
export function copied(parameters: Parameters): Parameters {
  return Object.fromEntries(Object.entries(parameters).map(([name, values]) => [name, values.slice()]));
}

/** Zeros with the names, lengths and precision of a record. */
export function zerosLike(parameters: Parameters): Parameters {
  return Object.fromEntries(
    Object.entries(parameters).map(([name, values]) => [
      name,
      values instanceof Float64Array ? new Float64Array(values.length) : new Float32Array(values.length),
    ]),
  );
}

/** sum ← sum + given, array by array. */
export function addTo(sum: Parameters, given: Parameters): void {
  for (const [name, values] of Object.entries(given)) {
    const into = sum[name];
    for (let k = 0; k < into.length; k++) into[k] += values[k];
  }
}

/** Parameters in single precision with their shapes, on their way to the device. */
export function blocksOf(
  parameters: Parameters,
  shapes: Readonly<Record<string, readonly number[]>>,
): Record<string, Block> {
  const block = (name: string): Block => ({ data: parameters[name] as Float32Array, shape: [...shapes[name]] });
  return Object.fromEntries(Object.keys(parameters).map((name) => [name, block(name)]));
}

/** @throws InputError when the names are not the same, or an array has another length. */
export function requireSameShape(given: Parameters, expected: Parameters, what: string): void {
  for (const [name, values] of Object.entries(expected)) {
    const found = Object.hasOwn(given, name) ? given[name] : undefined;
    if (found === undefined) {
      const got = Object.keys(given).join(", ") || "nothing";
      throw new InputError(`${what} is missing`, { column: name, expected: Object.keys(expected).join(", "), got });
    }
    if (found.length === values.length) continue;
    const place = { column: name, expected: `${values.length} numbers`, got: `${found.length}` };
    throw new InputError(`${what} has the wrong size`, place);
  }
  const unknown = Object.keys(given).find((name) => !Object.hasOwn(expected, name));
  if (unknown === undefined) return;
  throw new InputError(`${what} is unknown`, { column: unknown, expected: Object.keys(expected).join(", ") });
}

/** Tokens of all traces. */
export function countTokens(traces: readonly Recorded[]): number {
  return traces.reduce((sum, { tokens }) => sum + tokens.length, 0);
}

/**
 * @param choices ids below this can be chosen.
 * @param readable ids below this can be read; left out for policies whose traces hold choices alone.
 * @throws InputError when a trace has fields of different lengths, or ids that the policy does not have.
 */
export function requireTraces(traces: readonly Recorded[], choices: number, readable = 0): void {
  const refuse = (column: string, expected: string, got: number, trace: number) => {
    throw new InputError(`trace ${trace} was not made by such a policy`, { column, expected, got: `${got}` });
  };
  traces.forEach(({ prompt, tokens, mask, views, allowed }, i) => {
    const { length } = tokens;
    if (mask.length !== length) refuse("mask", `${length} rows`, mask.length, i);
    if (allowed.length !== length) refuse("allowed", `${length} rows`, allowed.length, i);
    if (readable === 0 && views.length !== length) refuse("views", `${length} rows`, views.length, i);
    for (const id of prompt) if (!(id >= 0 && id < readable)) refuse("prompt", `ids below ${readable}`, id, i);
    for (let k = 0; k < length; k++) {
      const bound = mask[k] === 1 ? choices : readable;
      if (!(tokens[k] >= 0 && tokens[k] < bound)) refuse("tokens", `ids below ${bound}`, tokens[k], i);
    }
  });
}

/** @throws InputError when the coefficients do not have one number per token, or ask for a value that is not there. */
export function requireCoefficients(coefficients: Coefficients, tokens: number, hasValue: boolean): void {
  for (const name of ["logprob", "entropy", "value"] as const) {
    const given = coefficients[name];
    if (given === undefined || given.length === tokens) continue;
    const place = { column: name, expected: `${tokens} numbers, one per token`, got: `${given.length}` };
    throw new InputError("coefficients do not match the traces", place);
  }
  if (coefficients.value === undefined || hasValue) return;
  throw new InputError("the policy has no value head", { column: "value", hint: "make it with `value: true`" });
}

export function emptyEvaluation(tokens: number, hasValue: boolean, width: number): Evaluation {
  return {
    logprob: new Float64Array(tokens),
    entropy: new Float64Array(tokens),
    value: hasValue ? new Float64Array(tokens) : null,
    hidden: width > 0 ? new Float32Array(tokens * width) : null,
  };
}

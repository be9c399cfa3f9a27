import { describe, InputError } from "../../rollouts/index.ts";
import type { OptimiserState } from "./optimiser.ts";

/** Count of updates and running arrays per parameter, as optimisers keep them. */
export class Moments {
  /** Updates made so far. */
  step = 0;
  /** Kinds of running arrays, as `["first", "second"]`. */
  readonly #kinds: readonly string[];
  readonly #arrays = new Map<string, Float64Array>();

  constructor(kinds: readonly string[]) {
    this.#kinds = kinds;
  }

  /** The running array of a parameter, zeros at first and where the parameter has grown. */
  array(kind: string, parameter: string, length: number): Float64Array {
    const name = `${kind}.${parameter}`;
    const known = this.#arrays.get(name);
    if (known !== undefined && known.length === length) return known;
    const made = new Float64Array(length);
    if (known !== undefined) made.set(known.subarray(0, length));
    this.#arrays.set(name, made);
    return made;
  }

  state(): OptimiserState {
    const state: OptimiserState = { step: Float64Array.of(this.step) };
    for (const [name, values] of this.#arrays) state[name] = values.slice();
    return state;
  }

  restore(state: OptimiserState): void {
    const { step, ...arrays } = state;
    if (step?.length !== 1 || !Number.isInteger(step[0]) || step[0] < 0) {
      const place = {
        column: "step",
        expected: "one whole number from 0",
        got: describe(step && [...step].join(", ")),
      };
      throw new InputError("this is not the state of an optimiser", place);
    }
    for (const [name, values] of Object.entries(arrays)) {
      const isKnown = this.#kinds.some((kind) => name.startsWith(`${kind}.`));
      const expected = this.#kinds.map((kind) => `${kind}.NAME`).join(", ") || "nothing but step";
      if (!isKnown) throw new InputError("the state is that of another optimiser", { column: name, expected });
      if (values.every(Number.isFinite)) continue;
      throw new InputError("the state of the optimiser is not finite", { column: name, expected: "finite numbers" });
    }
    this.step = step[0];
    this.#arrays.clear();
    for (const [name, values] of Object.entries(arrays)) this.#arrays.set(name, Float64Array.from(values));
  }
}

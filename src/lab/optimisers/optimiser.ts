import type { Parameters } from "../policies/policy.ts";

/** State of an optimiser: arrays by name, to be saved beside the parameters. */
export type OptimiserState = Record<string, Float64Array>;

/** What one update did. */
export interface Update {
  /** Learning rate that was used. */
  rate: number;
  /** Global norm of the gradient before clipping. */
  gradientNorm: number;
  /** Factor that clipping put on the gradient; 1 when it was within the bound. */
  clipped: number;
}

/** Turns gradients of a loss into updates of parameters. */
export interface Optimiser {
  /**
   * Changes the parameters in place, downhill along the gradient. Call `policy.changed()` after it. Arrays that have
   * grown since the last update keep their state; the new entries start afresh.
   * @throws InputError when a gradient is missing, unknown, of the wrong length or not finite: nothing is changed then.
   */
  update(parameters: Parameters, gradient: Parameters): Update;
  /** The state as it stands (copies); with the parameters it is all that going on to the same numbers needs. */
  state(): OptimiserState;
  /** @throws InputError when this is not the state of such an optimiser. */
  restore(state: OptimiserState): void;
}

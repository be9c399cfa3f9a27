import { InputError } from "../../rollouts/index.ts";
import type { Parameters } from "../policies/policy.ts";
import { clipping } from "./gradient-norm.ts";
import { Moments } from "./moments.ts";
import type { Optimiser, OptimiserState, Update } from "./optimiser.ts";
import type { Schedule } from "./schedule.ts";

export interface SgdOptions {
  schedule: Schedule;
  /** Share of the last direction that is kept. Default 0. */
  momentum?: number;
  /** Bound on the global norm of the gradient; null = none. Default null. */
  maxNorm?: number | null;
}

/** Gradient descent: d ← momentum · d + g, θ ← θ − rate · d, with the gradient g after clipping. */
export class Sgd implements Optimiser {
  readonly #options: Required<SgdOptions>;
  readonly #moments = new Moments(["direction"]);

  /** @throws InputError when an option is out of range. */
  constructor({ schedule, momentum = 0, maxNorm = null }: SgdOptions) {
    const require = (isRight: boolean, column: string, expected: string, got: number | null) => {
      if (!isRight) throw new InputError("an option of SGD is out of range", { column, expected, got: `${got}` });
    };
    require(momentum >= 0 && momentum < 1, "momentum", "from 0, below 1", momentum);
    require(maxNorm === null || maxNorm > 0, "maxNorm", "above 0, or null", maxNorm);
    this.#options = { schedule, momentum, maxNorm };
  }

  update(parameters: Parameters, gradient: Parameters): Update {
    const { schedule, momentum, maxNorm } = this.#options;
    const [gradientNorm, clipped] = clipping(parameters, gradient, maxNorm);
    const rate = schedule(this.#moments.step);
    this.#moments.step++;
    for (const [name, theta] of Object.entries(parameters)) {
      const g = gradient[name];
      if (momentum === 0) {
        for (let k = 0; k < theta.length; k++) theta[k] -= rate * g[k] * clipped;
        continue;
      }
      const d = this.#moments.array("direction", name, theta.length);
      for (let k = 0; k < theta.length; k++) {
        d[k] = momentum * d[k] + g[k] * clipped;
        theta[k] -= rate * d[k];
      }
    }
    return { rate, gradientNorm, clipped };
  }

  state(): OptimiserState {
    return this.#moments.state();
  }

  restore(state: OptimiserState): void {
    this.#moments.restore(state);
  }
}

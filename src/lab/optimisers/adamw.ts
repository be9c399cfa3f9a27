import { InputError } from "../../rollouts/index.ts";
import type { Parameters } from "../policies/policy.ts";
import { clipping } from "./gradient-norm.ts";
import { Moments } from "./moments.ts";
import type { Optimiser, OptimiserState, Update } from "./optimiser.ts";
import type { Schedule } from "./schedule.ts";

export interface AdamWOptions {
  schedule: Schedule;
  /** Default 0.9. */
  beta1?: number;
  /** Default 0.999. */
  beta2?: number;
  /** Default 1e-8. */
  eps?: number;
  /** Share of a parameter, times the learning rate, that every update takes from it. Default 0. */
  weightDecay?: number;
  /** Which parameters decay. Default all. */
  decays?: (name: string) => boolean;
  /** Bound on the global norm of the gradient; null = none. Default null. */
  maxNorm?: number | null;
}

/**
 * AdamW (Loshchilov and Hutter, arXiv 1711.05101, algorithm 2): with gradient g after clipping, m ← β₁ m + (1 − β₁) g,
 * v ← β₂ v + (1 − β₂) g², θ ← θ − rate · (m̂ / (√v̂ + eps) + decay · θ), where m̂ and v̂ are divided by 1 − βᵗ. The
 * moments are kept in double precision whatever that of the parameters.
 */
export class AdamW implements Optimiser {
  readonly #options: Required<AdamWOptions>;
  readonly #moments = new Moments(["first", "second"]);

  /** @throws InputError when an option is out of range. */
  constructor(options: AdamWOptions) {
    const full = { beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0, decays: () => true, maxNorm: null, ...options };
    const require = (isRight: boolean, column: string, expected: string, got: number | null) => {
      if (!isRight) throw new InputError("an option of AdamW is out of range", { column, expected, got: `${got}` });
    };
    require(full.beta1 >= 0 && full.beta1 < 1, "beta1", "from 0, below 1", full.beta1);
    require(full.beta2 >= 0 && full.beta2 < 1, "beta2", "from 0, below 1", full.beta2);
    require(full.eps > 0, "eps", "above 0", full.eps);
    require(full.weightDecay >= 0, "weightDecay", "from 0", full.weightDecay);
    require(full.maxNorm === null || full.maxNorm > 0, "maxNorm", "above 0, or null", full.maxNorm);
    this.#options = full;
  }

  update(parameters: Parameters, gradient: Parameters): Update {
    const { schedule, beta1, beta2, eps, weightDecay, decays, maxNorm } = this.#options;
    const [gradientNorm, clipped] = clipping(parameters, gradient, maxNorm);
    const moments = this.#moments;
    const rate = schedule(moments.step);
    moments.step++;
    const scale1 = 1 / (1 - beta1 ** moments.step);
    const scale2 = 1 / (1 - beta2 ** moments.step);
    for (const [name, theta] of Object.entries(parameters)) {
      const g = gradient[name];
      const m = moments.array("first", name, theta.length);
      const v = moments.array("second", name, theta.length);
      const decay = decays(name) ? weightDecay : 0;
      for (let k = 0; k < theta.length; k++) {
        const x = g[k] * clipped;
        m[k] = beta1 * m[k] + (1 - beta1) * x;
        v[k] = beta2 * v[k] + (1 - beta2) * x * x;
        theta[k] -= rate * ((m[k] * scale1) / (Math.sqrt(v[k] * scale2) + eps) + decay * theta[k]);
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

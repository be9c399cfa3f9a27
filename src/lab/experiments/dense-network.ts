import { gaussian } from "../gaussian.ts";
import { AdamW } from "../optimisers/adamw.ts";
import type { Random } from "../random.ts";

interface Layer {
  from: number;
  to: number;
  weight: Float64Array;
  bias: Float64Array;
  weightGradient: Float64Array;
  biasGradient: Float64Array;
  /** Inputs of the last forward pass, and gradients with respect to them. */
  input: Float64Array;
  inputGradient: Float64Array;
}

/** A small fully connected network with tanh between its layers, trained by Adam on squared errors. */
export class DenseNetwork {
  readonly #layers: Layer[];
  readonly #output: Float64Array;
  readonly #optimiser: AdamW;

  /** @param sizes widths from the input to the output, for instance [3, 64, 64, 2]. */
  constructor(sizes: readonly number[], rate: number, random: Random) {
    this.#layers = sizes.slice(1).map((to, k) => {
      const from = sizes[k];
      const size = from * to;
      return {
        from,
        to,
        weight: Float64Array.from({ length: size }, () => gaussian(random) / Math.sqrt(from)),
        bias: new Float64Array(to),
        weightGradient: new Float64Array(size),
        biasGradient: new Float64Array(to),
        input: new Float64Array(from),
        inputGradient: new Float64Array(from),
      };
    });
    this.#output = new Float64Array(sizes[sizes.length - 1]);
    this.#optimiser = new AdamW({ schedule: () => rate });
  }

  /** Output for one input: a view that the next call overwrites. */
  predict(input: ArrayLike<number>): Float64Array {
    this.#layers[0].input.set(input);
    this.#layers.forEach(({ from, to, weight, bias, input: x }, k) => {
      const isLast = k === this.#layers.length - 1;
      const out = isLast ? this.#output : this.#layers[k + 1].input;
      for (let j = 0, w = 0; j < to; j++) {
        let sum = bias[j];
        for (let i = 0; i < from; i++, w++) sum += weight[w] * x[i];
        out[j] = isLast ? sum : Math.tanh(sum);
      }
    });
    return this.#output;
  }

  /** Adds the gradient of weight · Σ (output − target)² for one input to that which the next `step` follows. */
  accumulate(input: ArrayLike<number>, target: ArrayLike<number>, weight: number): void {
    const output = this.predict(input);
    let above: Float64Array = output.map((x, k) => 2 * weight * (x - target[k]));
    for (let l = this.#layers.length - 1; l >= 0; l--) {
      const { from, to, weight, weightGradient, biasGradient, input: x, inputGradient } = this.#layers[l];
      inputGradient.fill(0);
      for (let j = 0, w = 0; j < to; j++) {
        const slope = above[j];
        biasGradient[j] += slope;
        for (let i = 0; i < from; i++, w++) {
          weightGradient[w] += slope * x[i];
          inputGradient[i] += slope * weight[w];
        }
      }
      // Inputs of all layers but the first are tanh of something.
      for (let i = 0; i < from && l > 0; i++) inputGradient[i] *= 1 - x[i] ** 2;
      above = inputGradient;
    }
  }

  /** One step of Adam; the gradient is empty afterwards. */
  step(): void {
    const parameters = Object.fromEntries(
      this.#layers.flatMap((l, k) => [
        [`w${k}`, l.weight],
        [`b${k}`, l.bias],
      ]),
    );
    const gradient = Object.fromEntries(
      this.#layers.flatMap((l, k) => [
        [`w${k}`, l.weightGradient],
        [`b${k}`, l.biasGradient],
      ]),
    );
    this.#optimiser.update(parameters, gradient);
    for (const layer of this.#layers) {
      layer.weightGradient.fill(0);
      layer.biasGradient.fill(0);
    }
  }
}

import { gaussian } from "../gaussian.ts";
import { AdamW } from "../optimisers/adamw.ts";
import { Random } from "../random.ts";

interface Layer {
  from: number;
  to: number;
  weight: Float64Array;
  bias: Float64Array;
  weightGradient: Float64Array;
  biasGradient: Float64Array;
  /** Inputs of the last forward pass, their slopes by what the layer before gave, and gradients with respect to that. */
  input: Float64Array;
  inputSlope: Float64Array;
  inputGradient: Float64Array;
}

interface DenseOptions {
  /** Default tanh. */
  activation?: "tanh" | "silu";
  /** Bound on the norm of the gradient. Default null: none. */
  maxNorm?: number | null;
}

/** A small fully connected network with a smooth activation between its layers, trained by Adam on squared errors. */
export class DenseNetwork {
  readonly #layers: Layer[];
  readonly #output: Float64Array;
  readonly #isTanh: boolean;
  readonly #optimiser: AdamW;

  /** @param sizes widths from the input to the output, for instance [3, 64, 64, 2]. */
  constructor(sizes: readonly number[], rate: number, random: Random, options: DenseOptions = {}) {
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
        inputSlope: new Float64Array(from),
        inputGradient: new Float64Array(from),
      };
    });
    this.#output = new Float64Array(sizes[sizes.length - 1]);
    this.#isTanh = options.activation !== "silu";
    this.#optimiser = new AdamW({ schedule: () => rate, maxNorm: options.maxNorm ?? null });
  }

  /** Output for one input: a view that the next call overwrites. */
  predict(input: ArrayLike<number>): Float64Array {
    this.#layers[0].input.set(input);
    this.#layers.forEach(({ from, to, weight, bias, input: x }, k) => {
      const isLast = k === this.#layers.length - 1;
      const next = isLast ? null : this.#layers[k + 1];
      const out = next === null ? this.#output : next.input;
      for (let j = 0, w = 0; j < to; j++) {
        let sum = bias[j];
        for (let i = 0; i < from; i++, w++) sum += weight[w] * x[i];
        out[j] = sum;
      }
      if (next !== null) this.#activate(next.input, next.inputSlope);
    });
    return this.#output;
  }

  /** Activation in place, with its slope. */
  #activate(x: Float64Array, slope: Float64Array): void {
    for (let i = 0; i < x.length; i++) {
      if (this.#isTanh) {
        x[i] = Math.tanh(x[i]);
        slope[i] = 1 - x[i] ** 2;
      } else {
        const gate = 1 / (1 + Math.exp(-x[i]));
        slope[i] = gate * (1 + x[i] * (1 - gate));
        x[i] *= gate;
      }
    }
  }

  /** Adds the gradient of weight · Σ (output − target)² for one input to that which the next `step` follows. */
  accumulate(input: ArrayLike<number>, target: ArrayLike<number>, weight: number): void {
    const output = this.predict(input);
    let above: Float64Array = output.map((x, k) => 2 * weight * (x - target[k]));
    for (let l = this.#layers.length - 1; l >= 0; l--) {
      const { from, to, weight, weightGradient, biasGradient, input: x, inputSlope, inputGradient } = this.#layers[l];
      for (let j = 0; j < to; j++) {
        const slope = above[j];
        const row = j * from;
        biasGradient[j] += slope;
        for (let i = 0; i < from; i++) weightGradient[row + i] += slope * x[i];
      }
      // What the network itself is given needs no gradient.
      if (l === 0) return;
      inputGradient.fill(0);
      for (let j = 0; j < to; j++) {
        const slope = above[j];
        const row = j * from;
        for (let i = 0; i < from; i++) inputGradient[i] += slope * weight[row + i];
      }
      // Inputs of all layers but the first went through the activation.
      for (let i = 0; i < from; i++) inputGradient[i] *= inputSlope[i];
      above = inputGradient;
    }
  }

  /** The gradient gathered so far, all weights and biases in a row. */
  gradient(): Float64Array {
    return Float64Array.from(this.#layers.flatMap((l) => [...l.weightGradient, ...l.biasGradient]));
  }

  /** An independent copy of the weights, with a fresh optimiser and an empty gradient. */
  copy(rate: number, options: DenseOptions = {}): DenseNetwork {
    const sizes = [this.#layers[0].from, ...this.#layers.map(({ to }) => to)];
    const twin = new DenseNetwork(sizes, rate, new Random(0), options);
    twin.#layers.forEach(({ weight, bias }, k) => {
      weight.set(this.#layers[k].weight);
      bias.set(this.#layers[k].bias);
    });
    return twin;
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

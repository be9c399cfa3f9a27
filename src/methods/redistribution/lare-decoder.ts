import { z } from "zod";
import { solveCholesky } from "../../operators/cholesky.ts";
import { leastSquares } from "../../operators/linear.ts";
import { InputError } from "../../rollouts/index.ts";
import { numberList, numberRows } from "../arguments.ts";

/** A decoder as it is written: per layer weights W[in][out] and biases, ReLU between layers, one output. */
export const decoderSchema = z.object({ weights: z.array(numberRows).min(1), biases: z.array(numberList).min(1) });

interface Layer {
  readonly inputs: number;
  readonly outputs: number;
  /** input · outputs + output. */
  readonly weights: Float64Array;
  readonly biases: Float64Array;
}

/** Layers from the factors of a row to its reward. */
export type Decoder = readonly Layer[];

function wrongShape(what: string, expected: number, got: number): InputError {
  return new InputError(`parameter decoder: ${what} has the wrong length`, { expected: `${expected}`, got: `${got}` });
}

/**
 * Layers of a written decoder.
 * @throws InputError when they do not fit each other, the number of factors, or a single output.
 */
export function readDecoder({ weights, biases }: z.output<typeof decoderSchema>, factors: number): Decoder {
  if (biases.length !== weights.length) throw wrongShape("biases", weights.length, biases.length);
  let inputs = factors;
  const layers = weights.map((matrix, l): Layer => {
    const outputs = biases[l].length;
    if (matrix.length !== inputs) throw wrongShape(`weights.${l}`, inputs, matrix.length);
    matrix.forEach((row, i) => {
      if (row.length !== outputs) throw wrongShape(`weights.${l}.${i}`, outputs, row.length);
    });
    const layer = { inputs, outputs, weights: Float64Array.from(matrix.flat()), biases: Float64Array.from(biases[l]) };
    inputs = outputs;
    return layer;
  });
  if (inputs !== 1) throw wrongShape(`biases.${layers.length - 1}`, 1, inputs);
  return layers;
}

/** h ← h W + b with ReLU between layers, for every row of the factor columns. Writes one reward per row. */
export function decodeInto(
  decoder: Decoder,
  factors: readonly ArrayLike<number>[],
  out: { [row: number]: number; length: number },
) {
  const width = Math.max(...decoder.flatMap(({ inputs, outputs }) => [inputs, outputs]));
  let h = new Float64Array(width);
  let next = new Float64Array(width);
  for (let row = 0; row < out.length; row++) {
    for (let k = 0; k < factors.length; k++) h[k] = factors[k][row];
    for (let l = 0; l < decoder.length; l++) {
      const { inputs, outputs, weights, biases } = decoder[l];
      for (let j = 0; j < outputs; j++) {
        let sum = biases[j];
        for (let i = 0; i < inputs; i++) sum += h[i] * weights[i * outputs + j];
        next[j] = l + 1 < decoder.length && sum < 0 ? 0 : sum;
      }
      [h, next] = [next, h];
    }
    out[row] = h[0];
  }
}

/** Mean factors x_i of every episode, one after another, and its reward per step y_i = R_i / T_i. */
export interface EpisodeMeans {
  readonly factors: number;
  readonly x: number[];
  readonly y: number[];
}

export interface LinearDecoder {
  weights: Float64Array;
  bias: number;
  loss: number;
}

/**
 * The linear decoder that minimises the mean squared difference of x·w + bias and y with a ridge on w:
 * (X'X/n + ridge I) w = X'y/n for centred X and y, bias = mean y − mean x · w. A ridge of 0 gives the shortest such w.
 */
export function fitLinear({ factors: d, x, y }: EpisodeMeans, ridge: number): LinearDecoder {
  const n = y.length;
  const centre = new Float64Array(d);
  let level = 0;
  for (let i = 0; i < n; i++) {
    level += y[i] / n;
    for (let k = 0; k < d; k++) centre[k] += x[i * d + k] / n;
  }
  const values = Float64Array.from(x, (value, at) => value - centre[at % d]);
  const target = Float64Array.from(y, (value) => value - level);
  const weights =
    ridge === 0 ? leastSquares({ rows: n, columns: d, values }, target) : ridged(values, target, d, ridge);
  const bias = level - weights.reduce((sum, w, k) => sum + w * centre[k], 0);
  let loss = 0;
  for (let i = 0; i < n; i++) {
    let error = -target[i];
    for (let k = 0; k < d; k++) error += values[i * d + k] * weights[k];
    loss += (error * error) / n;
  }
  return { weights, bias, loss };
}

function ridged(values: Float64Array, target: Float64Array, d: number, ridge: number): Float64Array {
  const n = target.length;
  const matrix = new Float64Array(d * d);
  const w = new Float64Array(d);
  for (let i = 0; i < n; i++) {
    for (let k = 0; k < d; k++) {
      const part = values[i * d + k] / n;
      w[k] += part * target[i];
      for (let j = 0; j <= k; j++) matrix[k * d + j] += part * values[i * d + j];
    }
  }
  for (let k = 0; k < d; k++) matrix[k * d + k] += ridge;
  if (!solveCholesky(matrix, w, d))
    throw new InputError("the factors are too large for this ridge", { got: `${ridge}`, hint: "raise ridge" });
  return w;
}

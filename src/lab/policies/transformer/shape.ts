import { InputError } from "../../../rollouts/index.ts";
import { Random } from "../../random.ts";
import { inFours } from "../buckets.ts";
import { glorot, uniformWithin } from "../initial.ts";
import type { Parameters } from "../policy.ts";

export interface TransformerShape {
  /** Default 2. */
  layers?: number;
  /** Attention heads; they share the width evenly. Default 4. */
  heads?: number;
  /** Numbers per token inside. Default 64. */
  width?: number;
  /** Width of the feed-forward part over that of the rest. Default 2. */
  expansion?: number;
  /** Most tokens of an episode, prompt included. Default 256. */
  context?: number;
  /**
   * A learned vector per place, or keys and queries turned by it (Su and others, arXiv 2104.09864). Default learned.
   */
  positions?: "learned" | "rotary";
  /** Root mean square with a gain, or mean and variance with a gain and a bias. Default rms. */
  norm?: "rms" | "layer";
  /** Whether there is a value head. Default false. */
  value?: boolean;
}

/** A shape with the sizes of its vocabulary. */
export interface FullShape extends Required<TransformerShape> {
  /** Tokens that can be chosen: ids 0 to choices − 1. */
  choices: number;
  /** Columns of the head: the choices, filled up to a multiple of four with some that are never chosen. */
  columns: number;
  /** Rows of the embedding: all tokens, those included that are only read, filled up alike. */
  tokens: number;
}

/** @throws InputError when a size is not a whole number above 0, or heads do not divide the width. */
export function fullShape(given: TransformerShape, choices: number, tokens: number): FullShape {
  const shape: FullShape = {
    layers: given.layers ?? 2,
    heads: given.heads ?? 4,
    width: given.width ?? 64,
    expansion: given.expansion ?? 2,
    context: given.context ?? 256,
    positions: given.positions ?? "learned",
    norm: given.norm ?? "rms",
    value: given.value ?? false,
    choices,
    columns: inFours(choices),
    tokens: inFours(tokens),
  };
  for (const column of ["layers", "heads", "width", "expansion", "context"] as const) {
    if (Number.isInteger(shape[column]) && shape[column] > 0) continue;
    const place = { column, expected: "a whole number from 1", got: `${shape[column]}` };
    throw new InputError("a size of the transformer is out of range", place);
  }
  const headWidth = shape.width / shape.heads;
  if (!Number.isInteger(headWidth) || (shape.positions === "rotary" && headWidth % 2 === 1)) {
    const expected = shape.positions === "rotary" ? "an even share of the width" : "a divisor of the width";
    throw new InputError("the heads do not fit the width", { column: "heads", expected, got: `${shape.heads}` });
  }
  return shape;
}

/** Names and shapes of all parameters, in the order of the network. */
export function parameterShapes(shape: FullShape): Record<string, readonly number[]> {
  const { layers, width, expansion, context, positions, norm, value, columns, tokens } = shape;
  const made: Record<string, readonly number[]> = { embedding: [tokens, width] };
  if (positions === "learned") made.positions = [context, width];
  const normed = (name: string) => {
    made[`${name}.gain`] = [width];
    if (norm === "layer") made[`${name}.bias`] = [width];
  };
  for (let l = 0; l < layers; l++) {
    normed(`layer${l}.attention_norm`);
    for (const name of ["query", "key", "value", "output"]) made[`layer${l}.${name}`] = [width, width];
    normed(`layer${l}.feed_norm`);
    made[`layer${l}.up`] = [width, width * expansion];
    made[`layer${l}.down`] = [width * expansion, width];
  }
  normed("norm");
  made.head = [width, columns];
  if (value) {
    made["value.weight"] = [width, 1];
    made["value.bias"] = [1];
  }
  return made;
}

/**
 * Start of the weights: gains 1, biases 0, matrices even within Glorot's bound, those that write to the residual stream
 * scaled down by √(2 · layers), the head by ten, so that the policy begins almost uniform. Equal seeds give equal bits.
 */
export function initialParameters(shape: FullShape, seed: number): Parameters {
  const random = new Random(seed);
  const made: Parameters = {};
  for (const [name, sizes] of Object.entries(parameterShapes(shape))) {
    const [rows, columns] = sizes;
    const last = name.slice(name.lastIndexOf(".") + 1);
    if (last === "gain") made[name] = new Float32Array(rows).fill(1);
    else if (last === "bias") made[name] = new Float32Array(rows);
    else if (name === "embedding" || name === "positions") made[name] = uniformWithin(0.1, rows * columns, random);
    else {
      const writes = last === "output" || last === "down";
      const scale = writes ? 1 / Math.sqrt(2 * shape.layers) : name === "head" ? 0.1 : 1;
      made[name] = glorot(rows, columns, random, scale);
    }
  }
  return made;
}

/** Angles of the rotary positions: place p turns the pair (j, j + half) of every head by p · 10000^(−j / half). */
export function rotaryAngles(shape: FullShape, places: number): Float64Array {
  const half = shape.width / shape.heads / 2;
  const made = new Float64Array(places * half);
  for (let p = 0; p < places; p++) for (let j = 0; j < half; j++) made[p * half + j] = p * 10000 ** (-j / half);
  return made;
}

/** Added to mean squares and variances before their root. */
export const normEps = 1e-5;

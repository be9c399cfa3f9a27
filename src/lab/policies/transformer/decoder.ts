import type { Parameters } from "../policy.ts";
import { headProduct, mixHead } from "./attention.ts";
import { multiply, transposed } from "./multiply.ts";
import { type FullShape, normEps, rotaryAngles } from "./shape.ts";

/** Keys and values of the tokens that one episode has read. */
export class Cache {
  length = 0;
  /** Per layer, [tokens, width]. */
  readonly keys: Float64Array[];
  readonly values: Float64Array[];

  constructor(layers: number) {
    this.keys = Array.from({ length: layers }, () => new Float64Array(0));
    this.values = Array.from({ length: layers }, () => new Float64Array(0));
  }

  /** Makes room for a token and gives its place. */
  append(width: number): number {
    const needed = (this.length + 1) * width;
    if (needed > this.keys[0].length) {
      const grown = (old: Float64Array) => {
        const made = new Float64Array(Math.max(16 * width, 2 * old.length));
        made.set(old);
        return made;
      };
      this.keys.forEach((old, l) => {
        this.keys[l] = grown(old);
        this.values[l] = grown(this.values[l]);
      });
    }
    return this.length++;
  }

  copy(): Cache {
    const made = new Cache(this.keys.length);
    made.length = this.length;
    this.keys.forEach((keys, l) => {
      made.keys[l] = keys.slice();
      made.values[l] = this.values[l].slice();
    });
    return made;
  }
}

/** A token to be read by one episode. */
export interface Input {
  cache: Cache;
  token: number;
  /** Row of `hidden`, `logits` and `value` that it fills; −1: none is wanted. */
  into: number;
}

interface Norm {
  gain: ArrayLike<number>;
  bias: ArrayLike<number> | null;
}

interface Layer {
  attentionNorm: Norm;
  /** Matrices transposed: a row per output. */
  query: Float64Array;
  key: Float64Array;
  value: Float64Array;
  output: Float64Array;
  feedNorm: Norm;
  up: Float64Array;
  down: Float64Array;
}

/** Rows that go through the layers together. */
const chunk = 64;

/**
 * The transformer as plain loops in double precision, a token at a time with the keys and values of earlier tokens
 * kept: for so small a network calls of a compiled program cost more than what they do. Agrees with `network` up to
 * single precision.
 */
export class Decoder {
  readonly shape: FullShape;
  /** [wanted rows, width]: what the head reads. */
  hidden = new Float64Array(0);
  /** [wanted rows, choices]. */
  logits = new Float64Array(0);
  /** [wanted rows]; zeros without a value head. */
  value = new Float64Array(0);
  readonly #embedding: ArrayLike<number>;
  readonly #positions: ArrayLike<number> | null;
  /** Cosines and sines by place. */
  readonly #turn: { cos: Float64Array; sin: Float64Array } | null;
  readonly #layers: Layer[];
  readonly #norm: Norm;
  readonly #head: Float64Array;
  readonly #valueHead: { weight: ArrayLike<number>; bias: number } | null;
  readonly #x: Float64Array;
  readonly #h: Float64Array;
  readonly #query: Float64Array;
  readonly #key: Float64Array;
  readonly #value: Float64Array;
  readonly #mixed: Float64Array;
  readonly #up: Float64Array;
  readonly #weights: Float64Array;
  readonly #places = new Int32Array(chunk);

  /** Takes the parameters as they are now. */
  constructor(shape: FullShape, p: Parameters) {
    const { width, expansion, layers, columns, context } = shape;
    this.shape = shape;
    const norm = (name: string): Norm => ({
      gain: Float64Array.from(p[`${name}.gain`]),
      bias: shape.norm === "layer" ? Float64Array.from(p[`${name}.bias`]) : null,
    });
    const matrix = (name: string, rows: number, columns: number) => transposed(p[name], rows, columns);
    this.#embedding = Float64Array.from(p.embedding);
    this.#positions = shape.positions === "learned" ? Float64Array.from(p.positions) : null;
    this.#turn = null;
    if (shape.positions === "rotary") {
      const angles = rotaryAngles(shape, context);
      this.#turn = { cos: angles.map(Math.cos), sin: angles.map(Math.sin) };
    }
    this.#layers = Array.from({ length: layers }, (_, l) => ({
      attentionNorm: norm(`layer${l}.attention_norm`),
      query: matrix(`layer${l}.query`, width, width),
      key: matrix(`layer${l}.key`, width, width),
      value: matrix(`layer${l}.value`, width, width),
      output: matrix(`layer${l}.output`, width, width),
      feedNorm: norm(`layer${l}.feed_norm`),
      up: matrix(`layer${l}.up`, width, width * expansion),
      down: matrix(`layer${l}.down`, width * expansion, width),
    }));
    this.#norm = norm("norm");
    this.#head = matrix("head", width, columns);
    this.#valueHead = shape.value ? { weight: Float64Array.from(p["value.weight"]), bias: p["value.bias"][0] } : null;
    const room = (columns: number) => new Float64Array(chunk * columns);
    this.#x = room(width);
    this.#h = room(width);
    this.#query = room(width);
    this.#key = room(width);
    this.#value = room(width);
    this.#mixed = room(width);
    this.#up = room(width * expansion);
    this.#weights = new Float64Array(context);
  }

  /**
   * Reads tokens, in this order within each episode, and fills `hidden`, `logits` and `value` for the rows that are
   * wanted. Every token must be below `shape.tokens`, and no episode may outgrow `shape.context`.
   */
  read(inputs: readonly Input[]): void {
    const { width, choices } = this.shape;
    const wanted = inputs.reduce((most, { into }) => Math.max(most, into + 1), 0);
    if (this.value.length < wanted) {
      this.hidden = new Float64Array(wanted * width);
      this.logits = new Float64Array(wanted * choices);
      this.value = new Float64Array(wanted);
    }
    for (let from = 0; from < inputs.length; from += chunk) this.#readChunk(inputs.slice(from, from + chunk));
    multiply(this.logits, this.hidden, this.#head, { rows: wanted, inner: width, outer: choices });
    if (this.#valueHead === null) return;
    const { weight, bias } = this.#valueHead;
    for (let r = 0; r < wanted; r++) {
      let sum = bias;
      for (let j = 0; j < width; j++) sum += this.hidden[r * width + j] * weight[j];
      this.value[r] = sum;
    }
  }

  #readChunk(inputs: readonly Input[]): void {
    const { width, expansion } = this.shape;
    const rows = inputs.length;
    this.#embed(inputs);
    const square = { rows, inner: width, outer: width };
    this.#layers.forEach((layer, l) => {
      this.#normalise(this.#x, this.#h, layer.attentionNorm, rows);
      multiply(this.#query, this.#h, layer.query, square);
      multiply(this.#key, this.#h, layer.key, square);
      multiply(this.#value, this.#h, layer.value, square);
      for (let r = 0; r < rows; r++) this.#keep(inputs[r].cache, l, r);
      for (let r = 0; r < rows; r++) {
        const { keys, values } = inputs[r].cache;
        this.#attend(r, keys[l], values[l], this.#places[r] + 1);
      }
      multiply(this.#x, this.#mixed, layer.output, square, true);
      this.#normalise(this.#x, this.#h, layer.feedNorm, rows);
      multiply(this.#up, this.#h, layer.up, { rows, inner: width, outer: width * expansion });
      for (let k = 0; k < rows * width * expansion; k++) if (this.#up[k] < 0) this.#up[k] = 0;
      multiply(this.#x, this.#up, layer.down, { rows, inner: width * expansion, outer: width }, true);
    });
    this.#normalise(this.#x, this.#h, this.#norm, rows);
    inputs.forEach(({ into }, r) => {
      if (into >= 0) this.hidden.set(this.#h.subarray(r * width, (r + 1) * width), into * width);
    });
  }

  #embed(inputs: readonly Input[]): void {
    const { width } = this.shape;
    const x = this.#x;
    inputs.forEach(({ cache, token }, r) => {
      const place = cache.append(width);
      this.#places[r] = place;
      for (let j = 0; j < width; j++) {
        x[r * width + j] = this.#embedding[token * width + j];
        if (this.#positions !== null) x[r * width + j] += this.#positions[place * width + j];
      }
    });
  }

  #normalise(from: Float64Array, to: Float64Array, { gain, bias }: Norm, rows: number): void {
    const { width } = this.shape;
    for (let r = 0, at = 0; r < rows; r++, at += width) {
      let mean = 0;
      if (bias !== null) {
        for (let j = 0; j < width; j++) mean += from[at + j];
        mean /= width;
      }
      let square = 0;
      for (let j = 0; j < width; j++) square += (from[at + j] - mean) ** 2;
      const scale = 1 / Math.sqrt(square / width + normEps);
      for (let j = 0; j < width; j++)
        to[at + j] = (from[at + j] - mean) * scale * gain[j] + (bias === null ? 0 : bias[j]);
    }
  }

  /** Puts the key and the value of a row in its place of the cache. */
  #keep({ keys, values }: Cache, layer: number, row: number): void {
    const { width } = this.shape;
    const place = this.#places[row];
    this.#rotate(this.#query, row * width, place);
    this.#rotate(this.#key, row * width, place);
    const [key, value] = [keys[layer], values[layer]];
    for (let j = 0, from = row * width, to = place * width; j < width; j++) {
      key[to + j] = this.#key[from + j];
      value[to + j] = this.#value[from + j];
    }
  }

  #rotate(x: Float64Array, from: number, place: number): void {
    if (this.#turn === null) return;
    const { width, heads } = this.shape;
    const { cos, sin } = this.#turn;
    const half = width / heads / 2;
    for (let h = 0; h < heads; h++) {
      for (let j = 0; j < half; j++) {
        const a = from + 2 * h * half + j;
        const c = cos[place * half + j];
        const s = sin[place * half + j];
        const [low, high] = [x[a], x[a + half]];
        x[a] = low * c - high * s;
        x[a + half] = high * c + low * s;
      }
    }
  }

  /** mixed[row] = Σ_t softmax_t(q · k_t / √d) v_t, head by head, over the first `length` tokens. */
  #attend(row: number, keys: Float64Array, values: Float64Array, length: number): void {
    const { width, heads } = this.shape;
    const size = width / heads;
    const scale = 1 / Math.sqrt(size);
    const weights = this.#weights;
    const query = this.#query;
    const mixed = this.#mixed;
    for (let h = 0; h < heads; h++) {
      const q = row * width + h * size;
      let top = Number.NEGATIVE_INFINITY;
      for (let t = 0, k = h * size; t < length; t++, k += width) {
        weights[t] = scale * headProduct(query, q, keys, k, size);
        if (weights[t] > top) top = weights[t];
      }
      let total = 0;
      for (let t = 0; t < length; t++) {
        weights[t] = Math.exp(weights[t] - top);
        total += weights[t];
      }
      mixHead(mixed, q, weights, 1 / total, values, h * size, { size, width, length });
    }
  }
}

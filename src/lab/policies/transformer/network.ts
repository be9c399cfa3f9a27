import { lax, nn, numpy as np } from "@jax-js/jax";
import { type Arrays, blockedLogit, type Network } from "../compiled.ts";
import { type FullShape, normEps, rotaryAngles } from "./shape.ts";

function normed(shape: FullShape, p: Arrays, name: string, x: np.Array): np.Array {
  let centred = x;
  if (shape.norm === "layer") {
    const mean = np.mean(x.ref, -1, { keepdims: true });
    centred = x.sub(mean);
  }
  const scale = np.reciprocal(np.sqrt(np.mean(np.square(centred.ref), -1, { keepdims: true }).add(normEps)));
  const scaled = centred.mul(scale).mul(p[`${name}.gain`].ref);
  return shape.norm === "layer" ? scaled.add(p[`${name}.bias`].ref) : scaled;
}

/** Turns queries and keys of `length` places from `first` on; the identity where positions are learned. */
type Turn = (x: np.Array) => np.Array;

/**
 * Rotary positions: x · cos + swap(x) · sin, where swap maps the halves (a, b) of a head to (−b, a). Its three tables
 * are freed with `dispose`.
 */
function turning(shape: FullShape, first: number, length: number): { turn: Turn; dispose: () => void } {
  if (shape.positions === "learned") return { turn: (x) => x, dispose: () => {} };
  const width = shape.width / shape.heads;
  const half = width / 2;
  const angles = rotaryAngles(shape, first + length);
  const table = (of: (angle: number) => number) => {
    const values = Float32Array.from({ length: length * width }, (_, k) => {
      const place = first + Math.floor(k / width);
      return of(angles[place * half + (k % half)]);
    });
    return np.array(values, { shape: [length, width] });
  };
  const mapping = new Float32Array(width * width);
  for (let j = 0; j < half; j++) {
    mapping[(j + half) * width + j] = -1;
    mapping[j * width + j + half] = 1;
  }
  const [cos, sin] = [table(Math.cos), table(Math.sin)];
  const swap = np.array(mapping, { shape: [width, width] });
  return {
    turn: (x) => x.ref.mul(cos.ref).add(np.matmul(x, swap.ref).mul(sin.ref)),
    dispose: () => {
      for (const array of [cos, sin, swap]) array.dispose();
    },
  };
}

/** Keeps columns of the head that only fill it up from being chosen. */
function withoutFiller(logits: np.Array, { choices, columns }: FullShape): np.Array {
  if (columns === choices) return logits;
  const filler = Float32Array.from({ length: columns }, (_, k) => (k < choices ? 0 : blockedLogit));
  return logits.add(np.array(filler, { shape: [1, columns] }));
}

/** Keys and values [sequences or 1, heads, tokens, head width] that some queries look at. */
interface Seen {
  keys: np.Array;
  values: np.Array;
  /** [tokens that ask, tokens]: which are in the past; null = all. */
  isPast: np.Array | null;
}

/** softmax(q · kᵀ / √d) · v over everything seen, [sequences, heads, tokens, head width]. Uses up what it is given. */
function attend(queries: np.Array, seen: readonly Seen[]): np.Array {
  const scale = 1 / Math.sqrt(queries.shape[3]);
  const scores = seen.map(({ keys, isPast }) => {
    const similar = np.matmul(queries.ref, keys.transpose([0, 1, 3, 2])).mul(scale);
    return isPast === null ? similar : np.where(isPast, similar, -1e9);
  });
  queries.dispose();
  const tops = scores.map((score) => np.max(score.ref, -1, { keepdims: true }));
  const top = lax.stopGradient(tops.reduce((a, b) => np.maximum(a, b)));
  const weights = scores.map((score) => np.exp(score.sub(top.ref)));
  top.dispose();
  const total = weights.map((weight) => np.sum(weight.ref, -1, { keepdims: true })).reduce((a, b) => a.add(b));
  const mixed = weights.map((weight, k) => np.matmul(weight, seen[k].values)).reduce((a, b) => a.add(b));
  return mixed.div(total);
}

/** Tokens that go through the layers together, [sequences, length, width]. */
interface Stream {
  x: np.Array;
  turn: Turn;
  isPast: np.Array;
  dispose: () => void;
}

function embed(shape: FullShape, p: Arrays, ids: np.Array, first: number): Stream {
  const [sequences, length] = ids.shape;
  const { width, tokens, positions } = shape;
  const flat = np.matmul(nn.oneHot(ids.reshape([sequences * length]), tokens), p.embedding.ref);
  let x = flat.reshape([sequences, length, width]);
  if (positions === "learned") x = x.add(p.positions.ref.slice([first, first + length]));
  const place = np.arange(length);
  const isPast = np.lessEqual(place.ref.reshape([1, length]), place.reshape([length, 1]));
  const { turn, dispose } = turning(shape, first, length);
  return { x, turn, isPast, dispose };
}

/**
 * The transformer in the terms of `@jax-js/jax`, on padded token ids [sequences, length]: pre-norm blocks of causal
 * attention and a feed-forward part with ReLU. A row of the output is a token, sequence after sequence. Where all
 * sequences begin with the same tokens, these can be given once as `prefix` [1, tokens]: they are worked out once, and
 * have no rows.
 */
export function network(shape: FullShape): Network {
  const { layers, heads, width } = shape;
  return (p, { ids, prefix }) => {
    const first = prefix === undefined ? 0 : prefix.shape[1];
    const before = prefix === undefined ? null : embed(shape, p, prefix, 0);
    const main = embed(shape, p, ids, first);
    // Flat rows let every matrix product be one large product.
    const normFlat = (x: np.Array, name: string) => {
      const [sequences, length] = x.shape;
      return normed(shape, p, name, x).reshape([sequences * length, width]);
    };
    const project = (h: np.Array, name: string, [sequences, length]: number[]) =>
      np
        .matmul(h, p[name].ref)
        .reshape([sequences, length, heads, width / heads])
        .transpose([0, 2, 1, 3]);
    const look = ({ x, turn }: Stream, l: number) => {
      const h = normFlat(x.ref, `layer${l}.attention_norm`);
      const keys = turn(project(h.ref, `layer${l}.key`, x.shape));
      const values = project(h.ref, `layer${l}.value`, x.shape);
      return { keys, values, queries: () => turn(project(h.ref, `layer${l}.query`, x.shape)), done: () => h.dispose() };
    };
    const advance = (x: np.Array, mixed: np.Array, l: number) => {
      const [sequences, length] = x.shape;
      const rows = sequences * length;
      const joined = mixed.transpose([0, 2, 1, 3]).reshape([rows, width]);
      const y = x.add(np.matmul(joined, p[`layer${l}.output`].ref).reshape([sequences, length, width]));
      const up = nn.relu(np.matmul(normFlat(y.ref, `layer${l}.feed_norm`), p[`layer${l}.up`].ref));
      return y.add(np.matmul(up, p[`layer${l}.down`].ref).reshape([sequences, length, width]));
    };
    for (let l = 0; l < layers; l++) {
      const seen: Seen[] = [];
      if (before !== null) {
        const { keys, values, queries, done } = look(before, l);
        seen.push({ keys: keys.ref, values: values.ref, isPast: null });
        if (l < layers - 1) {
          const mixed = attend(queries(), [{ keys, values, isPast: before.isPast.ref }]);
          before.x = advance(before.x, mixed, l);
        } else for (const array of [keys, values, before.x]) array.dispose();
        done();
      }
      const { keys, values, queries, done } = look(main, l);
      seen.push({ keys, values, isPast: main.isPast.ref });
      main.x = advance(main.x, attend(queries(), seen), l);
      done();
    }
    for (const stream of before === null ? [main] : [main, before]) {
      stream.isPast.dispose();
      stream.dispose();
    }
    const hidden = normFlat(main.x, "norm");
    const logits = withoutFiller(np.matmul(hidden.ref, p.head.ref), shape);
    let value: np.Array | undefined;
    if (shape.value) {
      value = np.matmul(hidden.ref, p["value.weight"].ref).add(p["value.bias"].ref).reshape([hidden.shape[0]]);
    }
    for (const array of Object.values(p)) array.dispose();
    return value === undefined ? { logits, hidden } : { logits, hidden, value };
  };
}

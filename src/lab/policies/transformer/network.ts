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
  const scaled = centred.mul(scale).mul(p[`${name}.gain`]);
  return shape.norm === "layer" ? scaled.add(p[`${name}.bias`]) : scaled;
}

/** Cosines and sines [length, head width] of rotary positions, and the matrix that swaps the halves of a head: (a, b) → (−b, a). */
function rotary(shape: FullShape, length: number): { cos: np.Array; sin: np.Array; swap: np.Array } {
  const width = shape.width / shape.heads;
  const half = width / 2;
  const angles = rotaryAngles(shape, length);
  const table = (of: (angle: number) => number) =>
    Float32Array.from({ length: length * width }, (_, k) => {
      const place = Math.floor(k / width);
      return of(angles[place * half + (k % half)]);
    });
  const swap = new Float32Array(width * width);
  for (let j = 0; j < half; j++) {
    swap[(j + half) * width + j] = -1;
    swap[j * width + j + half] = 1;
  }
  return {
    cos: np.array(table(Math.cos), { shape: [length, width] }),
    sin: np.array(table(Math.sin), { shape: [length, width] }),
    swap: np.array(swap, { shape: [width, width] }),
  };
}

/** Keeps columns of the head that only fill it up from being chosen. */
function withoutFiller(logits: np.Array, { choices, columns }: FullShape): np.Array {
  if (columns === choices) return logits;
  const filler = Float32Array.from({ length: columns }, (_, k) => (k < choices ? 0 : blockedLogit));
  return logits.add(np.array(filler, { shape: [1, columns] }));
}

/**
 * The transformer in the terms of `@jax-js/jax`, on padded token ids [sequences, length]: pre-norm blocks of causal attention
 * and a feed-forward part with ReLU. A row of the output is a token, sequence after sequence.
 */
export function network(shape: FullShape): Network {
  const { layers, heads, width, tokens } = shape;
  const headWidth = width / heads;
  return (p, { ids }) => {
    const [sequences, length] = ids.shape;
    const rows = sequences * length;
    // Flat rows let every matrix product be one large product.
    const flat = (x: np.Array, columns: number) => x.reshape([rows, columns]);
    const stacked = (x: np.Array) => x.reshape([sequences, length, width]);
    let x = stacked(np.matmul(nn.oneHot(ids.reshape([rows]), tokens), p.embedding));
    if (shape.positions === "learned") x = x.add(p.positions.slice([0, length]));
    const turn = shape.positions === "rotary" ? rotary(shape, length) : null;
    const place = np.arange(length);
    const isPast = np.lessEqual(place.ref.reshape([1, length]), place.reshape([length, 1]));
    for (let l = 0; l < layers; l++) {
      const h = flat(normed(shape, p, `layer${l}.attention_norm`, x.ref), width);
      const project = (name: string, from: np.Array) =>
        np.matmul(from, p[`layer${l}.${name}`]).reshape([sequences, length, heads, headWidth]).transpose([0, 2, 1, 3]);
      const turned = (z: np.Array) =>
        turn === null ? z : z.ref.mul(turn.cos.ref).add(np.matmul(z, turn.swap.ref).mul(turn.sin.ref));
      const q = turned(project("query", h.ref));
      const k = turned(project("key", h.ref));
      const v = project("value", h);
      const similar = np.matmul(q, k.transpose([0, 1, 3, 2])).mul(1 / Math.sqrt(headWidth));
      const seen = np.where(isPast.ref, similar, -1e9);
      const top = lax.stopGradient(np.max(seen.ref, -1, { keepdims: true }));
      const weights = np.exp(seen.sub(top));
      const total = np.sum(weights.ref, -1, { keepdims: true });
      const mixed = np.matmul(weights, v).div(total).transpose([0, 2, 1, 3]);
      x = x.add(stacked(np.matmul(flat(mixed, width), p[`layer${l}.output`])));
      const g = flat(normed(shape, p, `layer${l}.feed_norm`, x.ref), width);
      const up = nn.relu(np.matmul(g, p[`layer${l}.up`]));
      x = x.add(stacked(np.matmul(up, p[`layer${l}.down`])));
    }
    isPast.dispose();
    if (turn !== null) for (const array of Object.values(turn)) array.dispose();
    const hidden = flat(normed(shape, p, "norm", x), width);
    const logits = withoutFiller(np.matmul(hidden.ref, p.head), shape);
    if (!shape.value) return { logits, hidden };
    const value = np.matmul(hidden.ref, p["value.weight"]).add(p["value.bias"]);
    return { logits, hidden, value: value.reshape([rows]) };
  };
}

/** Indices of values from the smallest to the largest; equal values in order of index. */
function ascending(values: ArrayLike<number>): Uint32Array {
  const order = Uint32Array.from({ length: values.length }, (_, k) => k);
  return order.sort((a, b) => values[a] - values[b] || a - b);
}

/**
 * Ranks 1 … n from the smallest value to the largest; equal values share the mean of the ranks they take up.
 * O(n log n).
 */
export function ranks(values: ArrayLike<number>): Float64Array {
  const order = ascending(values);
  const out = new Float64Array(values.length);
  for (let from = 0; from < order.length; ) {
    let to = from + 1;
    while (to < order.length && values[order[to]] === values[order[from]]) to++;
    for (let k = from; k < to; k++) out[order[k]] = (from + 1 + to) / 2;
    from = to;
  }
  return out;
}

/** Pearson correlation of two lists of equal length, −1 to 1; `null` with fewer than two values or when one list is constant. */
export function pearson(x: ArrayLike<number>, y: ArrayLike<number>): number | null {
  const dx = deviations(x);
  const dy = deviations(y);
  if (dx === null || dy === null) return null;
  let xx = 0;
  let yy = 0;
  let xy = 0;
  for (let k = 0; k < dx.length; k++) {
    xx += dx[k] * dx[k];
    yy += dy[k] * dy[k];
    xy += dx[k] * dy[k];
  }
  return Math.min(1, Math.max(-1, xy / Math.sqrt(xx * yy)));
}

/** Distances from the mean in units of half the range (squares neither overflow nor vanish); `null` when all are equal. */
function deviations(values: ArrayLike<number>): Float64Array | null {
  let min = Number.POSITIVE_INFINITY;
  let max = Number.NEGATIVE_INFINITY;
  for (let k = 0; k < values.length; k++) {
    if (values[k] < min) min = values[k];
    if (values[k] > max) max = values[k];
  }
  const unit = max / 2 - min / 2;
  if (!(unit > 0)) return null;
  const out = new Float64Array(values.length);
  let mean = 0;
  for (let k = 0; k < out.length; k++) {
    out[k] = values[k] / unit - min / unit;
    mean += out[k] / out.length;
  }
  for (let k = 0; k < out.length; k++) out[k] -= mean;
  return out;
}

/** Spearman's rank correlation: Pearson of the ranks, ties sharing their mean rank; `null` where Pearson has none. */
export function spearman(x: ArrayLike<number>, y: ArrayLike<number>): number | null {
  return pearson(ranks(x), ranks(y));
}

/** Pairs of equal values among the first `n` of a list in which equal values stand together. */
function tiedPairs(n: number, same: (k: number) => boolean): number {
  let pairs = 0;
  let run = 0;
  for (let k = 1; k < n; k++) {
    run = same(k) ? run + 1 : 0;
    pairs += run;
  }
  return pairs;
}

/** Sorts a list in place by merging and counts the pairs that stood in the wrong order. */
function countInversions(values: Float64Array): number {
  let source: Float64Array = values;
  let target: Float64Array = new Float64Array(values.length);
  let swaps = 0;
  for (let width = 1; width < values.length; width *= 2) {
    for (let left = 0; left < values.length; left += 2 * width) {
      const middle = Math.min(left + width, values.length);
      const right = Math.min(left + 2 * width, values.length);
      let a = left;
      let b = middle;
      for (let k = left; k < right; k++) {
        if (a < middle && (b >= right || source[a] <= source[b])) target[k] = source[a++];
        else {
          swaps += middle - a;
          target[k] = source[b++];
        }
      }
    }
    [source, target] = [target, source];
  }
  if (source !== values) values.set(source);
  return swaps;
}

/**
 * Kendall's tau-b: (concordant − discordant) / sqrt((pairs − ties in x) (pairs − ties in y)), in O(n log n) by counting
 * the swaps of a merge sort. `null` with fewer than two values or when one list is constant.
 */
export function kendallTauB(x: ArrayLike<number>, y: ArrayLike<number>): number | null {
  const n = x.length;
  const order = Uint32Array.from({ length: n }, (_, k) => k).sort((a, b) => x[a] - x[b] || y[a] - y[b]);
  const sorted = Float64Array.from(order, (k) => y[k]);
  const pairs = (n * (n - 1)) / 2;
  const tiedX = tiedPairs(n, (k) => x[order[k]] === x[order[k - 1]]);
  const tiedBoth = tiedPairs(n, (k) => x[order[k]] === x[order[k - 1]] && sorted[k] === sorted[k - 1]);
  const discordant = countInversions(sorted);
  const tiedY = tiedPairs(n, (k) => sorted[k] === sorted[k - 1]);
  if (pairs === tiedX || pairs === tiedY) return null;
  const concordant = pairs - tiedX - tiedY + tiedBoth - discordant;
  return (concordant - discordant) / (Math.sqrt(pairs - tiedX) * Math.sqrt(pairs - tiedY));
}

/** How the signs of two lists agree; a number counts as 0 when it is within `slack` of it. */
export interface SignAgreement {
  /** Rows in which at least one of the two is not 0. */
  rows: number;
  /** Rows of these in which both have the same sign. */
  same: number;
  /** Rows of these in which one is above 0 and the other below. */
  opposite: number;
}

/** Counts equal and opposite signs of two lists of equal length; rows in which both are 0 say nothing and are left out. */
export function signAgreement(x: ArrayLike<number>, y: ArrayLike<number>, slack = 0): SignAgreement {
  let rows = 0;
  let same = 0;
  let opposite = 0;
  for (let k = 0; k < x.length; k++) {
    const a = Math.abs(x[k]) <= slack ? 0 : Math.sign(x[k]);
    const b = Math.abs(y[k]) <= slack ? 0 : Math.sign(y[k]);
    if (a === 0 && b === 0) continue;
    rows++;
    if (a === b) same++;
    else if (a === -b) opposite++;
  }
  return { rows, same, opposite };
}

/** Gain of an order: Σ gain / log2(rank + 1), equal scores sharing the mean of the discounts of their ranks. */
function discountedGain(scores: ArrayLike<number>, gains: ArrayLike<number>, cutoff: number): number {
  const order = ascending(scores).reverse();
  let total = 0;
  for (let from = 0; from < order.length; ) {
    let to = from;
    let discounts = 0;
    let tied = 0;
    for (; to < order.length && scores[order[to]] === scores[order[from]]; to++) {
      if (to < cutoff) discounts += 1 / Math.log2(to + 2);
      tied += gains[order[to]];
    }
    total += (discounts / (to - from)) * tied;
    from = to;
  }
  return total;
}

/**
 * Normalised discounted cumulative gain of ranking items by descending score, against the best order:
 * DCG = Σ gain_i / log2(rank_i + 1); NDCG = DCG / DCG of the gains in descending order, 0 when that is 0.
 * Items of equal score share the mean discount of the ranks they take up, so the order of the list does not matter.
 * @param scores one per item; higher ranks first.
 * @param gains one per item, 0 or more; for exponential gains hand over 2^relevance − 1.
 * @param cutoff only the first ranks count. Default: all.
 */
export function ndcg(scores: ArrayLike<number>, gains: ArrayLike<number>, cutoff = Number.POSITIVE_INFINITY): number {
  const best = discountedGain(gains, gains, cutoff);
  return best === 0 ? 0 : discountedGain(scores, gains, cutoff) / best;
}

import { describe, InputError } from "../rollouts/index.ts";

/** A matrix, row by row in one array: entry (i, j) is values[i * columns + j]. */
export interface Matrix {
  readonly rows: number;
  readonly columns: number;
  readonly values: Float64Array;
}

/**
 * A matrix from a list of rows.
 * @param name what the matrix is called in errors.
 * @throws InputError when rows differ in length or an entry is not a finite number.
 */
export function matrixFromRows(rows: unknown, name = "matrix"): Matrix {
  if (!Array.isArray(rows)) throw new InputError(`${name} is not a matrix`, { got: describe(rows) });
  const columns = Array.isArray(rows[0]) ? rows[0].length : 0;
  const values = new Float64Array(rows.length * columns);
  rows.forEach((row: unknown, i) => {
    if (!Array.isArray(row) || row.length !== columns) {
      const got = Array.isArray(row) ? `${row.length}` : describe(row);
      throw new InputError(`row ${i} of ${name} has the wrong length`, { expected: `${columns} numbers`, got });
    }
    row.forEach((x: unknown, j) => {
      if (typeof x !== "number" || !Number.isFinite(x)) {
        throw new InputError(`wrong value in ${name}`, {
          expected: `a finite number at (${i}, ${j})`,
          got: describe(x),
        });
      }
      values[i * columns + j] = x;
    });
  });
  return { rows: rows.length, columns, values };
}

/** A matching: for each row its column, or -1. */
export type Partners = Int32Array;

/**
 * Greedy matching: entries above 0 by descending weight, ties by lower row, then lower column; an entry is taken when
 * its row and its column are both free. O(nm log nm).
 */
export function greedyMatching(weights: Matrix): Partners {
  const { rows, columns, values } = weights;
  const entries = Uint32Array.from(values.keys()).filter((k) => values[k] > 0);
  entries.sort((a, b) => values[b] - values[a] || a - b);
  const partners = new Int32Array(rows).fill(-1);
  const taken = new Uint8Array(columns);
  for (const k of entries) {
    const i = Math.floor(k / columns);
    const j = k - i * columns;
    if (partners[i] >= 0 || taken[j] === 1) continue;
    partners[i] = j;
    taken[j] = 1;
  }
  return partners;
}

/** Square costs (minus the weights above 0, zeros beyond the edges) with dual prices u_i + v_j ≤ cost_ij, tight on the matching. */
interface Assigned {
  readonly size: number;
  readonly costs: Float64Array;
  readonly u: Float64Array;
  readonly v: Float64Array;
  readonly columnOf: Int32Array;
  readonly rowOf: Int32Array;
}

/**
 * Maximum-weight bipartite matching: every row and column at most once, the sum of the matched weights as large as it
 * can be; only entries above 0 are matched. Of several optimal matchings the one is returned in which the first row has
 * the heaviest (then lowest) column it can have, then the second row, and so on; sums within 1e-12 of the largest weight
 * count as equal. Shortest augmenting paths (Hungarian method), O(n³) with n the longer side.
 */
export function maxWeightMatching(weights: Matrix): Partners {
  const { rows, columns, values } = weights;
  const assigned = assignRows(paddedCosts(weights));
  preferFirstRows(assigned, rows);
  return assigned.columnOf.slice(0, rows).map((j, i) => (j < columns && values[i * columns + j] > 0 ? j : -1));
}

function paddedCosts(weights: Matrix): Assigned {
  const { rows, columns, values } = weights;
  const size = Math.max(rows, columns);
  const costs = new Float64Array(size * size);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) costs[i * size + j] = -Math.max(values[i * columns + j], 0);
  }
  return {
    size,
    costs,
    u: new Float64Array(size),
    v: new Float64Array(size),
    columnOf: new Int32Array(size).fill(-1),
    rowOf: new Int32Array(size).fill(-1),
  };
}

/** Gives every row a column at least total cost: one shortest augmenting path per row in reduced costs. */
function assignRows(state: Assigned): Assigned {
  const { size, costs, u, v, columnOf, rowOf } = state;
  const distance = new Float64Array(size);
  const from = new Int32Array(size);
  const done = new Uint8Array(size);
  for (let start = 0; start < size; start++) {
    distance.fill(Number.POSITIVE_INFINITY);
    done.fill(0);
    let row = start;
    let column = -1;
    let reached = 0;
    while (row >= 0) {
      let nearest = -1;
      for (let j = 0; j < size; j++) {
        if (done[j] === 1) continue;
        const through = reached + costs[row * size + j] - u[row] - v[j];
        if (through < distance[j]) {
          distance[j] = through;
          from[j] = row;
        }
        if (nearest < 0 || distance[j] < distance[nearest]) nearest = j;
      }
      column = nearest;
      reached = distance[column];
      done[column] = 1;
      row = rowOf[column];
    }
    u[start] += reached;
    for (let j = 0; j < size; j++) {
      if (done[j] === 0 || j === column) continue;
      u[rowOf[j]] += reached - distance[j];
      v[j] -= reached - distance[j];
    }
    for (let j = column; ; ) {
      const i = from[j];
      const next = columnOf[i];
      columnOf[i] = j;
      rowOf[j] = i;
      if (i === start) break;
      j = next;
    }
  }
  return state;
}

/** Moves along tight cycles, which change no sum, until each row in turn has the best column left to it. */
function preferFirstRows({ size, costs, u, v, columnOf, rowOf }: Assigned, rows: number): void {
  const largest = costs.reduce((most, cost) => Math.max(most, -cost), 0);
  const tight = (i: number, j: number) => costs[i * size + j] - u[i] - v[j] <= 1e-12 * largest;
  const movesTo = new Int32Array(size);
  const queue = new Int32Array(size);
  // A row that cannot have any weight is not settled: it gives way to whoever comes later.
  const settled = new Uint8Array(size);
  for (let i = 0; i < rows; i++) {
    // Columns that could be freed for row i: their row moves on (movesTo), …, until the last takes the column of row i.
    movesTo.fill(-1);
    const own = columnOf[i];
    movesTo[own] = own;
    queue[0] = own;
    let best = own;
    for (let head = 0, tail = 1; head < tail; head++) {
      const free = queue[head];
      const better = costs[i * size + free] - costs[i * size + best] || free - best;
      if (better < 0 && tight(i, free)) best = free;
      for (let r = 0; r < size; r++) {
        const j = columnOf[r];
        if (settled[r] === 1 || movesTo[j] >= 0 || !tight(r, free)) continue;
        movesTo[j] = free;
        queue[tail++] = j;
      }
    }
    if (costs[i * size + best] === 0) continue;
    settled[i] = 1;
    for (let j = best, mover = i; ; ) {
      const displaced = rowOf[j];
      columnOf[mover] = j;
      rowOf[j] = mover;
      if (j === own) break;
      mover = displaced;
      j = movesTo[j];
    }
  }
}

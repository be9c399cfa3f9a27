/** A set of hidden cells that no shown number tells apart: it holds the same number of mines wherever they lie in it. */
interface Block {
  size: number;
  cells: number[];
}

/** A shown number: how many mines lie in these blocks together. */
interface Constraint {
  blocks: number[];
  mines: number;
}

/** Blocks that constraints tie together, directly or through others. */
interface Component {
  blocks: number[];
  constraints: Constraint[];
}

/** Neighbours of a cell on a board, the cell itself left out. */
function neighbours(cell: number, height: number, width: number): number[] {
  const row = Math.floor(cell / width);
  const column = cell % width;
  const found: number[] = [];
  for (let r = Math.max(row - 1, 0); r <= Math.min(row + 1, height - 1); r++) {
    for (let c = Math.max(column - 1, 0); c <= Math.min(column + 1, width - 1); c++) {
      if (r !== row || c !== column) found.push(r * width + c);
    }
  }
  return found;
}

/** C(n, 0) … C(n, n). */
function binomials(n: number): Float64Array {
  const row = new Float64Array(n + 1);
  row[0] = 1;
  for (let k = 1; k <= n; k++) row[k] = (row[k - 1] * (n - k + 1)) / k;
  return row;
}

/** ln C(n, k). */
function logBinomial(n: number, k: number): number {
  let log = 0;
  for (let j = 1; j <= Math.min(k, n - k); j++) log += Math.log((n - j + 1) / j);
  return log;
}

/** Blocks and constraints of a board: hidden cells that touch the same set of shown numbers are one block. */
function blocksOf(cells: readonly (number | null)[], height: number, width: number) {
  const touching = new Map<number, number[]>();
  cells.forEach((shown, at) => {
    if (shown === null) return;
    for (const cell of neighbours(at, height, width)) {
      if (cells[cell] === null) touching.set(cell, [...(touching.get(cell) ?? []), at]);
    }
  });
  const byNumbers = new Map<string, number>();
  const blocks: Block[] = [];
  const blockOf = new Map<number, number>();
  for (const [cell, numbers] of touching) {
    const key = numbers.join();
    let block = byNumbers.get(key);
    if (block === undefined) {
      block = blocks.length;
      byNumbers.set(key, block);
      blocks.push({ size: 0, cells: [] });
    }
    blocks[block].size++;
    blocks[block].cells.push(cell);
    blockOf.set(cell, block);
  }
  const constraints: Constraint[] = [];
  cells.forEach((mines, at) => {
    if (mines === null) return;
    const hidden = neighbours(at, height, width).filter((cell) => cells[cell] === null);
    constraints.push({ mines, blocks: [...new Set(hidden.map((cell) => blockOf.get(cell) as number))] });
  });
  return { blocks, constraints };
}

function componentsOf(blocks: readonly Block[], constraints: readonly Constraint[]): Component[] {
  const parent = blocks.map((_, b) => b);
  const root = (b: number): number => {
    let at = b;
    while (parent[at] !== at) {
      parent[at] = parent[parent[at]];
      at = parent[at];
    }
    return at;
  };
  for (const { blocks: tied } of constraints) for (const b of tied) parent[root(b)] = root(tied[0]);
  const found = new Map<number, Component>();
  for (const constraint of constraints) {
    if (constraint.blocks.length === 0) continue;
    const key = root(constraint.blocks[0]);
    const component = found.get(key) ?? { blocks: [], constraints: [] };
    found.set(key, component);
    component.constraints.push(constraint);
    // The order in which blocks are filled follows the constraints, so that a contradiction shows early.
    for (const b of constraint.blocks) if (!component.blocks.includes(b)) component.blocks.push(b);
  }
  return [...found.values()];
}

/** Ways to fill a component by its number of mines, and the same weighted by the mines in each of its blocks. */
interface Fillings {
  ways: Float64Array;
  inBlock: Float64Array[];
}

/** Goes through every filling of a component that its numbers allow; a block of n cells with k mines stands for C(n, k). */
function fillingsOf(component: Component, blocks: readonly Block[]): Fillings {
  const order = component.blocks;
  const place = new Map(order.map((b, k) => [b, k]));
  const total = order.reduce((sum, b) => sum + blocks[b].size, 0);
  const ways = new Float64Array(total + 1);
  const inBlock = order.map(() => new Float64Array(total + 1));
  const choices = order.map((b) => binomials(blocks[b].size));
  const tied = component.constraints.map(({ blocks: members }) => members.map((b) => place.get(b) as number));
  const constraintsOf: number[][] = order.map(() => []);
  tied.forEach((members, c) => {
    for (const k of members) constraintsOf[k].push(c);
  });
  const missing = component.constraints.map(({ mines }) => mines);
  const room = tied.map((members) => members.reduce((sum, k) => sum + blocks[order[k]].size, 0));
  const chosen = new Int32Array(order.length);
  const fill = (k: number, mines: number, weight: number) => {
    if (k === order.length) {
      ways[mines] += weight;
      chosen.forEach((n, b) => {
        inBlock[b][mines] += weight * n;
      });
      return;
    }
    const size = blocks[order[k]].size;
    let least = 0;
    let most = size;
    for (const c of constraintsOf[k]) {
      least = Math.max(least, missing[c] - (room[c] - size));
      most = Math.min(most, missing[c]);
    }
    for (let n = least; n <= most; n++) {
      for (const c of constraintsOf[k]) {
        missing[c] -= n;
        room[c] -= size;
      }
      chosen[k] = n;
      fill(k + 1, mines + n, weight * choices[k][n]);
      for (const c of constraintsOf[k]) {
        missing[c] += n;
        room[c] += size;
      }
    }
  };
  fill(0, 0, 1);
  return { ways, inBlock };
}

/** Divides numbers by the largest of `ways`, so that products over components stay in range; their ratios are what counts. */
function scaled({ ways, inBlock }: Fillings): Fillings {
  const most = ways.reduce((a, b) => Math.max(a, b), 0);
  const factor = most > 0 ? 1 / most : 0;
  return { ways: ways.map((x) => x * factor), inBlock: inBlock.map((list) => list.map((x) => x * factor)) };
}

function convolve(a: Float64Array, b: Float64Array): Float64Array {
  const out = new Float64Array(a.length + b.length - 1);
  for (let i = 0; i < a.length; i++) {
    if (a[i] === 0) continue;
    for (let j = 0; j < b.length; j++) out[i + j] += a[i] * b[j];
  }
  return out;
}

/** Weight of j mines beside the numbers, for the cells that touch none: C(rest, mines − j), the largest of them set to 1. */
function restWeights(rest: number, mines: number, most: number): Float64Array {
  const logs = Float64Array.from({ length: most + 1 }, (_, j) => {
    const left = mines - j;
    return left < 0 || left > rest ? Number.NEGATIVE_INFINITY : logBinomial(rest, left);
  });
  const top = logs.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  return top === Number.NEGATIVE_INFINITY ? logs.fill(0) : logs.map((log) => Math.exp(log - top));
}

/**
 * Probability of a mine in every hidden cell: all placements of the mines that satisfy every shown number are equally
 * likely. Exact: hidden cells that touch the same numbers are counted together, parts of the board that no number ties
 * together one by one, and the cells that touch no number by binomial coefficients. Exponential only in the number of
 * blocks of the largest part.
 * @param cells row by row; null = hidden, else the number shown.
 * @returns per cell the probability, 0 on open cells, and 0 everywhere when no placement is consistent.
 */
export function minePosterior(
  cells: readonly (number | null)[],
  height: number,
  width: number,
  mines: number,
): Float64Array {
  const out = new Float64Array(cells.length);
  const { blocks, constraints } = blocksOf(cells, height, width);
  // A number without hidden neighbours that is not 0 cannot be satisfied.
  if (constraints.some((one) => one.blocks.length === 0 && one.mines > 0)) return out;
  const components = componentsOf(blocks, constraints);
  const fillings = components.map((component) => scaled(fillingsOf(component, blocks)));
  const touching = new Set(blocks.flatMap((block) => block.cells));
  const rest = cells.flatMap((shown, cell) => (shown === null && !touching.has(cell) ? [cell] : []));
  const one: Float64Array = Float64Array.of(1);
  // Products of the components before each one and after it.
  const before: Float64Array[] = [one];
  for (const { ways } of fillings) before.push(convolve(before[before.length - 1], ways));
  const after: Float64Array[] = [one];
  for (const { ways } of [...fillings].reverse()) after.unshift(convolve(ways, after[0]));
  const all = before[before.length - 1];
  const weights = restWeights(rest.length, mines, all.length - 1);
  const total = all.reduce((sum, ways, j) => sum + ways * weights[j], 0);
  if (!(total > 0)) return out;
  fillings.forEach(({ inBlock }, c) => {
    const others = convolve(before[c], after[c + 1]);
    components[c].blocks.forEach((b, k) => {
      const held = convolve(others, inBlock[k]).reduce((sum, x, j) => sum + x * weights[j], 0);
      for (const cell of blocks[b].cells) out[cell] = held / total / blocks[b].size;
    });
  });
  const expected = all.reduce((sum, ways, j) => sum + ways * weights[j] * (mines - j), 0);
  for (const cell of rest) out[cell] = expected / total / rest.length;
  return out;
}

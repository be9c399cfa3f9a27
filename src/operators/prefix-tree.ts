import { type Batch, describe, InputError, levelOf } from "../rollouts/index.ts";
import { tokenSpans } from "./broadcast.ts";

/**
 * The rollouts of every group as a tree of shared prefixes. Node g is the root of group g; parents come before children.
 * A node stands for a run of rows on which exactly the same rollouts go together, so that a tree of tokens has at most
 * two nodes per rollout, however long the responses are. In a tree of node ids every run is one row long.
 */
export interface PrefixTree {
  /** Number of nodes, roots included. */
  readonly size: number;
  /** Node before; -1 for roots. */
  readonly parent: Int32Array;
  /** Rows from the root to the end of the node's run: node n covers rows [depth[parent[n]], depth[n]) of its rollouts. */
  readonly depth: Int32Array;
  /** Rollouts that go through the node. */
  readonly count: Int32Array;
  /** Per rollout the node with which it ends; its path are the ancestors. A rollout without rows ends at its root. */
  readonly leaf: Int32Array;
}

/** Nodes in the order in which they are made. */
class Nodes {
  size = 0;
  parent: Int32Array;
  depth: Int32Array;

  constructor(capacity: number) {
    this.parent = new Int32Array(capacity);
    this.depth = new Int32Array(capacity);
  }

  add(parent: number, depth: number): number {
    if (this.size === this.parent.length) {
      this.parent = doubled(this.parent);
      this.depth = doubled(this.depth);
    }
    this.parent[this.size] = parent;
    this.depth[this.size] = depth;
    return this.size++;
  }

  tree(leaf: Int32Array): PrefixTree {
    const parent = this.parent.slice(0, this.size);
    const count = new Int32Array(this.size);
    for (const node of leaf) count[node]++;
    for (let node = this.size - 1; node >= 0; node--) if (parent[node] >= 0) count[parent[node]] += count[node];
    return { size: this.size, parent, depth: this.depth.slice(0, this.size), count, leaf };
  }
}

function doubled(values: Int32Array): Int32Array {
  const next = new Int32Array(values.length * 2 + 16);
  next.set(values);
  return next;
}

/**
 * Prefix tree of the sampled token ids of each group: two rollouts share a node as long as all ids from the start of the
 * response agree, tokens of the environment included. A response that is a strict prefix of another one ends where it ends.
 *
 * A set of rollouts that still go together is compared with its first member, each member once and only up to where it
 * departs; departed members form sets of their own. So every token is compared once, plus one per departure: O(Σ T).
 * @throws InputError when a rollout has no `tokens.id`.
 */
export function tokenTree(batch: Batch): PrefixTree {
  return batch.memo("prefix tree tokens", () => {
    const ids = tokenIds(batch);
    const offsets = batch.offsets("token");
    const groups = batch.groups();
    const order = groups.members.slice();
    const shared = new Int32Array(batch.size);
    const leaf = new Int32Array(batch.size);
    const nodes = new Nodes(groups.count + 2 * batch.size);
    const byDeparture = (a: number, b: number) => shared[a] - shared[b] || nextId(a) - nextId(b);
    // Members that end where they depart come before those that go on with any id.
    const nextId = (i: number) => {
      const t = offsets[i] + shared[i];
      return t < offsets[i + 1] ? ids[t] : Number.MIN_SAFE_INTEGER;
    };
    // Sets still to be split: members order[from] … order[to - 1] share all rows up to the node `above`.
    const sets = new Int32Array(3 * (batch.size + 1));
    for (let g = 0; g < groups.count; g++) nodes.add(-1, 0);
    for (let g = 0; g < groups.count; g++) {
      let open = push(sets, 0, groups.offsets[g], groups.offsets[g + 1], g);
      while (open > 0) {
        open -= 3;
        const from = sets[open];
        const to = sets[open + 1];
        const first = order[from];
        const length = offsets[first + 1] - offsets[first];
        let node = sets[open + 2];
        for (let k = from + 1; k < to; k++) {
          const i = order[k];
          const most = Math.min(length, offsets[i + 1] - offsets[i]);
          shared[i] = sharedLength(ids, offsets[first], offsets[i], nodes.depth[node], most);
        }
        if (to - from > 2) order.subarray(from + 1, to).sort(byDeparture);
        for (let k = from + 1; k < to; ) {
          const i = order[k];
          if (shared[i] > nodes.depth[node]) node = nodes.add(node, shared[i]);
          let end = k + 1;
          while (end < to && byDeparture(i, order[end]) === 0) end++;
          if (offsets[i] + shared[i] < offsets[i + 1]) open = push(sets, open, k, end, node);
          else for (let same = k; same < end; same++) leaf[order[same]] = node;
          k = end;
        }
        leaf[first] = length > nodes.depth[node] ? nodes.add(node, length) : node;
      }
    }
    return nodes.tree(leaf);
  }, ["tokens.id"]);
}

function push(sets: Int32Array, at: number, from: number, to: number, above: number): number {
  sets[at] = from;
  sets[at + 1] = to;
  sets[at + 2] = above;
  return at + 3;
}

/** Rows, from `from` on, up to which the runs that start at a and b agree; at most `to`. */
function sharedLength(ids: Int32Array, a: number, b: number, from: number, to: number): number {
  let k = from;
  for (; k + 4 <= to; k += 4) {
    const x = a + k;
    const y = b + k;
    if (((ids[x] ^ ids[y]) | (ids[x + 1] ^ ids[y + 1]) | (ids[x + 2] ^ ids[y + 2]) | (ids[x + 3] ^ ids[y + 3])) !== 0)
      break;
  }
  while (k < to && ids[a + k] === ids[b + k]) k++;
  return k;
}

function tokenIds(batch: Batch): Int32Array {
  const ids = batch.numbers("tokens.id");
  if (ids instanceof Int32Array) return ids;
  const wrong = ids.findIndex((id) => id !== (id | 0));
  if (wrong >= 0) throw batch.wrongValue("tokens.id", wrong, "a whole number below 2^31", `${ids[wrong]}`);
  return Int32Array.from(ids);
}

/**
 * Prefix tree of node ids (`turns.node`, `steps.node`): one id is one node within a group, and a rollout is the path from
 * the root through the nodes of its rows.
 * @throws InputError when an id is missing, or stands under two parents.
 */
export function nodeTree(batch: Batch, path: string): PrefixTree {
  return batch.memo(`prefix tree ${path}`, () => {
    const offsets = batch.offsets(levelOf(path));
    return joinPaths(batch, offsets, nodeIds(batch, path, offsets), path);
  }, [path]);
}

/** Ids of all rows as text; a rollout without rows needs none. */
function nodeIds(batch: Batch, path: string, offsets: Int32Array): readonly string[] {
  if (offsets[batch.size] === 0) return [];
  for (let i = 0; i < batch.size; i++) {
    if (offsets[i + 1] > offsets[i] && !batch.hasIn(path, i)) throw batch.missing(path, i);
  }
  const wrong = (id: unknown) => id === null || typeof id === "object" || typeof id === "boolean";
  const ids = batch.has(path, "every") ? batch.strings(path) : batch.cells(path);
  const row = ids.findIndex(wrong);
  if (row >= 0) throw batch.wrongValue(path, row, "the id of a node", describe(ids[row]));
  return ids.map(String);
}

/**
 * Prefix tree of turns or steps told apart by their tokens: two rows are the same node when all token ids from the start
 * of the response to their `end` are equal.
 * @throws InputError when token ids or ends are missing, or equal tokens are cut into rows in two ways.
 */
export function rowTree(batch: Batch, level: "turn" | "step"): PrefixTree {
  return batch.memo(`prefix tree rows ${level}`, () => {
    const tokens = tokenTree(batch);
    const offsets = batch.offsets(level);
    const first = batch.offsets("token");
    const { ends } = tokenSpans(batch, level);
    const keys: string[] = new Array(ends.length);
    for (let i = 0; i < batch.size; i++) {
      let node = tokens.leaf[i];
      for (let row = offsets[i + 1] - 1; row >= offsets[i]; row--) {
        const end = ends[row] - first[i];
        while (tokens.depth[tokens.parent[node]] >= end) node = tokens.parent[node];
        keys[row] = `${node}:${end}`;
      }
    }
    return joinPaths(batch, offsets, keys, level === "turn" ? "turns.end" : "steps.end");
  }, ["tokens.id", "turns.end", "steps.end"]);
}

/** Joins the paths of each group: equal keys are one node. */
function joinPaths(batch: Batch, offsets: Int32Array, keys: readonly string[], path: string): PrefixTree {
  const groups = batch.groups();
  const nodes = new Nodes(groups.count + keys.length);
  const leaf = new Int32Array(batch.size);
  for (let g = 0; g < groups.count; g++) nodes.add(-1, 0);
  for (let g = 0; g < groups.count; g++) {
    const known = new Map<string, number>();
    for (let k = groups.offsets[g]; k < groups.offsets[g + 1]; k++) {
      const i = groups.members[k];
      let above = g;
      for (let row = offsets[i]; row < offsets[i + 1]; row++) {
        let node = known.get(keys[row]);
        if (node === undefined) {
          node = nodes.add(above, row - offsets[i] + 1);
          known.set(keys[row], node);
        } else if (nodes.parent[node] !== above) {
          throw new InputError(`one node under two parents (row ${row - offsets[i]})`, {
            rollout: batch.ids[i],
            column: path,
            got: keys[row],
            hint: "within a group an id is one node, and every rollout that reaches it comes the same way",
          });
        }
        above = node;
      }
      leaf[i] = above;
    }
  }
  return nodes.tree(leaf);
}

/** The node of every row; `offsets` as of the level from which the tree was made. */
export function nodesOfRows(tree: PrefixTree, offsets: Int32Array): Int32Array {
  const { parent, depth, leaf } = tree;
  const out = new Int32Array(offsets[leaf.length]);
  for (let i = 0; i < leaf.length; i++) {
    for (let node = leaf[i]; parent[node] >= 0; node = parent[node]) {
      out.fill(node, offsets[i] + depth[parent[node]], offsets[i] + depth[node]);
    }
  }
  return out;
}

/** Sum, over the rollouts that go through each node, of a value per rollout. */
export function sumOverLeaves(tree: PrefixTree, values: ArrayLike<number>): Float64Array {
  const { size, parent, leaf } = tree;
  const sum = new Float64Array(size);
  for (let i = 0; i < leaf.length; i++) sum[leaf[i]] += values[i];
  for (let node = size - 1; node >= 0; node--) if (parent[node] >= 0) sum[parent[node]] += sum[node];
  return sum;
}

/** Mean, over the rollouts that go through each node, of a value per rollout; equal values give exactly that value. */
export function meanOverLeaves(tree: PrefixTree, values: ArrayLike<number>): Float64Array {
  const { size, parent, count, leaf } = tree;
  const mean = sumOverLeaves(tree, values);
  const least = new Float64Array(size).fill(Number.POSITIVE_INFINITY);
  const most = new Float64Array(size).fill(Number.NEGATIVE_INFINITY);
  for (let i = 0; i < leaf.length; i++) {
    least[leaf[i]] = Math.min(least[leaf[i]], values[i]);
    most[leaf[i]] = Math.max(most[leaf[i]], values[i]);
  }
  for (let node = size - 1; node >= 0; node--) {
    mean[node] = least[node] === most[node] ? least[node] : mean[node] / count[node];
    const up = parent[node];
    if (up < 0) continue;
    least[up] = Math.min(least[up], least[node]);
    most[up] = Math.max(most[up], most[node]);
  }
  return mean;
}

/** Children of each node; a rollout that ends at the node counts as one more child. */
export function childCounts({ size, parent, leaf }: PrefixTree): Int32Array {
  const children = new Int32Array(size);
  for (const node of leaf) children[node]++;
  for (let node = 0; node < size; node++) if (parent[node] >= 0) children[parent[node]]++;
  return children;
}

/**
 * Plain mean over the children of each node, however many rollouts go through each of them; a rollout that ends at the
 * node counts as one more child with its own value. Equal values give exactly that value.
 */
export function meanOverChildren(tree: PrefixTree, values: ArrayLike<number>): Float64Array {
  const { size, parent, leaf } = tree;
  const mean = new Float64Array(size);
  const children = childCounts(tree);
  const least = new Float64Array(size).fill(Number.POSITIVE_INFINITY);
  const most = new Float64Array(size).fill(Number.NEGATIVE_INFINITY);
  const add = (node: number, value: number) => {
    mean[node] += value;
    least[node] = Math.min(least[node], value);
    most[node] = Math.max(most[node], value);
  };
  for (let i = 0; i < leaf.length; i++) add(leaf[i], values[i]);
  for (let node = size - 1; node >= 0; node--) {
    mean[node] = least[node] === most[node] ? least[node] : mean[node] / children[node];
    if (parent[node] >= 0) add(parent[node], mean[node]);
  }
  return mean;
}

import { childCounts, meanOverChildren, nodesOfRows, nodeTree, type PrefixTree } from "../../operators/prefix-tree.ts";
import type { Batch } from "../../rollouts/index.ts";

/** Credit of the segments of a sampled tree, one number per step. */
export interface SegmentCredit {
  /** V of the node that the step reaches. */
  value: Float64Array;
  advantage: Float64Array;
  /** 1 / number of rollouts through the node; 0 for edges without an advantage. */
  share: Float64Array;
}

/** Population spread of the values of the children of each node, rollouts that end at it included. */
function childSpreads(tree: PrefixTree, outcome: ArrayLike<number>, value: Float64Array): Float64Array {
  const { size, parent, leaf } = tree;
  const children = childCounts(tree);
  const squares = new Float64Array(size);
  for (let i = 0; i < leaf.length; i++) squares[leaf[i]] += (outcome[i] - value[leaf[i]]) ** 2;
  for (let node = 0; node < size; node++) {
    if (parent[node] >= 0) squares[parent[node]] += (value[node] - value[parent[node]]) ** 2;
  }
  return squares.map((s, node) => Math.sqrt(s / children[node]));
}

/**
 * V(leaf) = outcome, V(node) = plain mean over its children, A(child) = V(child) − V(parent).
 * @param eps `null` = as it is; a number: divided by the spread of the siblings' values plus eps.
 * @throws InputError when no rollout has \`steps.node\`, an id is missing, or a node stands under two parents.
 */
export function segmentTree(batch: Batch, outcome: ArrayLike<number>, eps: number | null): SegmentCredit {
  batch.column("steps.node");
  const tree = nodeTree(batch, "steps.node");
  const mean = meanOverChildren(tree, outcome);
  const spread = eps === null ? null : childSpreads(tree, outcome, mean).map((s) => s + eps);
  const edge = mean.map((v, node) => {
    const up = tree.parent[node];
    if (up < 0 || v === mean[up]) return 0;
    return (v - mean[up]) / (spread === null ? 1 : spread[up]);
  });
  const nodes = nodesOfRows(tree, batch.offsets("step"));
  return {
    value: Float64Array.from(nodes, (node) => mean[node]),
    advantage: Float64Array.from(nodes, (node) => edge[node]),
    share: Float64Array.from(nodes, (node) => (edge[node] === 0 ? 0 : 1 / tree.count[node])),
  };
}

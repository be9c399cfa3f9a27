import { z } from "zod";
import { meanOverLeaves, nodesOfRows, nodeTree, type PrefixTree, rowTree } from "../../operators/prefix-tree.ts";
import { rowAdvantageColumns } from "../../operators/row-credit.ts";
import { type Batch, InputError } from "../../rollouts/index.ts";
import { count, functionArgs } from "../arguments.ts";
import { defineMethod } from "../method.ts";

const params = z.object({
  global_weight: z.number().min(0).default(1).describe("weight of the value relative to the root"),
  local_weight: z.number().min(0).default(1).describe("weight of the value relative to the parent"),
  leaf_scale: z
    .enum(["sqrt", "mean", "none"])
    .default("sqrt")
    .describe("divide a step shared by n leaves by the square root of n, by n, or not at all"),
});
type Params = z.output<typeof params>;

/** The tree of each group: from `turns.node`, else turns with equal tokens from the start are one node. */
function treeOf(batch: Batch): PrefixTree {
  if (batch.size === 0 || batch.has("turns.node")) return nodeTree(batch, "turns.node");
  if (batch.has("tokens.id", "every") && batch.has("turns.end", "every")) return rowTree(batch, "turn");
  throw new InputError("the rollouts do not say how their turns form a tree", {
    column: "turns.node",
    hint: "name the node of every turn in turns.node, or give tokens.id and turns.end: then equal tokens are one node",
  });
}

/** A(n) of every node: (w_G (V(n) − V(root)) + w_L (V(n) − V(parent))) / scale. */
function advantages(tree: PrefixTree, value: Float64Array, p: Params): Float64Array {
  const { size, parent, count: leaves } = tree;
  const root = new Int32Array(size);
  const out = new Float64Array(size);
  for (let node = 0; node < size; node++) {
    if (parent[node] < 0) {
      root[node] = node;
      continue;
    }
    root[node] = root[parent[node]];
    const signal =
      p.global_weight * (value[node] - value[root[node]]) + p.local_weight * (value[node] - value[parent[node]]);
    const scale = p.leaf_scale === "sqrt" ? Math.sqrt(leaves[node]) : p.leaf_scale === "mean" ? leaves[node] : 1;
    out[node] = signal / scale;
  }
  return out;
}

/**
 * Credit of TreePS-RAG (arXiv 2601.06922): V(n) is the mean outcome of the rollouts through node n, and a turn gets its
 * value relative to the root plus its value relative to its parent, divided by the square root of the number of leaves
 * that share it. Groups of equal rewards get exact zeros.
 */
function assign(batch: Batch, p: Params): Batch {
  const tree = treeOf(batch);
  const value = meanOverLeaves(tree, batch.numbers("rollout.reward"));
  const credit = advantages(tree, value, p);
  const nodes = nodesOfRows(tree, batch.offsets("turn"));
  return batch.with({
    "turns.value": Float64Array.from(nodes, (node) => value[node]),
    ...rowAdvantageColumns(
      batch,
      "turn",
      Float64Array.from(nodes, (node) => credit[node]),
    ),
  });
}

const pruneArgs = z.object({
  /** Ids of the documents that each candidate retrieved. */
  sets: z.array(z.array(z.union([z.string(), z.number()]))),
  /** Jaccard similarity from which a candidate is redundant. */
  threshold: z.number().gt(0).max(1).default(0.8),
  /** Candidates kept at most. */
  max_keep: count.default(5),
  /** Candidates kept at least, however similar. */
  min_keep: count.default(1),
});

function jaccard(a: ReadonlySet<unknown>, b: ReadonlySet<unknown>): number {
  let both = 0;
  for (const x of a) if (b.has(x)) both++;
  const either = a.size + b.size - both;
  return either === 0 ? 1 : both / either;
}

/**
 * Prunes candidates whose retrieved documents resemble those of one already kept: they are gone through in order, and one
 * is kept while there is room and its Jaccard similarity to every kept one is below the threshold (two empty sets have
 * similarity 1). Then the least similar dropped ones come back until `min_keep` is reached.
 * @returns kept indices, ascending.
 */
export function similarityPrune(args: z.input<typeof pruneArgs>): number[] {
  const { sets, threshold, max_keep, min_keep } = functionArgs(pruneArgs, args);
  const documents = sets.map((ids) => new Set(ids));
  const kept: number[] = [];
  const closest = (k: number) =>
    kept.reduce((most, other) => Math.max(most, jaccard(documents[k], documents[other])), 0);
  documents.forEach((_, k) => {
    if (kept.length < max_keep && (kept.length === 0 || closest(k) < threshold)) kept.push(k);
  });
  const least = Math.min(min_keep, max_keep, documents.length);
  while (kept.length < least) {
    const dropped = documents.flatMap((_, k) => (kept.includes(k) ? [] : [{ k, similarity: closest(k) }]));
    kept.push(dropped.reduce((best, one) => (one.similarity < best.similarity ? one : best)).k);
  }
  return kept.sort((a, b) => a - b);
}

export const treepsRag = defineMethod({
  id: "treeps-rag",
  title: "TreePS-RAG: tree-based process supervision for search agents",
  summary:
    "Roll out a search agent as a tree of turns, value every turn by the mean outcome of the leaves below it, and credit it with its value relative to the root and to its parent.",
  facts: {
    paper: {
      title: "TreePS-RAG: Tree-based Process Supervision for Reinforcement Learning in Agentic RAG",
      arxiv: "2601.06922",
      date: "2026-01",
      repo: null,
    },
    headline:
      "Ahead of outcome-supervised and process-supervised baselines on seven question-answering sets at a rollout cost comparable to Search-R1.",
    granularity: "turn",
    methodology: ["tree", "monte-carlo"],
    checked: "no official code exists",
    reconstructed: ["form of the advantage", "leaf_scale", "order and limits of similarityPrune"],
  },
  equations: [
    {
      text: "V(n) = mean reward of the leaves below n",
      tex: "V(n) = \\frac{1}{|L(n)|}\\sum_{i \\in L(n)} r_i",
    },
    {
      text: "A(n) = (w_G (V(n) − V(root)) + w_L (V(n) − V(parent))) / sqrt(|L(n)|)",
      tex: "A(n) = \\frac{w_G (V(n) - V(\\mathrm{root})) + w_L (V(n) - V(p(n)))}{\\sqrt{|L(n)|}}",
    },
  ],
  params,
  reads: ["rollout.reward", "turns.node | tokens.id", "turns.end?", "tokens.mask?", "group?"],
  writes: ["turns.value", "turns.advantage", "tokens.advantage"],
  scope: "group",
  functions: { similarityPrune },
  assign,
});

import { z } from "zod";
import { nodesOfRows, nodeTree, type PrefixTree } from "../../operators/prefix-tree.ts";
import { rowNumbers, wholeNumbers } from "../../operators/ranges.ts";
import { type Batch, InputError, type NumericArray } from "../../rollouts/index.ts";
import { functionArgs } from "../arguments.ts";
import { defineMethod } from "../method.ts";

const outcomeWeight = z
  .union([z.literal("inverse_n"), z.number()])
  .default("inverse_n")
  .describe("weight of the outcome beside the verdicts: a number, or inverse_n = 1 / number of verdicts");

const params = z.object({
  gamma: z.number().gt(0).max(1).default(0.9).describe("decay per tree level of what is backed up"),
  outcome_weight: outcomeWeight,
  include_self: z.boolean().default(false).describe("the verdict of the expanded step counts too"),
  correct_threshold: z.number().default(0).describe("a reward above it means a correct answer"),
  filter: z
    .enum(["strict", "official", "none"])
    .default("strict")
    .describe("which rollouts may train: all signs of score and verdict agree, the released condition, or all"),
});
type Params = z.output<typeof params>;

/** u = (1/N) Σ_k v_{k+1} (N − k) / N + β F over the verdicts in rows [from, to); null counts as 0, which stands there. */
function hybridValue(
  verdicts: ArrayLike<number>,
  from: number,
  to: number,
  outcome: number,
  weight: Params["outcome_weight"],
): number {
  const n = Math.max(to - from, 0);
  let sum = 0;
  for (let k = 0; k < n; k++) sum += verdicts[from + k] * (n - k);
  const beta = weight === "inverse_n" ? 1 / Math.max(n, 1) : weight;
  return (n === 0 ? 0 : sum / (n * n)) + beta * outcome;
}

/** Verdicts of the tool, null as 0. */
function verdicts(batch: Batch): NumericArray {
  const values = rowNumbers(batch, "steps.verify", { missing: 0 });
  const row = values.findIndex((v) => v !== 0 && v !== 1 && v !== -1);
  if (row >= 0) throw batch.wrongValue("steps.verify", row, "1, -1, 0 or null", `${values[row]}`);
  return values;
}

/** Index of the expanded step of each rollout. */
function expandedSteps(batch: Batch): NumericArray {
  const path = "signals.expand_step";
  const expanded = wholeNumbers(batch, path, { absent: 0 });
  const offsets = batch.offsets("step");
  for (let i = 0; i < batch.size; i++) {
    const steps = offsets[i + 1] - offsets[i];
    if (expanded[i] < 0 || expanded[i] >= Math.max(steps, 1))
      throw batch.wrongValue(path, i, `a step of the path (it has ${steps})`, `${expanded[i]}`);
  }
  return expanded;
}

/** 1 for nodes of the tree, 0 for simulated ones. @throws InputError when a node is both. */
function realNodes(batch: Batch, tree: PrefixTree, nodes: Int32Array, expanded: NumericArray): Uint8Array {
  const offsets = batch.offsets("step");
  const seen = new Uint8Array(tree.size);
  const real = new Uint8Array(tree.size);
  for (let i = 0; i < batch.size; i++) {
    for (let row = offsets[i]; row < offsets[i + 1]; row++) {
      const node = nodes[row];
      const isReal = row - offsets[i] <= expanded[i] ? 1 : 0;
      if (seen[node] === 1 && real[node] !== isReal)
        throw new InputError(
          `the node in row ${row - offsets[i]} is part of the tree in one rollout, simulated in another`,
          {
            rollout: batch.ids[i],
            column: "steps.node",
            hint: "steps after signals.expand_step belong to one rollout only and need ids of their own",
          },
        );
      seen[node] = 1;
      real[node] = isReal;
    }
  }
  return real;
}

/** Whether a rollout with step rows [from, to) may train. */
function passes(
  filter: Params["filter"],
  q: ArrayLike<number>,
  v: ArrayLike<number>,
  from: number,
  to: number,
): boolean {
  if (filter === "none") return true;
  for (let row = from; row < to; row++) {
    if (q[row] === 0) return false;
    if (filter === "strict" && Math.sign(q[row]) !== v[row]) return false;
    if (filter === "official" && (q[row] > 0 ? v[row] <= 0 : v[row] === 0)) return false;
  }
  return true;
}

/** The row before which a wrong rollout is cut: the first that is not wrong any more after the first wrong one. */
function cutOf(q: ArrayLike<number>, from: number, to: number): number {
  let row = from;
  while (row < to && q[row] > 0) row++;
  row++;
  while (row < to && q[row] < 0) row++;
  return Math.min(row, to);
}

/** Share of the summed sizes below which a sum of simulations is 0. */
const rounding = 1e-12;

/**
 * Step labels of GroundedPRM (arXiv 2510.14942; equations of the released code). A rollout is one simulation: real
 * ancestors up to `signals.expand_step` e, simulated steps after it. Its value u mixes the tool's verdicts strictly
 * between e and the last step (weights falling from 1 to 1/N) with the outcome F = ±1, and is added with γ^d to every real
 * ancestor d levels up, summed over the simulations of the group. Label = sign of that score, or of the verdict of a
 * simulated step (0 counts as wrong). A wrong rollout that passes the filter is cut where it looks right again.
 */
function assign(batch: Batch, p: Params): Batch {
  const rewards = batch.numbers("rollout.reward");
  const verify = verdicts(batch);
  const expanded = expandedSteps(batch);
  const tree = nodeTree(batch, "steps.node");
  const offsets = batch.offsets("step");
  const nodes = nodesOfRows(tree, offsets);
  const real = realNodes(batch, tree, nodes, expanded);
  const value = new Float64Array(batch.size);
  const score = new Float64Array(tree.size);
  const size = new Float64Array(tree.size);
  for (let i = 0; i < batch.size; i++) {
    const at = offsets[i] + expanded[i];
    const outcome = rewards[i] > p.correct_threshold ? 1 : -1;
    value[i] = hybridValue(verify, at + 1, offsets[i + 1] - 1, outcome, p.outcome_weight);
    if (p.include_self && offsets[i + 1] > offsets[i]) value[i] += verify[at];
    for (let row = at, share = value[i]; row >= offsets[i] && row < offsets[i + 1]; row--, share *= p.gamma) {
      score[nodes[row]] += share;
      size[nodes[row]] += Math.abs(share);
    }
  }
  // Simulations that cancel out leave 0: what rounding leaves instead would depend on their order.
  for (let node = 0; node < tree.size; node++) if (Math.abs(score[node]) <= rounding * size[node]) score[node] = 0;
  const q = batch.floats("step");
  nodes.forEach((node, row) => {
    q[row] = real[node] === 1 ? score[node] : verify[row];
  });
  const keepStep = new Uint8Array(q.length);
  const keep = new Uint8Array(batch.size);
  for (let i = 0; i < batch.size; i++) {
    if (!passes(p.filter, q, verify, offsets[i], offsets[i + 1])) continue;
    keep[i] = 1;
    const right = rewards[i] > p.correct_threshold;
    keepStep.fill(1, offsets[i], right ? offsets[i + 1] : cutOf(q, offsets[i], offsets[i + 1]));
  }
  return batch.with({
    "steps.q": q,
    "steps.label": Int32Array.from(q, (x) => (x > 0 ? 1 : -1)),
    "steps.keep": keepStep,
    "rollout.value": value,
    "rollout.keep": keep,
  });
}

const sign = z.union([z.literal(1), z.literal(-1)], "1 or -1");
const valueArgs = z.object({
  verify: z.array(z.union([sign, z.literal(0), z.null()], "1, -1, 0 or null")),
  outcome: sign,
  outcome_weight: outcomeWeight,
});

/**
 * Value of one simulation: `verify` are the verdicts strictly between the expanded and the last step (null counts as 0),
 * `outcome` is 1 or −1. Without verdicts it is β F, β = 1 for `inverse_n`.
 */
export function hybridRolloutValue(args: z.input<typeof valueArgs>): number {
  const { verify, outcome, outcome_weight } = functionArgs(valueArgs, args);
  const known = verify.map((v) => v ?? 0);
  return hybridValue(known, 0, known.length, outcome, outcome_weight);
}

export const groundedPrm = defineMethod({
  id: "grounded-prm",
  title: "GroundedPRM: tree search whose steps a tool checks",
  summary:
    "Simulations in a search tree are checked step by step with a tool and at the end with the answer key; the mix is backed up the tree, and only rollouts in which score and verdict agree become training data.",
  facts: {
    paper: {
      title: "GroundedPRM: Tree-Guided and Fidelity-Aware Process Reward Modeling",
      arxiv: "2510.14942",
      date: "2025-10",
      repo: "JerryPlain/GroundedPRMCode",
    },
    headline:
      "With 40K automatic labels an average F1 of 39.7 on ProcessBench, against 31.5 for the best automatically labelled reward model before.",
    granularity: "step",
    methodology: ["tree", "verifier", "reward-model"],
    checked: "released code (back-up, consistency filter, truncation), max abs diff 4.5e-10",
    reconstructed: ["outcome_weight as a number", "include_self", "the strict filter"],
  },
  equations: [
    {
      text: "u = (1/N) Σ_k v_{k+1} (N − k)/N + β F, β = 1/N",
      tex: "u = \\frac{1}{N}\\sum_{k=0}^{N-1} v_{k+1}\\frac{N-k}{N} + \\beta F",
    },
    {
      text: "q(s_{e−d}) += γ^d u for every real ancestor",
      tex: "q(s_{e-d}) \\leftarrow q(s_{e-d}) + \\gamma^{d} u",
    },
  ],
  params,
  presets: { official: { filter: "official" } },
  reads: ["steps.node", "steps.verify", "rollout.reward", "signals.expand_step?", "group?"],
  writes: ["steps.q", "steps.label", "steps.keep", "rollout.value", "rollout.keep"],
  scope: "group",
  functions: { hybridRolloutValue },
  assign,
});

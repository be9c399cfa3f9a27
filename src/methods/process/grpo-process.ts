import { z } from "zod";
import { rowsToTokens } from "../../operators/broadcast.ts";
import { normalizePools } from "../../operators/normalize.ts";
import { poolByGroup } from "../../operators/pools.ts";
import { reverseSumsInto } from "../../operators/returns.ts";
import type { Batch } from "../../rollouts/index.ts";
import { defineMethod } from "../method.ts";
import { ddof, positiveEps } from "../parameters.ts";

const params = z.object({
  step_column: z.string().min(1).default("prm").describe("column of steps that holds the score"),
  norm_by_std: z.boolean().default(true).describe("divide by the spread of the group's step scores"),
  ddof: ddof(1),
  eps: positiveEps(1e-6),
});

/**
 * Process-supervised GRPO (arXiv 2402.03300 section 4.1.3). All step scores of a group are one pool:
 * rn_j = (r_j − μ) / (σ + ε), and every token of step k gets A_k = Σ_{j ≥ k} rn_j. Null is a step that was not judged: it
 * stays out of the pool and adds nothing, but its tokens still get what comes later. Pools of fewer than two scores, or of
 * equal ones, give zeros.
 */
function assign(batch: Batch, p: z.output<typeof params>): Batch {
  const column = `steps.${p.step_column}`;
  const scores = batch.numbers(column, { missing: 0 });
  const spec = { ddof: p.ddof, eps: p.eps, normByStd: p.norm_by_std, valid: batch.validity(column) };
  const normalized = normalizePools(scores, poolByGroup(batch, "step"), spec);
  const norm = batch.zeros("step", scores);
  norm.set(normalized);
  const advantage = batch.zeros("step", scores);
  reverseSumsInto({ offsets: batch.offsets("step"), rewards: normalized, gamma: 1 }, advantage);
  const steps = { "steps.reward_norm": norm, "steps.advantage": advantage };
  if (!batch.hasLevel("token")) return batch.with(steps);
  return batch.with({ ...steps, "tokens.advantage": rowsToTokens(batch, "step", advantage) });
}

export const grpoProcess = defineMethod({
  id: "grpo-process",
  title: "GRPO with process supervision",
  summary:
    "Normalise all step scores of a group together and give every token the sum of the normalised scores of its own and all later steps.",
  facts: {
    paper: {
      title: "DeepSeekMath: Pushing the Limits of Mathematical Reasoning in Open Language Models",
      arxiv: "2402.03300",
      date: "2024-02",
      repo: null,
    },
    headline: "DeepSeekMath-Instruct 1.3B learns better from step scores than from outcomes on GSM8K and MATH.",
    granularity: "step",
    methodology: ["reward-model", "monte-carlo"],
    checked: "no official code exists",
    reconstructed: ["kind of standard deviation", "eps"],
  },
  equations: [
    {
      text: "rn_i(j) = (r_i(j) − μ) / (σ + ε), μ and σ over all steps of the group",
      tex: "\\tilde r_i^{(j)} = \\frac{r_i^{(j)} - \\mu}{\\sigma + \\varepsilon}",
    },
    {
      text: "A_i,t = Σ rn_i(j) over the steps j that end at t or later",
      tex: "A_{i,t} = \\sum_{\\mathrm{index}(j) \\ge t} \\tilde r_i^{(j)}",
    },
  ],
  params,
  reads: ["steps.prm", "steps.end?", "tokens.mask?", "group?"],
  writes: ["steps.reward_norm", "steps.advantage", "tokens.advantage"],
  scope: "group",
  assign,
});

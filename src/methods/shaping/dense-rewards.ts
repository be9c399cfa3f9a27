import { z } from "zod";
import { rowNumbers } from "../../operators/ranges.ts";
import { reverseSumsInto } from "../../operators/returns.ts";
import { maskRuns } from "../../operators/runs.ts";
import { shapingInto } from "../../operators/shaping.ts";
import { placedRewards, rowRewards } from "../../operators/token-rewards.ts";
import type { Batch } from "../../rollouts/index.ts";
import { defineMethod } from "../method.ts";
import { unitInterval } from "../parameters.ts";
import {
  adversarialReward,
  bradleyTerry,
  countBonus,
  goalRewards,
  owenCredit,
  returnDecomposition,
  rndBonus,
  shapleyCredit,
} from "./dense-sources.ts";
import { maxEntIrlGradient } from "./max-entropy.ts";
import { graphAutoencoderLoss, graphPotential, spectrumSimilarity, stateGraph } from "./state-graph.ts";

const params = z.object({
  gamma: unitInterval(1, "discount per turn; must be the one used for the returns"),
  terminal: z
    .enum(["zero", "own"])
    .default("zero")
    .describe("potential after the last turn: 0, or that of the last turn for episodes that were cut off"),
  weight: z.number().default(1).describe("scale of the potential"),
});
type Params = z.output<typeof params>;

/**
 * Potential-based shaping of turns: r'_t = r_t + weight (γ Φ_{t+1} − Φ_t) with Φ = 0 (or its last value) after the last turn;
 * r is `turns.reward`, else the outcome on the last turn. `return_shaped` = Σ γ^t r'_t, with `zero` and weight 1 the old
 * return less Φ_0. The potential may come from `graphPotential`, a judge's progress, or any other guess.
 */
function assign(batch: Batch, p: Params): Batch {
  if (batch.size > 0 && !batch.has("turns.potential")) throw batch.missing("turns.potential", 0);
  const potential = rowNumbers(batch, "turns.potential");
  const offsets = batch.offsets("turn");
  const final = Float64Array.from({ length: batch.size }, (_, i) =>
    p.terminal === "own" && offsets[i + 1] > offsets[i] ? potential[offsets[i + 1] - 1] : 0,
  );
  const shaped = batch.zeros("turn", potential);
  shapingInto(potential, maskRuns(offsets, null), final, p, shaped);
  const rewards = placedRewards(batch, "turn", rowRewards(batch, "turn"), potential);
  for (let k = 0; k < shaped.length; k++) shaped[k] += rewards[k];
  const returns = new Float64Array(shaped.length);
  reverseSumsInto({ offsets, rewards: shaped, gamma: p.gamma }, returns);
  const first = Float64Array.from({ length: batch.size }, (_, i) =>
    offsets[i + 1] > offsets[i] ? returns[offsets[i]] : 0,
  );
  return batch.with({ "turns.reward_shaped": shaped, "rollout.return_shaped": first });
}

export const denseRewards = defineMethod({
  id: "dense-rewards",
  title: "Dense rewards: state graphs, redistribution and the classical families",
  summary:
    "Shapes turn rewards by a potential, for example the distance to the goal in a graph of visited states, and gathers the other sources of dense reward: redistribution, reward models, imitation, curiosity.",
  facts: {
    paper: {
      title: "Towards better dense rewards in Reinforcement Learning Applications",
      arxiv: "2512.04302",
      date: "2025-12",
      repo: null,
    },
    headline:
      "Graph rewards raise the success of hierarchical learners on AntMaze and AntGather; Shapley redistribution converges faster than sparse rewards (qualitative).",
    granularity: "turn",
    methodology: ["shaping", "reward-model", "game-theory", "self-supervised", "hierarchical"],
    checked: "no official code found; Shapley and Owen values checked for efficiency",
    reconstructed: [
      "when the graph opens a node",
      "the graph autoencoder's loss and the two goal rewards",
      "the spectral similarity of graphs",
    ],
  },
  equations: [
    { text: "r'_t = r_t + w (γ Φ_{t+1} − Φ_t)", tex: "r'_t = r_t + w\\,(\\gamma\\,\\Phi_{t+1} - \\Phi_t)" },
    { text: "Φ(i) = −c(i, goal) / max c, c the commute time", tex: "\\Phi(i) = -c(i,g) / \\max_j c(j,g)" },
  ],
  params,
  reads: ["turns.potential", "turns.reward | rollout.reward"],
  writes: ["turns.reward_shaped", "rollout.return_shaped"],
  scope: "rollout",
  functions: {
    stateGraph,
    graphPotential,
    graphAutoencoderLoss,
    goalRewards,
    spectrumSimilarity,
    shapleyCredit,
    owenCredit,
    bradleyTerry,
    maxEntIrlGradient,
    adversarialReward,
    countBonus,
    rndBonus,
    returnDecomposition,
  },
  assign,
});

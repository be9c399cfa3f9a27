import { z } from "zod";
import { policyMask, policyNumbers } from "../../operators/mask.ts";
import { reverseSumsInto } from "../../operators/returns.ts";
import { maskRuns, policyRuns, type Runs } from "../../operators/runs.ts";
import { shapingInto } from "../../operators/shaping.ts";
import { placedRewards, rowRewards } from "../../operators/token-rewards.ts";
import { type Batch, levelKey } from "../../rollouts/index.ts";
import { functionArgs, numberList } from "../arguments.ts";
import { defineMethod } from "../method.ts";
import { unitInterval } from "../parameters.ts";

const params = z.object({
  level: z.enum(["turn", "step", "token"]).default("turn").describe("table whose rows are shaped"),
  gamma: unitInterval(1, "discount per row; must be the one used for the returns"),
  weight: z.number().default(1).describe("scale of the potential"),
  terminal: z
    .enum(["zero", "own", "given"])
    .default("zero")
    .describe("potential after the last row: 0, that of the last row, or signals.potential_final"),
});
type Params = z.output<typeof params>;

/** Potential of the state after the last row of each rollout; 0 where there is no row. */
function finalPotentials(batch: Batch, p: Params, potential: ArrayLike<number>, runs: Runs): Float64Array {
  const truncated = batch.numbers("signals.truncated", { absent: 0 });
  const known = batch.validity("signals.potential_final");
  const given = batch.numbers("signals.potential_final", { absent: 0, missing: 0 });
  const { offsets, ends } = runs;
  return Float64Array.from({ length: batch.size }, (_, i) => {
    const isKnown = known === null || known[i] === 1;
    // A rollout that was cut off did not reach an end, whatever an end is worth.
    const rule = truncated[i] === 1 ? (isKnown ? "given" : "own") : p.terminal;
    if (rule === "given" && !isKnown) throw batch.missing("signals.potential_final", i, "terminal: given needs it");
    if (rule === "own") return offsets[i + 1] > offsets[i] ? potential[ends[offsets[i + 1] - 1] - 1] : 0;
    return rule === "given" ? given[i] : 0;
  });
}

/**
 * Potential-based shaping (Ng, Harada, Russell, ICML 1999): F_k = w (γ Φ_{k+1} − Φ_k), r'_k = r_k + F_k,
 * G'_k = r'_k + γ G'_{k+1}. Of tokens only policy tokens are rows. With a terminal potential of 0, G'_k = G_k − w Φ_k, so
 * the order of actions does not change.
 */
function assign(batch: Batch, p: Params): Batch {
  const { level, gamma } = p;
  const key = levelKey(level);
  const onTokens = level === "token";
  const potential = onTokens ? policyNumbers(batch, "tokens.potential") : batch.numbers(`${key}.potential`);
  const offsets = batch.offsets(level);
  const runs = onTokens ? policyRuns(batch) : maskRuns(offsets, null);
  const shaping = batch.zeros(level, potential);
  shapingInto(potential, runs, finalPotentials(batch, p, potential, runs), p, shaping);
  const shaped = placedRewards(batch, level, rowRewards(batch, level), potential);
  for (let k = 0; k < shaped.length; k++) shaped[k] += shaping[k];
  const returns = batch.zeros(level, potential);
  reverseSumsInto({ offsets, rewards: shaped, mask: onTokens ? policyMask(batch) : null, gamma }, returns);
  const first = Float64Array.from({ length: batch.size }, (_, i) =>
    runs.offsets[i + 1] > runs.offsets[i] ? returns[runs.starts[runs.offsets[i]]] : 0,
  );
  return batch.with({
    [`${key}.shaping`]: shaping,
    [`${key}.reward_shaped`]: shaped,
    [`${key}.return`]: returns,
    "rollout.return_shaped": first,
  });
}

const shapingTermsArgs = z.object({
  potential: numberList,
  gamma: unitInterval(1, "discount per row"),
  final: z.number().default(0),
  weight: z.number().default(1),
});

/** F of one chain of potentials; `final` is the potential after the last row. */
export function shapingTerms(args: z.input<typeof shapingTermsArgs>): number[] {
  const { potential, final, ...rest } = functionArgs(shapingTermsArgs, args);
  const out = new Float64Array(potential.length);
  shapingInto(potential, maskRuns(Int32Array.of(0, potential.length), null), [final], rest, out);
  return [...out];
}

export const potentialShaping = defineMethod({
  id: "potential-shaping",
  title: "Potential-based reward shaping",
  summary:
    "Add gamma times the next state's potential minus this state's potential to every reward: returns become dense and the optimal policy cannot change.",
  facts: {
    paper: {
      title: "Policy Invariance Under Reward Transformations: Theory and Application to Reward Shaping",
      arxiv: null,
      date: "1999-06",
      repo: null,
    },
    headline:
      "The form is sufficient, and without knowledge of the dynamics necessary, for the optimal policy to stay the same.",
    granularity: "turn",
    methodology: ["shaping"],
    checked: "no official code exists; the identity of shaped and plain returns holds to 1e-12",
  },
  equations: [
    { text: "F_k = w (γ Φ_{k+1} − Φ_k)", tex: "F_k = w\\,(\\gamma\\,\\Phi_{k+1} - \\Phi_k)" },
    { text: "r'_k = r_k + F_k", tex: "r'_k = r_k + F_k" },
    { text: "G'_k = r'_k + γ G'_{k+1}", tex: "G'_k = r'_k + \\gamma G'_{k+1}" },
  ],
  params,
  reads: [
    "turns.potential | steps.potential | tokens.potential",
    "turns.reward | steps.reward | tokens.reward | rollout.reward",
    "tokens.mask?",
    "signals.truncated?",
    "signals.potential_final?",
  ],
  writes: [
    ...["turns", "steps", "tokens"].flatMap((key) => ["shaping", "reward_shaped", "return"].map((x) => `${key}.${x}`)),
    "rollout.return_shaped",
  ],
  scope: "rollout",
  functions: { potentialShaping: shapingTerms },
  assign,
});

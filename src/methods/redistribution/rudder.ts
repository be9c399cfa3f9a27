import { z } from "zod";
import { rowsToTokens, tokenSpans } from "../../operators/broadcast.ts";
import { policyMask, policyNumbers } from "../../operators/mask.ts";
import { reverseSumsInto } from "../../operators/returns.ts";
import { maskRuns, policyRuns, type Runs } from "../../operators/runs.ts";
import { placedRewards, type RewardLevel, rowRewards } from "../../operators/token-rewards.ts";
import type { Batch } from "../../rollouts/index.ts";
import { functionArgs, numberList } from "../arguments.ts";
import { defineMethod } from "../method.ts";
import { unitInterval } from "../parameters.ts";
import { linearReturnDecomposition } from "./linear-decomposition.ts";

const correction = z
  .enum(["equal", "last", "none"])
  .default("equal")
  .describe("where the error of the final prediction goes: an equal share to every row, to the last one, or nowhere");

const params = z.object({
  level: z.enum(["turns", "steps", "tokens"]).default("turns").describe("table whose rows are paid"),
  correction,
  mix: unitInterval(1, "weight of the redistributed reward; the rest is the original one (released agent: 0.2)"),
  credit: z
    .enum(["reward", "return"])
    .default("reward")
    .describe("advantage of a row: its redistributed reward, or the discounted sum from there on"),
  gamma: unitInterval(1, "credit return: discount per row"),
});
type Params = z.output<typeof params>;

const levels = { turns: "turn", steps: "step", tokens: "token" } as const satisfies Record<string, RewardLevel>;

/** r'_t = g_t − g_before + correction along each chain, so that they add up to the return; rows between runs stay. */
function redistributeInto(
  prediction: ArrayLike<number>,
  runs: Runs,
  base: ArrayLike<number>,
  ret: ArrayLike<number>,
  kind: Params["correction"],
  out: Float64Array,
): void {
  const { offsets, starts, ends } = runs;
  for (let chain = 0; chain + 1 < offsets.length; chain++) {
    let before = base[chain];
    let rows = 0;
    for (let run = offsets[chain]; run < offsets[chain + 1]; run++) {
      rows += ends[run] - starts[run];
      for (let row = starts[run]; row < ends[run]; row++) {
        out[row] = prediction[row] - before;
        before = prediction[row];
      }
    }
    if (rows === 0 || kind === "none") continue;
    const error = ret[chain] - (before - base[chain]);
    if (kind === "last") out[ends[offsets[chain + 1] - 1] - 1] += error;
    else {
      for (let run = offsets[chain]; run < offsets[chain + 1]; run++) {
        for (let row = starts[run]; row < ends[run]; row++) out[row] += error / rows;
      }
    }
  }
}

/**
 * RUDDER (arXiv 1806.07857): r'_t = g_t − g_{t−1} with g_t the return predicted after row t, plus the error G − Σ r' shared out;
 * r''_t = mix r'_t + (1 − mix) r_t. A_t = r''_t, or its discounted sum from t on. Policy tokens get the A of their row.
 */
function assign(batch: Batch, p: Params): Batch {
  const level = levels[p.level];
  const onTokens = level === "token";
  const offsets = batch.offsets(level);
  const path = `${p.level}.return_prediction`;
  const prediction = onTokens ? policyNumbers(batch, path) : batch.numbers(path);
  const base = batch.numbers("signals.return_prediction_0", { absent: 0 });
  const runs = onTokens ? policyRuns(batch) : maskRuns(offsets, null);
  const mask = onTokens ? policyMask(batch) : null;
  const rewards = Float64Array.from(placedRewards(batch, level, rowRewards(batch, level), new Float64Array(0)));
  const ret = new Float64Array(batch.size);
  for (let i = 0; i < batch.size; i++) for (let row = offsets[i]; row < offsets[i + 1]; row++) ret[i] += rewards[row];
  const redistributed = new Float64Array(rewards.length);
  redistributeInto(prediction, runs, base, ret, p.correction, redistributed);
  if (p.mix < 1) {
    for (let row = 0; row < rewards.length; row++)
      redistributed[row] = p.mix * redistributed[row] + (1 - p.mix) * rewards[row];
  }
  const advantage = redistributed.slice();
  if (p.credit === "return") reverseSumsInto({ offsets, rewards: redistributed, mask, gamma: p.gamma }, advantage);
  const columns = { [`${p.level}.redistributed_reward`]: redistributed, [`${p.level}.advantage`]: advantage };
  if (onTokens || !batch.hasLevel("token")) return batch.with(columns);
  tokenSpans(batch, level);
  return batch.with({ ...columns, "tokens.advantage": { later: () => rowsToTokens(batch, level, advantage) } });
}

const redistributeArgs = z.object({ prediction: numberList, ret: z.number(), base: z.number().default(0), correction });

/** Redistributed rewards of one chain: `ret` is its return, `base` the prediction before its first row. */
export function redistributeReturn(args: z.input<typeof redistributeArgs>): number[] {
  const { prediction, ret, base, correction } = functionArgs(redistributeArgs, args);
  const out = new Float64Array(prediction.length);
  redistributeInto(prediction, maskRuns(Int32Array.of(0, out.length), null), [base], [ret], correction, out);
  return [...out];
}

export const rudder = defineMethod({
  id: "rudder",
  title: "RUDDER: return decomposition for delayed rewards",
  summary:
    "Predict the final return from every prefix, pay each step the change of the prediction, and spread the remaining error so that the step rewards still add up to the return.",
  facts: {
    paper: {
      title: "RUDDER: Return Decomposition for Delayed Rewards",
      arxiv: "1806.07857",
      date: "2018-06",
      repo: "ml-jku/rudder",
    },
    headline:
      "Exponentially faster than TD and Monte Carlo on tasks with delayed rewards, and above PPO on Atari games with such rewards.",
    granularity: "turn",
    methodology: ["redistribution", "shaping"],
    checked: "official redistribution code, max abs diff 3.6e-7 (float32 there)",
    reconstructed: ["the linear form as ridge regression"],
  },
  equations: [
    { text: "r'_t = g_t − g_{t−1} + (G − g_T + g_0)/T", tex: "r'_t = g_t - g_{t-1} + \\tfrac{1}{T}(G - g_T + g_0)" },
    { text: "r''_t = mix r'_t + (1 − mix) r_t", tex: "r''_t = \\lambda r'_t + (1-\\lambda) r_t" },
    {
      text: "credit return: A_t = Σ_{k ≥ t} γ^(k−t) r''_k",
      tex: "A_t = \\sum_{k \\ge t} \\gamma^{k-t} r''_k",
    },
  ],
  params,
  reads: [
    "turns.return_prediction | steps.return_prediction | tokens.return_prediction",
    "turns.reward | steps.reward | tokens.reward | rollout.reward",
    "signals.return_prediction_0?",
    "turns.end?",
    "steps.end?",
    "tokens.mask?",
  ],
  writes: ["turns", "steps", "tokens"].flatMap((key) => [`${key}.redistributed_reward`, `${key}.advantage`]),
  scope: "rollout",
  functions: { redistributeReturn, linearReturnDecomposition },
  assign,
});

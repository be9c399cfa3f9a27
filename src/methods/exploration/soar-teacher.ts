import { z } from "zod";
import { leaveOneOut } from "../../operators/baselines.ts";
import { advantageColumns } from "../../operators/group-credit.ts";
import { poolMoments } from "../../operators/normalize.ts";
import { type Pools, poolByKeys } from "../../operators/pools.ts";
import { type Batch, describe } from "../../rollouts/index.ts";
import { bit, count, functionArgs, numberList, probability } from "../arguments.ts";
import { defineMethod } from "../method.ts";

/** Problem set of every rollout: those of one group with the same `signals.dataset` (default 0). */
function poolBySet(batch: Batch): Pools {
  const sets = batch.has("signals.dataset") ? batch.cells("signals.dataset") : [];
  return poolByKeys(batch, "rollout", (_, i) => {
    const set = sets[i] ?? 0;
    if (typeof set === "number" || typeof set === "string") return set;
    throw batch.wrongValue("signals.dataset", i, "a number or a name", describe(set));
  });
}

/**
 * Teacher credit of SOAR (arXiv 2601.18778): R_k = mean of the known rewards of problem set k, A_k = R_k − mean of the other
 * sets of the outer iteration (the group); every rollout of the set gets A_k. Sets without a reward are left out and get 0,
 * and so does a set that is alone.
 */
function assign(batch: Batch): Batch {
  const given = batch.numbers("rollout.reward", { absent: 0, missing: 0 });
  const sets = poolBySet(batch);
  const { count, mean } = poolMoments(given, sets, batch.validity("rollout.reward"));
  const groups = new Int32Array(sets.count);
  sets.of.forEach((set, i) => {
    groups[set] = batch.groupOf[i];
  });
  const valid = Uint8Array.from(count, (n) => Math.min(n, 1));
  const { advantage } = leaveOneOut(mean, { of: groups, count: batch.groupCount }, { valid });
  const reward = {
    values: Float64Array.from(sets.of, (set) => (valid[set] === 1 ? mean[set] : 0)),
    valid: Uint8Array.from(sets.of, (set) => valid[set]),
  };
  return batch.with({
    "rollout.reward": reward,
    ...advantageColumns(
      batch,
      Float64Array.from(sets.of, (set) => advantage[set]),
    ),
  });
}

const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;

const scheduleShape = {
  tau: z.number().default(0.01).describe("gain that the moving average has to exceed"),
  window: count.min(1).default(3).describe("outer iterations that are averaged"),
  full_window: z.boolean().default(true).describe("no promotion before the window is full"),
  reset_on_promotion: z.boolean().default(false).describe("forget earlier gains, which refer to the old student"),
};
interface Schedule {
  tau: number;
  window: number;
  full_window: boolean;
}

/** Mean of the last gains, and whether it earns a promotion. */
function verdict(means: readonly number[], p: Schedule): { moving_average: number; promote: boolean } {
  const moving_average = mean(means.slice(-p.window));
  const enough = !p.full_window || means.length >= p.window;
  return { moving_average, promote: enough && moving_average > p.tau };
}

const scheduleArgs = z.object({ ...scheduleShape, means: numberList });

/**
 * Promotions over outer iterations: the mean of the last `window` gains after each, and whether it exceeds `tau` (strictly;
 * with `full_window` only once there are `window` of them). With `reset_on_promotion` a promotion starts the history anew.
 */
export function promotionSchedule(args: z.input<typeof scheduleArgs>): { moving_average: number; promote: boolean }[] {
  const { means, ...p } = functionArgs(scheduleArgs, args);
  let history: number[] = [];
  return means.map((gain) => {
    history.push(gain);
    const found = verdict(history, p);
    if (found.promote && p.reset_on_promotion) history = [];
    return found;
  });
}

const stepArgs = z.object({
  ...scheduleShape,
  accuracy_base: probability,
  accuracy_after: z.array(z.array(probability).min(1)).min(1),
  /** Mean gains of earlier outer iterations. */
  history: numberList.nullish(),
});

/** Number of the lower median of a list, equal values in order. */
function medianIndex(values: readonly number[]): number {
  const order = [...values.keys()].sort((a, b) => values[a] - values[b] || a - b);
  return order[(order.length - 1) >> 1];
}

/**
 * One outer iteration from accuracies on the hard questions: of the student before (`accuracy_base`) and after training on
 * each problem set, one per repeat. `reward`: mean gain of each set; `mean` of them; `moving_average` over `history` and
 * this; on promotion `dataset` is the best set (the first of equals) and `student` its repeat of median gain (the lower one),
 * else both are null; `advantage` leaves each set out of its own baseline (0 for a single set).
 * @throws InputError on accuracies outside 0 to 1, no sets, and a set without repeats.
 */
export function soarTeacherStep(args: z.input<typeof stepArgs>): {
  reward: number[];
  mean: number;
  moving_average: number;
  promote: boolean;
  dataset: number | null;
  student: number | null;
  advantage: number[];
} {
  const { accuracy_base, accuracy_after, history, ...p } = functionArgs(stepArgs, args);
  const gains = accuracy_after.map((repeats) => repeats.map((after) => after - accuracy_base));
  const reward = gains.map(mean);
  const gain = mean(reward);
  const { moving_average, promote } = verdict([...(history ?? []), gain], p);
  const best = reward.indexOf(reward.reduce((a, b) => Math.max(a, b)));
  const { advantage } = leaveOneOut(reward, { of: new Int32Array(reward.length), count: 1 });
  return {
    reward,
    mean: gain,
    moving_average,
    promote,
    dataset: promote ? best : null,
    student: promote ? medianIndex(gains[best]) : null,
    advantage: [...advantage],
  };
}

const learnabilityArgs = z.object({ success: z.array(probability).min(1) });

/** Intrinsic baseline: a question with success rate s earns 1 − s, and 0 when it is never solved; the set earns their mean. */
export function learnabilityReward(args: z.input<typeof learnabilityArgs>): {
  per_question: number[];
  dataset: number;
} {
  const { success } = functionArgs(learnabilityArgs, args);
  const per_question = success.map((s) => (s === 0 ? 0 : 1 - s));
  return { per_question, dataset: mean(per_question) };
}

const flag = z.union([z.boolean(), bit.transform(Boolean)]);
const gradedArgs = z.object({ has_boxed: flag, verified: flag, truth_in_text: flag });

/** Reward of a student's answer: 0 without a boxed answer, 120 when it is verified, else 20 when the truth occurs in the text, else 10. */
export function studentGradedReward(args: z.input<typeof gradedArgs>): number {
  const { has_boxed, verified, truth_in_text } = functionArgs(gradedArgs, args);
  if (!has_boxed) return 0;
  if (verified) return 120;
  return truth_in_text ? 20 : 10;
}

export const soarTeacher = defineMethod({
  id: "soar-teacher",
  title: "SOAR: a teacher paid by what its problems teach",
  summary:
    "A teacher writes small sets of practice problems and is paid by how much a student trained on a set improves on real problems it could not solve; sets are compared with the other sets of the iteration.",
  facts: {
    paper: {
      title: "Teaching Models to Teach Themselves: Reasoning at the Edge of Learnability",
      arxiv: "2601.18778",
      date: "2026-01",
      repo: null,
    },
    headline:
      "On problems without a single success in 128 tries, Llama-3.2-3B gained 9.3 points of pass@32 on MATH and 4.2 on HARP over training on the hard set alone, three quarters of what the full human set gives.",
    granularity: "rollout",
    methodology: ["monte-carlo", "self-supervised"],
    checked: "no official code found; written from the full text with its algorithm and appendices",
    reconstructed: ["no promotion before the window is full", "lower median repeat, first of equal sets"],
  },
  equations: [
    {
      text: "R_k = mean_j Acc(θ'_kj) − Acc(θ)",
      tex: "R_k = \\frac{1}{r}\\sum_j \\mathrm{Acc}(\\theta'_{k,j}) - \\mathrm{Acc}(\\theta)",
    },
    {
      text: "A_k = R_k − Σ_{j ≠ k} R_j / (g − 1)",
      tex: "A_k = R_k - \\frac{1}{g-1}\\sum_{j \\ne k} R_j",
    },
    {
      text: "promotion if the mean of the last m gains exceeds τ",
      tex: "\\frac{1}{m}\\sum_{s=t-m+1}^{t}\\hat R_s > \\tau",
    },
  ],
  params: z.object({}),
  reads: ["rollout.reward", "signals.dataset?", "group?", "tokens.mask?"],
  writes: ["rollout.reward", "rollout.advantage", "tokens.advantage"],
  scope: "group",
  unscored: true,
  functions: { soarTeacherStep, promotionSchedule, learnabilityReward, studentGradedReward },
  assign,
});

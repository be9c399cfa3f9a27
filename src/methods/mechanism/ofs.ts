import { z } from "zod";
import {
  addPlay,
  emptyRecord,
  fade,
  logBound,
  type PlayRecord,
  radius,
  type Selection,
  selectThreshold,
} from "../../mechanisms/thresholds.ts";
import { bits } from "../../operators/ranges.ts";
import { type Batch, InputError } from "../../rollouts/index.ts";
import { bit, count, functionArgs, numberList, numberRows, sameLength } from "../arguments.ts";
import { defineMethod } from "../method.ts";
import { batchTerms, bestFeasibleFixed, closedLoopRun, closedLoopStep, optimism, optional } from "./closed-loop.ts";

const sums = (of: z.ZodType, text: string) => z.array(of).nullable().default(null).describe(text);

const params = z.object({
  grid: numberList
    .min(1)
    .default(Array.from({ length: 17 }, (_, k) => (k + 2) / 20))
    .describe("thresholds to choose from"),
  ...optimism,
  ...batchTerms,
  counts: sums(z.number().min(0), "plays of each threshold in earlier rounds; null = none"),
  reward_sum: sums(z.number(), "sum of the rewards of those plays, per threshold"),
  residual_sum: sums(numberList, "sums of the residuals of those plays, per threshold and constraint"),
  residual_counts: sums(z.array(z.number().min(0)), "how often each residual could be measured; null = at every play"),
  round: z
    .int()
    .min(1)
    .nullable()
    .default(null)
    .describe("number of the first round of this call; null = plays so far + 1"),
  forget: z
    .number()
    .gt(0)
    .max(1)
    .default(1)
    .describe("factor on all counts and sums after a round; below 1 for loops that drift"),
});
type Params = z.output<typeof params>;

const recordArgs = z.object({
  counts: z.array(z.number().min(0)).min(1, "at least one threshold"),
  rewardSum: numberList,
  residualSum: numberRows,
  residualCounts: z
    .array(z.array(z.number().min(0)))
    .nullable()
    .default(null),
});

/** Sums as the rule keeps them; every list must have an entry per threshold, every row one per constraint. */
function recordOf(given: z.output<typeof recordArgs>): PlayRecord {
  const { counts, rewardSum, residualSum } = given;
  const constraints = residualSum[0]?.length ?? 0;
  const residualCounts = given.residualCounts ?? residualSum.map((row, k) => row.map(() => counts[k]));
  sameLength({ counts, rewardSum, residualSum, residualCounts });
  residualSum.forEach((row, k) => {
    sameLength({
      "residualSum.0": residualSum[0],
      [`residualSum.${k}`]: row,
      [`residualCounts.${k}`]: residualCounts[k],
    });
  });
  return {
    counts: Float64Array.from(counts),
    rewardSums: Float64Array.from(rewardSum),
    residualCounts: Float64Array.from(residualCounts.flat()),
    residualSums: Float64Array.from(residualSum.flat()),
    constraints,
  };
}

const feedbackArgs = z.object({
  scores: numberList,
  labels: z.array(bit),
  rewards: numberList,
  threshold: z.number(),
  ...batchTerms,
});

interface Round {
  scores: ArrayLike<number>;
  /** 0 or 1. */
  labels: ArrayLike<number>;
  rewards: ArrayLike<number>;
}

interface Feedback {
  reward: number;
  /** A residual that an empty group leaves undefined is null: it is not to be counted. */
  residuals: (number | null)[];
}

/** What a threshold brings over the `members` of a round; see `ofsFeedback`. */
function feedback(
  { scores, labels, rewards }: Round,
  members: Iterable<number>,
  threshold: number,
  { cost, eps_dp, service }: Pick<Params, "cost" | "eps_dp" | "service">,
): Feedback {
  const seen = [0, 0];
  const taken = [0, 0];
  let total = 0;
  for (const i of members) {
    seen[labels[i]]++;
    if (scores[i] < threshold) continue;
    taken[labels[i]]++;
    total += rewards[i];
  }
  const accepted = taken[0] + taken[1];
  const gap = Math.abs(taken[1] / seen[1] - taken[0] / seen[0]);
  const residuals = [seen[0] === 0 || seen[1] === 0 ? null : gap - eps_dp];
  const size = seen[0] + seen[1];
  if (service !== null) residuals.push(size === 0 ? null : service - accepted / size);
  return { reward: accepted === 0 ? 0 : total / accepted - cost, residuals };
}

/**
 * What one round with a threshold brought: the mean outcome of the rollouts whose score reaches it, less the cost (0 when
 * there is none), and the residuals |a_1 − a_0| − eps_dp and, with `service`, service − overall acceptance; a_g is the
 * acceptance rate of group g. A residual that an empty group leaves undefined is null: it is not to be counted.
 */
export function ofsFeedback(args: z.input<typeof feedbackArgs>): Feedback {
  const { threshold, scores, labels, rewards, ...terms } = functionArgs(feedbackArgs, args);
  sameLength({ scores, labels, rewards });
  return feedback({ scores, labels, rewards }, scores.keys(), threshold, terms);
}

/** Rollouts of each round, rounds in ascending order; without `signals.round` all are of one round. */
function roundsOf(batch: Batch): number[][] {
  const rounds = batch.numbers("signals.round", { absent: 0 });
  const byRound = new Map<number, number[]>();
  for (let i = 0; i < batch.size; i++) {
    const members = byRound.get(rounds[i]);
    if (members === undefined) byRound.set(rounds[i], [i]);
    else members.push(i);
  }
  return [...byRound].sort(([a], [b]) => a - b).map(([, members]) => members);
}

function startOf(p: Params): { record: PlayRecord; round: number } {
  const { counts, reward_sum: rewardSum, residual_sum: residualSum, residual_counts: residualCounts } = p;
  const constraints = p.service === null ? 1 : 2;
  if (counts === null) return { record: emptyRecord(p.grid.length, constraints), round: p.round ?? 1 };
  const record = recordOf(functionArgs(recordArgs, { counts, rewardSum, residualSum, residualCounts }));
  if (record.counts.length !== p.grid.length || record.constraints !== constraints) {
    throw new InputError("the sums of earlier rounds do not fit the grid and the constraints", {
      expected: `${p.grid.length} thresholds with ${constraints} residuals each`,
      got: `${record.counts.length} with ${record.constraints}`,
    });
  }
  return { record, round: p.round ?? 1 + Math.floor(record.counts.reduce((sum, n) => sum + n, 0)) };
}

/**
 * Optimistic feasible search (arXiv 2512.22313) on recorded rounds: in every round (`signals.round`, one round without it)
 * the threshold τ is chosen from what earlier rounds brought, rollouts with score ≥ τ are accepted, and the round's reward
 * and residuals are added to the sums of that threshold only. Sums of rounds before this call are parameters.
 */
function assign(batch: Batch, p: Params): Batch {
  const scores = batch.numbers("signals.score");
  const labels = bits(batch, "signals.group_label");
  const rewards = batch.numbers("rollout.reward");
  const accepted = batch.zeros("rollout");
  const threshold = batch.zeros("rollout");
  const { record, round } = startOf(p);
  roundsOf(batch).forEach((members, k) => {
    const { index } = selectThreshold(record, round + k, p);
    const { reward, residuals } = feedback({ scores, labels, rewards }, members, p.grid[index], p);
    for (const i of members) {
      threshold[i] = p.grid[index];
      accepted[i] = scores[i] >= p.grid[index] ? 1 : 0;
    }
    addPlay(record, index, reward, residuals);
    if (p.forget < 1) fade(record, p.forget);
  });
  return batch.with({ "rollout.accepted": accepted, "rollout.threshold": threshold });
}

const radiusArgs = z.object({
  n: z.number().min(0),
  t: z.number().min(1),
  K: count.min(1),
  J: count,
  delta: optimism.delta,
  range: z.number().positive().default(1),
  scale: z.number().positive().default(1),
});

/** Half width of a confidence bound: scale · range · sqrt(ln(2 K (J+1) t² / δ) / (2 n)); infinite for n = 0. */
export function ofsRadius(args: z.input<typeof radiusArgs>): number {
  const { n, t, K, J, delta: chance, range, scale } = functionArgs(radiusArgs, args);
  return radius(n, logBound(K, J, t, chance), scale * range);
}

const selectArgs = recordArgs.extend({ t: z.int().min(1), params: optional(z.object(optimism)) });

/**
 * The threshold to play in round t: UCB_k = mean reward + radius, LCB_kj = mean residual − radius (∞ and −∞ for what was
 * never seen). Of the thresholds with LCB_kj ≤ 0 for all j, `feasible`, the one of the largest UCB (mode `reward`); if
 * there is none, that of the smallest sum (or maximum) over j of max(0, LCB_kj), then of the largest UCB (mode
 * `violation`). Ties go to the lowest index. `residualCounts` = observations of each residual, where they differ from counts.
 */
export function ofsSelect(args: z.input<typeof selectArgs>): Selection {
  const given = functionArgs(selectArgs, args);
  return selectThreshold(recordOf(given), given.t, given.params);
}

export const ofs = defineMethod({
  id: "ofs",
  title: "Optimistic feasible search for a fair threshold",
  summary:
    "Chooses the threshold of a score in a closed loop: optimistic about reward, playing only thresholds that may satisfy parity between two groups, and the least violating one when none may.",
  facts: {
    paper: {
      title: "Optimistic Feasible Search for Closed-Loop Fair Threshold Decision-Making",
      arxiv: "2512.22313",
      date: "2025-12",
      repo: null,
    },
    headline:
      "On a synthetic loop, German Credit and COMPAS: more reward and far fewer violations than unconstrained and primal-dual bandits.",
    granularity: "rollout",
    methodology: ["mechanism"],
    checked: "no official code found",
    reconstructed: [
      "the confidence radius",
      "ties and the fallback objective",
      "the synthetic loop and its constants",
      "the primal-dual baseline",
    ],
  },
  equations: [
    {
      text: "rad(n, t) = c · range · sqrt(ln(2 K (J+1) t² / δ) / (2 n))",
      tex: "\\operatorname{rad}(n,t) = c\\,R\\,\\sqrt{\\frac{\\ln(2K(J+1)t^2/\\delta)}{2n}}",
    },
    {
      text: "F_t = { k : g_kj − rad ≤ 0 for all j }",
      tex: "F_t = \\{k : \\bar g_{kj} - \\operatorname{rad} \\le 0\\ \\forall j\\}",
    },
    { text: "play argmax over F_t of r_k + rad", tex: "k_t = \\arg\\max_{k \\in F_t} \\bar r_k + \\operatorname{rad}" },
    {
      text: "if F_t is empty: argmin Σ_j max(0, g_kj − rad)",
      tex: "k_t = \\arg\\min_k \\sum_j \\max(0, \\bar g_{kj} - \\operatorname{rad})",
    },
  ],
  params,
  presets: { paper: { radius_scale: 1 }, practice: { radius_scale: 0.1 } },
  reads: ["signals.score", "signals.group_label", "rollout.reward", "signals.round?"],
  writes: ["rollout.accepted", "rollout.threshold"],
  scope: "batch",
  functions: {
    ofsRadius,
    ofsSelect,
    ofsFeedback,
    closedLoopStep,
    closedLoopRun,
    bestFeasibleFixed,
  },
  infinite: ["ofsRadius"],
  assign,
});

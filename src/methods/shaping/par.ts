import { z } from "zod";
import { rolloutsToTokens } from "../../operators/broadcast.ts";
import { policyLengths } from "../../operators/mask.ts";
import { normalizePools } from "../../operators/normalize.ts";
import { knownOutcomes } from "../../operators/outcome.ts";
import { poolByGroup } from "../../operators/pools.ts";
import { type Batch, InputError } from "../../rollouts/index.ts";
import { functionArgs, numberList, numberRows, sameLength } from "../arguments.ts";
import { defineMethod, type TwoPass } from "../method.ts";
import {
  addRewards,
  centredShapings,
  type RunningRewards,
  runningShapings,
  type ShapingName,
  shapedReward,
  shapingNames,
  sigmoidPolynomial,
} from "./reward-shapings.ts";

const slope = z.number().positive().default(1).describe("slope of the sigmoid; the paper also tries 2 and 3");
const ceiling = z.number().nullable().default(null).describe("upper bound of the raw reward; null = none");

const params = z.object({
  method: z.enum(shapingNames).default("par").describe("par, or one of the other shapings that the paper compares"),
  k: slope,
  max_refs: z.int().min(1).default(10).describe("reference rewards used at most, the first ones in order"),
  length_penalty: z.number().min(0).default(0).describe("taken off per policy token beyond length_threshold"),
  length_threshold: z.number().min(0).default(300).describe("policy tokens that are free of length_penalty"),
  ceil: ceiling,
  advantage: z
    .enum(["none", "group"])
    .default("none")
    .describe("group: also centre and scale the shaped reward inside its group and give it to every policy token"),
});
type Params = z.output<typeof params>;

/** Columns `signals.ref_reward_1`, `…_2`, … in order, up to the first number that no rollout has. */
function referenceColumns(batch: Batch): string[] {
  const paths: string[] = [];
  for (let m = 1; batch.has(`signals.ref_reward_${m}`); m++) paths.push(`signals.ref_reward_${m}`);
  return paths;
}

/** Reference rewards of each rollout: consecutive from 1, ending at the first that is absent or null. */
function references(batch: Batch, most: number): number[][] {
  const refs: number[][] = Array.from({ length: batch.size }, () => []);
  referenceColumns(batch).forEach((path, m) => {
    if (m >= most) return;
    const values = batch.numbers(path, { absent: 0, missing: 0 });
    const valid = batch.validity(path);
    for (let i = 0; i < batch.size; i++) {
      if (refs[i].length === m && (valid === null || valid[i] === 1)) refs[i].push(values[i]);
    }
  });
  return refs;
}

/** Raw rewards as the shaping takes them: first the ceiling, then the length penalty. */
function rawRewards(batch: Batch, p: Params): Float64Array {
  const ceil = p.ceil ?? Number.POSITIVE_INFINITY;
  const lengths = policyLengths(batch);
  return Float64Array.from(knownOutcomes(batch), (r, i) => {
    const over = Math.max(0, lengths[i] - p.length_threshold);
    return Math.min(r, ceil) - (over === 0 ? 0 : p.length_penalty * over);
  });
}

function isRunning(method: ShapingName): boolean {
  return (runningShapings as readonly string[]).includes(method);
}

/**
 * Preference As Reward (arXiv 2502.18770 section 4): r' = mean over m of σ(k (r − r_m)), the probability under the reward
 * model that the response beats reference m; `method` chooses one of the other shapings that the paper compares. A call is
 * one batch of the running statistics.
 * `advantage: group` is the official GRPO trainer: (r' − mean) / (std + 1e-8) inside the group, sample std.
 */
function assign(batch: Batch, p: Params, given?: RunningRewards): Batch {
  const raw = rawRewards(batch, p);
  const refs = (centredShapings as readonly string[]).includes(p.method) ? references(batch, p.max_refs) : null;
  const lacking = refs?.findIndex((list) => list.length === 0) ?? -1;
  if (lacking >= 0) throw noReference(batch, lacking);
  const running = isRunning(p.method) ? (given ?? addRewards(null, raw)) : null;
  const shaped = raw.map((r, i) => shapedReward(p.method, r, refs?.[i] ?? [], p.k, running));
  if (p.advantage === "none") return batch.with({ "rollout.reward_shaped": shaped });
  const advantage = normalizePools(shaped, poolByGroup(batch, "rollout"), { eps: 1e-8 });
  const columns = { "rollout.reward_shaped": shaped, "rollout.advantage": advantage };
  if (!batch.hasLevel("token")) return batch.with(columns);
  return batch.with({ ...columns, "tokens.advantage": { later: () => rolloutsToTokens(batch, advantage) } });
}

function noReference(batch: Batch, rollout: number): InputError {
  return new InputError("no reference reward", {
    rollout: batch.ids[rollout],
    column: "signals.ref_reward_1",
    hint: "score at least one reference response to the same prompt, or take a method that is not centred",
  });
}

const twoPass: TwoPass<Params, RunningRewards> = {
  scope: (p) => (p.advantage === "group" ? "group" : "rollout"),
  collect: (batch, p, state) => addRewards(state, rawRewards(batch, p)),
  apply: assign,
};

/** Share of saturated rewards beyond which the signal counts as gone, and from where a reward is saturated. */
const mostSaturated = 0.2;
const saturated = 0.99;

function warnings(batch: Batch, p: Params): string[] {
  const messages: string[] = [];
  const gap = firstGap(batch);
  if (gap !== null) messages.push(`rollout ${JSON.stringify(gap.id)} has ${gap.path} but not the one before: ignored`);
  if (p.length_penalty > 0 && !batch.hasLevel("token"))
    messages.push("length_penalty has no effect on rollouts without tokens");
  if (p.method === "par" && batch.has("rollout.reward_shaped")) {
    const shaped = Array.from(batch.numbers("rollout.reward_shaped"));
    const share = shaped.filter((r) => r > saturated).length / batch.size;
    if (share > mostSaturated)
      messages.push(
        `${Math.round(100 * share)} % of the shaped rewards are above ${saturated}: the signal is nearly gone`,
      );
  }
  return messages;
}

/** The first reference reward that stands behind a gap. */
function firstGap(batch: Batch): { id: string; path: string } | null {
  const numbers = batch.paths
    .map((path) => /^signals\.ref_reward_([1-9]\d*)$/.exec(path)?.[1])
    .filter((m) => m !== undefined)
    .map(Number)
    .sort((a, b) => a - b);
  const before = new Int32Array(batch.size);
  for (const m of numbers) {
    const path = `signals.ref_reward_${m}`;
    const valid = batch.validity(path);
    for (let i = 0; i < batch.size; i++) {
      if (valid !== null && valid[i] === 0) continue;
      if (before[i] !== m - 1) return { id: batch.ids[i], path };
      before[i] = m;
    }
  }
  return null;
}

const parRewardArgs = z.object({ reward: numberList, refs: numberRows, k: slope });

/** r' of each reward against its own list of reference rewards: `refs[i]` belongs to `reward[i]`. */
export function parReward(args: z.input<typeof parRewardArgs>): number[] {
  return shapeReward({ ...functionArgs(parRewardArgs, args), method: "par" });
}

const shapeRewardArgs = z.object({
  reward: numberList,
  method: z.enum(shapingNames),
  refs: numberRows.optional(),
  k: slope,
  ceil: ceiling,
});

/** Any shaping on one batch of rewards; `refs[i]` are the reference rewards of `reward[i]`, for centred shapings. */
export function shapeReward(args: z.input<typeof shapeRewardArgs>): number[] {
  const { reward, method, refs, k, ceil } = functionArgs(shapeRewardArgs, args);
  const raw = reward.map((r) => Math.min(r, ceil ?? Number.POSITIVE_INFINITY));
  if (refs !== undefined) sameLength({ reward, refs });
  if ((centredShapings as readonly string[]).includes(method)) {
    const lacking = raw.findIndex((_, i) => (refs?.[i] ?? []).length === 0);
    if (lacking >= 0)
      throw new InputError(`no reference reward in refs.${lacking}`, { expected: "at least one number" });
  }
  const running = isRunning(method) ? addRewards(null, raw) : null;
  return raw.map((r, i) => shapedReward(method, r, refs?.[i] ?? [], k, running));
}

const shapeRewardStreamArgs = z.object({
  batches: numberRows,
  method: z.enum(shapingNames).exclude([...centredShapings]),
  k: slope,
  ceil: ceiling,
});

/** Shapes batch after batch; each is added to the running statistics before its rewards are shaped. */
export function shapeRewardStream(args: z.input<typeof shapeRewardStreamArgs>): number[][] {
  const { batches, method, k, ceil } = functionArgs(shapeRewardStreamArgs, args);
  let running: RunningRewards | null = null;
  return batches.map((rewards) => {
    const raw = rewards.map((r) => Math.min(r, ceil ?? Number.POSITIVE_INFINITY));
    running = addRewards(running, raw);
    return raw.map((r) => shapedReward(method, r, [], k, running));
  });
}

export const par = defineMethod({
  id: "par",
  title: "Preference As Reward",
  summary:
    "Use as reward the probability, under the reward model itself, that the response beats reference responses to the same prompt: a sigmoid centred at a reference reward, which is bounded, grows fast first and saturates.",
  facts: {
    paper: {
      title: "Reward Shaping to Mitigate Reward Hacking in RLHF",
      arxiv: "2502.18770",
      date: "2025-02",
      repo: "PorUna-byte/PAR",
    },
    headline:
      "On AlpacaEval 2.0 at least 5 points more win rate than the other shapings; one reference reward is enough.",
    granularity: "reward-function",
    methodology: ["reward-model", "shaping"],
    checked: "official code, all 12 shapings, max abs diff 2e-15 (polynomial 1.2e-6: the official fit is iterative)",
    reconstructed: ["minmax of rewards that are all equal: 0.5, where the official code divides by zero"],
  },
  equations: [
    {
      text: "r' = (1/M) Σ_m σ(k (r − r_m))",
      tex: "r' = \\frac{1}{M}\\sum_m \\sigma\\bigl(k\\,(r - r_m)\\bigr)",
    },
    {
      text: "r = min(reward, ceil) − length_penalty · max(0, L − length_threshold)",
      tex: "r = \\min(r_{raw}, c) - \\lambda\\max(0, L - L_0)",
    },
    {
      text: "advantage: group: A = (r' − mean) / (std + 1e-8)",
      tex: "A = \\frac{r' - \\operatorname{mean}}{\\operatorname{std} + 10^{-8}}",
    },
  ],
  params,
  presets: { official: { length_penalty: 0.01, advantage: "group" } },
  reads: ["rollout.reward", "signals.ref_reward_*?", "group?", "tokens.mask?"],
  writes: ["rollout.reward_shaped", "rollout.advantage", "tokens.advantage"],
  scope: (p) => {
    if (isRunning(p.method)) return "batch";
    return p.advantage === "group" ? "group" : "rollout";
  },
  twoPass,
  functions: { parReward, shapeReward, shapeRewardStream, sigmoidPolynomial },
  warnings,
  assign,
});

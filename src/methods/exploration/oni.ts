import { z } from "zod";
import { poolMoments } from "../../operators/normalize.ts";
import { numbersWithin } from "../../operators/ranges.ts";
import { logSigmoid } from "../../operators/scalars.ts";
import { placedRewards, rowRewards } from "../../operators/token-rewards.ts";
import type { Batch } from "../../rollouts/index.ts";
import { count, functionArgs, numberRows, sameLength } from "../arguments.ts";
import { defineMethod } from "../method.ts";
import { unitInterval } from "../parameters.ts";

const stats = z
  .tuple([z.number(), z.number().min(0), z.number().min(0)])
  .nullable()
  .default(null)
  .describe("running mean, variance and count of earlier batches of scores; null = none yet");
const threshold = z.number().default(-0.5).describe("normalised score above which a ranked caption pays");

const params = z.object({
  variant: z
    .enum(["retrieval", "classification", "ranking"])
    .default("retrieval")
    .describe("where a caption's reward comes from: a table of labels, a classifier, or a model trained on pairs"),
  labels: z
    .record(z.string(), z.number())
    .default({})
    .describe("label of each caption, 0 or 1; a caption without one pays 0"),
  llm_coeff: z.number().min(0).default(0.4).describe("weight of the intrinsic reward"),
  ext_coeff: z.number().min(0).default(0.1).describe("weight of the task reward (released: 10 on sparse tasks)"),
  count_exponent: z
    .number()
    .min(0)
    .default(3)
    .describe("how fast a caption stops paying within a rollout; 0 = it does not"),
  eta: unitInterval(0.5, "probability above which a classified caption pays"),
  threshold,
  normalize: z
    .boolean()
    .default(true)
    .describe("normalise and threshold ranked scores (false = as released: raw scores)"),
  stats,
  align: z
    .enum(["next", "current"])
    .default("next")
    .describe("pay an action for the caption that follows it, or, as released, for the one seen before it"),
});
type Params = z.output<typeof params>;

/** Mean, variance and count of all scores so far. */
type Running = readonly [mean: number, variance: number, count: number];

const fresh: Running = [0, 1, 1e-4];

/** Running moments after one more batch of scores; an empty batch changes nothing. */
function updated([mean, variance, seen]: Running, scores: ArrayLike<number>): Running {
  const n = scores.length;
  if (n === 0) return [mean, variance, seen];
  const moments = poolMoments(scores, { of: new Int32Array(n), count: 1 });
  const spread = n > 1 ? moments.squares[0] / (n - 1) : 0;
  const d = moments.mean[0] - mean;
  const total = seen + n;
  const together = (variance * seen + spread * n + (d * d * seen * n) / total) / total;
  return [mean + (d * n) / total, together, total];
}

/** Normalised scores, 0 unless above the threshold. */
function thresholded(scores: ArrayLike<number>, [mean, variance]: Running, least: number): Float64Array {
  const sd = Math.sqrt(variance);
  return Float64Array.from(scores, (score) => {
    const z = sd === 0 ? 0 : (score - mean) / sd;
    return z > least ? z : 0;
  });
}

/** Captions of all turns. */
function captions(batch: Batch): readonly string[] {
  const texts = batch.strings("turns.message");
  const none = texts.indexOf(null);
  if (none >= 0) throw batch.wrongValue("turns.message", none, "a caption", "null");
  return texts as readonly string[];
}

const labelOf = (p: Params, caption: string) => (Object.hasOwn(p.labels, caption) ? p.labels[caption] : 0);

/** Reward of every turn's caption before counting. */
function rawRewards(batch: Batch, messages: readonly string[], p: Params): Float64Array {
  if (p.variant === "retrieval") return Float64Array.from(messages, (message) => labelOf(p, message));
  if (p.variant === "ranking") {
    const scores = batch.numbers("turns.rm_score");
    return p.normalize
      ? thresholded(scores, updated(p.stats ?? fresh, scores), p.threshold)
      : Float64Array.from(scores);
  }
  // A null probability says nothing: 0 is never above eta.
  const probability = numbersWithin(batch, "turns.helpful_prob", [0, 1], { missing: 0 });
  return Float64Array.from(probability, (q) => (q > p.eta ? 1 : 0));
}

/** i_t = raw_t N_t^−k, N_t the occurrences of the caption in the rollout so far, the first observation included. */
function counted(batch: Batch, messages: readonly string[], raw: Float64Array, p: Params): Float64Array {
  const offsets = batch.offsets("turn");
  const initial = batch.has("signals.initial_message") ? batch.cells("signals.initial_message") : [];
  const out = new Float64Array(raw.length);
  for (let i = 0; i < batch.size; i++) {
    const seen = new Map<string, number>();
    const first = initial[i] ?? null;
    if (first !== null) seen.set(String(first), 1);
    // What the row before it (or the first observation) earned, which the released learner pays one step late.
    let before = first !== null && p.variant === "retrieval" ? labelOf(p, String(first)) : 0;
    for (let t = offsets[i]; t < offsets[i + 1]; t++) {
      const n = (seen.get(messages[t]) ?? 0) + 1;
      seen.set(messages[t], n);
      const now = raw[t] * n ** -p.count_exponent;
      out[t] = p.align === "next" ? now : before;
      before = now;
    }
  }
  return out;
}

/**
 * Rewards of ONI (arXiv 2410.23022): i_t = raw(m_t) N_t^−k with raw the label of the caption m_t, whether a classifier finds
 * it helpful (P > η), or a ranked score normalised by running moments and kept above a threshold; mixed reward = ext_coeff ·
 * e_t + llm_coeff · i_t, e_t the task reward (`turns.reward`, else the outcome on the last turn).
 */
function assign(batch: Batch, p: Params): Batch {
  const messages = captions(batch);
  const intrinsic = counted(batch, messages, rawRewards(batch, messages, p), p);
  const task = placedRewards(batch, "turn", rowRewards(batch, "turn"));
  return batch.with({
    "turns.intrinsic_reward": intrinsic,
    "turns.mixed_reward": intrinsic.map((i, t) => p.ext_coeff * task[t] + p.llm_coeff * i),
  });
}

const normArgs = z.object({ batches: numberRows, threshold, stats });

/**
 * Running normalisation of scores, batch by batch: moments start at (0, 1, 1e-4) or `stats`, take in the batch, and normalise
 * it: z = (r − mean) / sqrt(var), 0 unless above `threshold`. One `{mean, var, count, rewards}` per batch.
 */
export function oniRunningNorm(
  args: z.input<typeof normArgs>,
): { mean: number; var: number; count: number; rewards: number[] }[] {
  const { batches, threshold, stats } = functionArgs(normArgs, args);
  let running: Running = stats ?? fresh;
  return batches.map((scores) => {
    running = updated(running, scores);
    const [mean, variance, seen] = running;
    return { mean, var: variance, count: seen, rewards: [...thresholded(scores, running, threshold)] };
  });
}

const lossArgs = z.object({ rewards: z.array(z.tuple([z.number(), z.number()])), labels: z.array(count) });

/**
 * Loss of the ranking model on pairs: −mean Σ target · log softmax(r_1, r_2), label 0 = the first is better, 1 = the second,
 * above 1 = a tie with target (½, ½); accuracy over pairs that are no tie (r_2 > r_1 says 1), null when there are none.
 * No pairs: loss 0.
 */
export function oniRankingLoss(args: z.input<typeof lossArgs>): { loss: number; accuracy: number | null } {
  const { rewards, labels } = functionArgs(lossArgs, args);
  sameLength({ rewards, labels });
  let loss = 0;
  let right = 0;
  let decided = 0;
  rewards.forEach(([first, second], k) => {
    const target = labels[k] > 1 ? 0.5 : labels[k];
    // log softmax of two numbers is the log-sigmoid of their difference.
    loss -= (1 - target) * logSigmoid(first - second) + target * logSigmoid(second - first);
    if (labels[k] > 1) return;
    decided++;
    if ((second > first ? 1 : 0) === labels[k]) right++;
  });
  return { loss: loss / Math.max(rewards.length, 1), accuracy: decided === 0 ? null : right / decided };
}

const queueArgs = z.object({ queue: z.array(z.unknown()), batchSize: count });

/** Takes the newest entries off a queue: the last `batchSize` of them as `batch`, the others as `queue`, both in order. */
export function oniNextBatch(args: { queue: readonly unknown[]; batchSize: number }): {
  batch: unknown[];
  queue: unknown[];
} {
  const { queue, batchSize } = functionArgs(queueArgs, args);
  const from = Math.max(queue.length - batchSize, 0);
  return { batch: queue.slice(from), queue: queue.slice(0, from) };
}

const labelArgs = z.object({ text: z.string() });

/** Label in an annotator's answer: 1 (helpful) if it contains FOO, else 0. */
export function oniParseLabel(args: z.input<typeof labelArgs>): number {
  return functionArgs(labelArgs, args).text.includes("FOO") ? 1 : 0;
}

export const oni = defineMethod({
  id: "oni",
  title: "Online intrinsic rewards from LLM feedback (ONI)",
  summary:
    "An LLM labels the captions that an agent meets as helpful or not; the labels become an intrinsic reward that fades with every repetition in the episode and is added to the task reward.",
  facts: {
    paper: {
      title: "Online Intrinsic Rewards for Decision Making Agents from Large Language Model Feedback",
      arxiv: "2410.23022",
      date: "2024-10",
      repo: "facebookresearch/oni",
    },
    headline:
      "Best published results on sparse-reward NetHack tasks in a single online process, level with offline Motif but without its data set, and it works without a task reward.",
    granularity: "step",
    methodology: ["judge", "reward-model", "self-supervised"],
    checked: "official running moments, threshold and pair loss, max abs diff 1.8e-15",
    reconstructed: [
      "ranked scores are normalised and thresholded, as the paper means; the release computes that and uses the raw score",
      "an action is paid for the caption that follows it; the release pays one step late",
    ],
  },
  equations: [
    { text: "i_t = raw(m_t) N_t^(−k)", tex: "i_t = \\mathrm{raw}(m_t)\\, N_t^{-k}" },
    { text: "mixed_t = c_ext e_t + c_llm i_t", tex: "\\tilde r_t = c_{ext}\\, e_t + c_{llm}\\, i_t" },
    {
      text: "z = (r − mean) / sqrt(var), 0 unless z > threshold, moments running over batches",
      tex: "z = \\frac{r - \\mu}{\\sqrt{v}}\\,[z > \\vartheta]",
    },
  ],
  params,
  presets: { paper: {}, official: { normalize: false, align: "current" } },
  reads: [
    "turns.message",
    "turns.reward | rollout.reward",
    "signals.initial_message?",
    "turns.helpful_prob if variant",
    "turns.rm_score if variant",
  ],
  writes: ["turns.intrinsic_reward", "turns.mixed_reward"],
  scope: (p) => (p.variant === "ranking" && p.normalize ? "batch" : "rollout"),
  functions: { oniRunningNorm, oniRankingLoss, oniNextBatch, oniParseLabel },
  assign,
});

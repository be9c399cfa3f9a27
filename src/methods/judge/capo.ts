import { z } from "zod";
import { tokenSpans } from "../../operators/broadcast.ts";
import { policyMask } from "../../operators/mask.ts";
import { normalizePools } from "../../operators/normalize.ts";
import { poolByGroup } from "../../operators/pools.ts";
import { bits } from "../../operators/ranges.ts";
import { clearGaps, policyRuns } from "../../operators/runs.ts";
import { type Batch, type FloatArray, InputError, type NumericArray } from "../../rollouts/index.ts";
import { bit, functionArgs, numberList, rowCount, sameLength } from "../arguments.ts";
import { defineMethod } from "../method.ts";
import { ddof, positiveEps } from "../parameters.ts";

const voteRules = ["intersection", "majority", "union", "average", "greedy"] as const;
type VoteRule = (typeof voteRules)[number];

const weights = {
  w_whole: z.number().positive().default(2).describe("weight of the outcome; above w_process it stays dominant"),
  w_process: z.number().min(0).default(1).describe("what every token of a wrong step loses; 0 = outcome only"),
};

const params = z.object({
  vote_rule: z
    .enum(voteRules)
    .default("majority")
    .describe("how critiques vote on a step: all, half, any, the share of them, or the first usable one alone"),
  ...weights,
  max_critiques: z.int().min(1).nullable().default(null).describe("critiques read at most, the first ones; null = all"),
  normalize: z
    .enum(["group_tokens", "none"])
    .default("group_tokens")
    .describe("centre and scale over all policy tokens of the group, or leave the reward as it is"),
  ddof: ddof(0),
  eps: positiveEps(1e-6),
});
type Params = z.output<typeof params>;

/** Weight e_s of a step that c of k usable critiques mark as wrong; `first` is what the first of them says. */
function voted(rule: VoteRule, c: number, k: number, first: number): number {
  if (k === 0) return 0;
  if (rule === "greedy") return first;
  if (rule === "average") return c / k;
  const least = { intersection: k, majority: k / 2, union: 1 }[rule];
  return c >= least ? 1 : 0;
}

/** Columns `steps.critique_1`, `…_2`, … up to the first number that no rollout has. */
function critiqueColumns(batch: Batch, most: number | null): string[] {
  const paths: string[] = [];
  for (let m = 1; (most === null || m <= most) && batch.has(`steps.critique_${m}`); m++)
    paths.push(`steps.critique_${m}`);
  return paths;
}

/** Votes of all steps: a critique that holds a null is unusable, and the critiques of a rollout end at the first absent one. */
function wrongSteps(batch: Batch, p: Params): FloatArray {
  const offsets = batch.offsets("step");
  const marks = new Int32Array(batch.count("step"));
  const first = new Uint8Array(marks.length);
  const usable = new Int32Array(batch.size);
  const ended = new Uint8Array(batch.size);
  for (const path of critiqueColumns(batch, p.max_critiques)) {
    const values = bits(batch, path, { absent: 0, missing: 0 });
    const valid = batch.validity(path);
    for (let i = 0; i < batch.size; i++) {
      if (!batch.hasIn(path, i)) ended[i] = 1;
      if (ended[i] === 1 || valid?.subarray(offsets[i], offsets[i + 1]).includes(0)) continue;
      for (let row = offsets[i]; row < offsets[i + 1]; row++) {
        marks[row] += values[row];
        if (usable[i] === 0) first[row] = values[row];
      }
      usable[i]++;
    }
  }
  const wrong = batch.floats("step");
  for (let i = 0; i < batch.size; i++) {
    for (let row = offsets[i]; row < offsets[i + 1]; row++)
      wrong[row] = voted(p.vote_rule, marks[row], usable[i], first[row]);
  }
  return wrong;
}

/** A = R on policy units, centred and scaled over all of the group's; 0 on the environment's. */
function advantageOf(batch: Batch, level: "token" | "step", reward: FloatArray, p: Params): FloatArray {
  const out = batch.floats(level, reward);
  if (p.normalize === "none") out.set(reward);
  else {
    const valid = level === "token" ? policyMask(batch) : null;
    out.set(normalizePools(reward, poolByGroup(batch, level), { ddof: p.ddof, eps: p.eps, valid }));
  }
  if (level === "token") clearGaps(out, policyRuns(batch));
  return out;
}

/** R_t = reward · w_whole − e · w_process on every token; a response without steps is one step that nobody judged. */
function tokenReward(batch: Batch, rewards: NumericArray, wrong: FloatArray, p: Params): FloatArray {
  const out = batch.floats("token");
  const tokens = batch.offsets("token");
  const steps = batch.offsets("step");
  const { starts, ends } = tokenSpans(batch, "step");
  for (let i = 0; i < batch.size; i++) {
    const whole = rewards[i] * p.w_whole;
    out.fill(whole, tokens[i], tokens[i + 1]);
    for (let row = steps[i]; row < steps[i + 1]; row++) {
      if (wrong[row] !== 0) out.fill(whole - wrong[row] * p.w_process, starts[row], ends[row]);
    }
  }
  return out;
}

/**
 * Credit of CAPO (arXiv 2508.02298 eq. 1-2): critiques of the whole response vote on each step, every token of a wrong step
 * loses w_process from w_whole times the outcome, and the rewards of all policy tokens of the group are centred and scaled
 * together, long responses weighing more. The penalty stays on the tokens of its step. Without tokens a step is one unit.
 */
function assign(batch: Batch, p: Params): Batch {
  const rewards = batch.numbers("rollout.reward");
  const wrong = wrongSteps(batch, p);
  if (batch.hasLevel("token")) {
    const reward = tokenReward(batch, rewards, wrong, p);
    const advantage = advantageOf(batch, "token", reward, p);
    return batch.with({ "steps.wrong": wrong, "tokens.reward": reward, "tokens.advantage": advantage });
  }
  const offsets = batch.offsets("step");
  const reward = batch.floats("step");
  for (let i = 0; i < batch.size; i++) {
    for (let row = offsets[i]; row < offsets[i + 1]; row++)
      reward[row] = rewards[i] * p.w_whole - wrong[row] * p.w_process;
  }
  const advantage = advantageOf(batch, "step", reward, p);
  return batch.with({ "steps.wrong": wrong, "steps.reward": reward, "steps.advantage": advantage });
}

function warnings(batch: Batch, p: Params): string[] {
  const said: string[] = [];
  if (!batch.has("steps.critique_1"))
    said.push("no steps.critique_1: nobody judged the steps, so only the outcome counts");
  if (p.w_process >= p.w_whole)
    said.push(
      "w_process is not below w_whole: a wrong step in a right answer is worth no more than a right step in a wrong one",
    );
  return said;
}

const voteArgs = z.object({
  /** Critiques, each with one mark per step: 1 wrong, 0 right; one with a null is unusable. */
  critiques: z.array(z.array(bit.nullable())),
  how: z.enum(voteRules).default("majority"),
});

/** Penalty weight of each step after the vote; null when no critique is usable. */
export function voteSteps(args: z.input<typeof voteArgs>): number[] | null {
  const { critiques, how } = functionArgs(voteArgs, args);
  sameLength(Object.fromEntries(critiques.map((list, j) => [`critiques.${j}`, list])));
  const usable = critiques.filter((list): list is (0 | 1)[] => !list.includes(null));
  if (usable.length === 0) return null;
  return usable[0].map((first, s) => {
    const marks = usable.reduce((sum, list) => sum + list[s], 0);
    return voted(how, marks, usable.length, first);
  });
}

const rewardArgs = z.object({
  reward: z.number(),
  /** Penalty weight of each step. */
  wrong: numberList,
  /** Exclusive token offset of each step, increasing. */
  ends: z.array(rowCount),
  ...weights,
});

/** Reward of each token of one response: reward · w_whole − wrong of its step · w_process. */
export function capoTokenReward(args: z.input<typeof rewardArgs>): number[] {
  const { reward, wrong, ends, w_whole, w_process } = functionArgs(rewardArgs, args);
  sameLength({ wrong, ends });
  const bad = ends.findIndex((end, k) => end <= (k === 0 ? 0 : ends[k - 1]));
  if (bad >= 0) throw new InputError("argument ends does not increase", { got: `${ends[bad]} in place ${bad}` });
  return ends.flatMap((end, k) =>
    new Array<number>(end - (k === 0 ? 0 : ends[k - 1])).fill(reward * w_whole - wrong[k] * w_process),
  );
}

export const capo = defineMethod({
  id: "capo",
  title: "CAPO: voted critiques take from the tokens of wrong steps",
  summary:
    "A general model reads a response and lists its wrong steps; several critiques vote, and every token of a wrong step loses a fixed amount from the outcome before normalisation over the group's tokens.",
  facts: {
    paper: {
      title: "CAPO: Towards Enhancing LLM Reasoning through Verifiable Generative Credit Assignment",
      arxiv: "2508.02298",
      date: "2025-08",
      repo: null,
    },
    headline:
      "Mean over all benchmarks against GRPO with rules: Qwen2.5-7B 37.0 (+2.3), Llama-3-3B 30.4 (+1.8), Qwen2.5-1.5B 32.3 (+1.0); more critiques are better.",
    granularity: "token",
    methodology: ["judge", "verifier"],
    checked: "no official code to compare (the authors' repository andyclsr/CAPO is empty)",
    reconstructed: ["ddof", "eps"],
  },
  equations: [
    {
      text: "R_t = w_whole · reward − w_process · e(step of t)",
      tex: "R_t = w_{\\mathrm{whole}}\\,r - w_{\\mathrm{process}}\\,e_{s(t)}",
    },
    {
      text: "A_t = (R_t − mean) / (std + ε) over all policy tokens of the group",
      tex: "A_t = \\frac{R_t - \\operatorname{mean}}{\\operatorname{std} + \\varepsilon}",
    },
  ],
  params,
  presets: { paper: { max_critiques: 4 } },
  reads: ["rollout.reward", "steps.critique_*?", "steps.end?", "tokens.mask?", "group?"],
  writes: ["steps.wrong", "tokens.reward", "tokens.advantage", "steps.reward", "steps.advantage"],
  scope: (p) => (p.normalize === "none" ? "rollout" : "group"),
  functions: { voteSteps, capoTokenReward },
  warnings,
  assign,
});

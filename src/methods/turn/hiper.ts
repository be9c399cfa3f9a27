import { z } from "zod";
import { tokenSpans } from "../../operators/broadcast.ts";
import { gaeInto } from "../../operators/gae.ts";
import { policyMask, policyNumbers } from "../../operators/mask.ts";
import { reverseSumsInto } from "../../operators/returns.ts";
import { maskRuns } from "../../operators/runs.ts";
import { mergeMoments, type RunMoments, runMoments } from "../../operators/whiten.ts";
import type { Batch, FloatArray, NumericArray } from "../../rollouts/index.ts";
import { defineMethod, type TwoPass } from "../method.ts";
import { unitInterval } from "../parameters.ts";
import { bootValues, type Segments, segmentAdvantages, segmentsOf } from "./segments.ts";

const params = z.object({
  gamma: unitInterval(1, "discount per turn"),
  lam: unitInterval(1, "trace over the turns of a segment"),
  lam_seg: unitInterval(0.95, "trace over segments"),
  norm_adv: z.boolean().default(true).describe("centre and scale each of the three advantages over the whole call"),
  eps: z.number().min(0).default(1e-8).describe("added to the standard deviation of norm_adv, outside the root"),
  bootstrap_truncated: z
    .boolean()
    .default(false)
    .describe("value the unfinished end of a truncated rollout by its last state instead of 0"),
  keep_penalty: z.number().max(0).default(0).describe("added to the reward of turns that keep their subgoal (KEEP)"),
  keep_penalty_mode: z
    .enum(["normalized", "fixed"])
    .default("normalized")
    .describe(
      "normalized: all KEEP turns of a rollout share keep_penalty times their share; fixed: each gets all of it",
    ),
  keep_consistency_penalty: z
    .number()
    .max(0)
    .default(0)
    .describe("added on KEEP turns whose subgoal text differs from that of the turn before"),
  invalid_penalty: z.number().min(0).default(0).describe("subtracted on turns whose action was not valid"),
  switch_mode: z
    .enum(["head", "gap", "none"])
    .default("head")
    .describe("advantage of switch tokens: from a third value head, from the gap of two heads, or 0"),
});
type Params = z.output<typeof params>;

/** Rewards of turns after the penalties, which are applied in the order of the source: KEEP, invalid, consistency. */
function shapedRewards(batch: Batch, switches: NumericArray, p: Params): Float64Array {
  const offsets = batch.offsets("turn");
  const out = Float64Array.from(batch.numbers("turns.reward"));
  const valid = p.invalid_penalty === 0 ? null : batch.numbers("turns.valid", { absent: 1 });
  const subgoals =
    p.keep_consistency_penalty === 0 || !batch.has("turns.subgoal") ? null : batch.cells("turns.subgoal");
  for (let i = 0; i < batch.size; i++) {
    const from = offsets[i];
    const turns = offsets[i + 1] - from;
    // c turns share keep_penalty · c/T: each of them gets 1/T of it. A rollout of one turn pays nothing.
    const keep = p.keep_penalty_mode === "fixed" ? p.keep_penalty : turns > 1 ? p.keep_penalty / turns : 0;
    for (let t = from; t < from + turns; t++) {
      if (switches[t] === 0) out[t] += keep;
      if (valid !== null) out[t] -= p.invalid_penalty * (1 - valid[t]);
      if (subgoals === null || t === from || switches[t] !== 0) continue;
      if (subgoals[t] && subgoals[t - 1] && subgoals[t] !== subgoals[t - 1]) out[t] += p.keep_consistency_penalty;
    }
  }
  return out;
}

/** V^high of the subgoal decision, V^low where a rollout has no critic of its own for it. */
function highValues(batch: Batch, low: NumericArray): Float64Array {
  const high = Float64Array.from(batch.numbers("turns.value_high", { absent: 0 }));
  const offsets = batch.offsets("turn");
  for (let i = 0; i < batch.size; i++) {
    if (batch.hasIn("turns.value_high", i)) continue;
    high.set(low.subarray(offsets[i], offsets[i + 1]), offsets[i]);
  }
  return high;
}

/** Column that the switch mode cannot do without; rollouts that lack it get 0 and stay out of the statistics. */
const switchInput = { head: "turns.value_term", gap: "turns.switch_prob", none: null } as const;

/** `head`: A = R − V^term, R the return to the end of the segment. `gap`: A = (q − p) (V^high − V^keep). */
function switchAdvantages(
  batch: Batch,
  { starts }: Segments,
  returns: Float64Array,
  low: NumericArray,
  high: Float64Array,
  mode: Params["switch_mode"],
): Float64Array {
  const out = new Float64Array(returns.length);
  const input = switchInput[mode];
  if (input === null) return out;
  const offsets = batch.offsets("turn");
  const given = batch.numbers(input, { absent: 0 });
  const kept = mode === "gap" ? batch.numbers("turns.value_keep", { absent: 0 }) : low;
  for (let i = 0; i < batch.size; i++) {
    if (!batch.hasIn(input, i)) continue;
    const keep = batch.hasIn("turns.value_keep", i) ? kept : low;
    for (let t = offsets[i]; t < offsets[i + 1]; t++) {
      out[t] = mode === "head" ? returns[t] - given[t] : (starts[t] - given[t]) * (high[t] - keep[t]);
    }
  }
  return out;
}

/** Parts of a token: 1 switch, 2 subgoal, 3 action, 0 none of them. */
const partOf = { switch: 1, high: 2, low: 3 } as const;

/** Turns (1) that have something to train at each level. */
interface Roles {
  low: Uint8Array;
  high: Uint8Array;
  switch: Uint8Array;
  /** Parts of the policy tokens of each turn as bits; `null` without tokens. */
  parts: Uint8Array | null;
}

/**
 * Roles by turn. Without tokens every turn has all three. A turn in which no token is marked as action (also for want of
 * `tokens.part`) acts with all of its policy tokens; one without policy tokens has no role.
 */
function rolesOf(batch: Batch, segments: Segments, mode: Params["switch_mode"]): Roles {
  const turns = batch.count("turn");
  const parts = batch.hasLevel("token") ? partsByTurn(batch) : null;
  const has = (turn: number, part: number) => (parts === null ? 1 : (parts[turn] >> part) & 1);
  const roles = {
    low: Uint8Array.from({ length: turns }, (_, t) => (parts === null || parts[t] !== 0 ? 1 : 0)),
    high: segments.starts.map((start, t) => start & has(t, partOf.high)),
    switch: Uint8Array.from({ length: turns }, (_, t) => has(t, partOf.switch)),
    parts,
  };
  const offsets = batch.offsets("turn");
  const input = switchInput[mode];
  for (let i = 0; i < batch.size; i++) {
    if (input === null || !batch.hasIn(input, i)) roles.switch.fill(0, offsets[i], offsets[i + 1]);
  }
  return roles;
}

function partsByTurn(batch: Batch): Uint8Array {
  const { starts, ends } = tokenSpans(batch, "turn");
  const parts = policyNumbers(batch, "tokens.part", 0);
  const mask = policyMask(batch);
  return Uint8Array.from(starts, (from, turn) => {
    let seen = 0;
    for (let t = from; t < ends[turn]; t++) {
      if (mask !== null && mask[t] === 0) continue;
      const part = parts[t];
      if (part !== 0 && part !== 1 && part !== 2 && part !== 3) {
        throw batch.wrongValue("tokens.part", t, "0, 1, 2 or 3", `${part}`);
      }
      seen |= 1 << part;
    }
    return seen;
  });
}

const levels = ["low", "high", "switch"] as const;

/** The three advantages before normalisation, 0 where a turn has no token of that role, and the targets of the critics. */
interface Estimates {
  advantage: Record<(typeof levels)[number], Float64Array>;
  roles: Roles;
  returns: Record<string, Float64Array | { values: Float64Array; valid: Uint8Array }>;
}

/** Steps 1 to 5 of the card: penalties, segments, and the estimates of each level. */
function estimate(batch: Batch, p: Params): Estimates {
  const switches = batch.numbers("turns.switch");
  const odd = switches.findIndex((s) => s !== 0 && s !== 1);
  if (odd >= 0) throw batch.wrongValue("turns.switch", odd, "0 or 1", `${switches[odd]}`);
  const low = batch.numbers("turns.value_low");
  const high = highValues(batch, low);
  const rewards = shapedRewards(batch, switches, p);
  const segments = segmentsOf(batch, switches);
  const { offsets, starts } = segments;
  const { gamma, lam, bootstrap_truncated: boot } = p;
  const bootLow = bootValues(segments, high, (k) => (boot ? low[offsets[k + 1] - 1] : 0));
  const bootHigh = bootValues(segments, high, (k) => (boot ? high[offsets[k]] : 0));
  const ofAction = new Float64Array(rewards.length);
  const lowReturns = new Float64Array(rewards.length);
  gaeInto(
    { runs: maskRuns(offsets, null), values: low, rewards, bootstrap: bootLow, gamma, lam },
    ofAction,
    lowReturns,
  );
  const returns = new Float64Array(rewards.length);
  reverseSumsInto({ offsets, rewards, bootstrap: bootHigh, gamma }, returns);
  const ofSubgoal = segmentAdvantages(segments, returns, high, p);
  const highReturns = ofSubgoal.map((a, t) => (starts[t] === 1 ? a + high[t] : 0));
  const ofSwitch = switchAdvantages(batch, segments, returns, low, high, p.switch_mode);
  const roles = rolesOf(batch, segments, p.switch_mode);
  const advantage = { low: ofAction, high: ofSubgoal, switch: ofSwitch };
  for (const level of levels) {
    for (let t = 0; t < rewards.length; t++) if (roles[level][t] === 0) advantage[level][t] = 0;
  }
  const targets = { "turns.return_low": lowReturns, "turns.return_high": { values: highReturns, valid: starts } };
  return {
    advantage,
    roles,
    returns: p.switch_mode === "head" ? { ...targets, "turns.return_term": returns } : targets,
  };
}

type LevelMoments = Record<(typeof levels)[number], RunMoments>;

function momentsOf({ advantage, roles }: Estimates): LevelMoments {
  const of = (level: (typeof levels)[number]) =>
    runMoments(advantage[level], maskRuns(Int32Array.of(0, advantage[level].length), roles[level]));
  return { low: of("low"), high: of("high"), switch: of("switch") };
}

/**
 * Hierarchical advantage estimation (arXiv 2602.16165). Low: GAE inside each segment, bootstrapped at its end by V^high
 * of the next one. High: GAE over segments. Switch: return of the segment minus a third value, or the gap of two values.
 * Each is centred and scaled over the turns of the whole call that have a token of its role, then given to those tokens.
 */
function assign(batch: Batch, p: Params): Batch {
  const estimates = estimate(batch, p);
  return credited(batch, p, estimates, p.norm_adv ? momentsOf(estimates) : null);
}

function credited(batch: Batch, p: Params, estimates: Estimates, moments: LevelMoments | null): Batch {
  const { advantage, roles, returns } = estimates;
  if (moments !== null) for (const level of levels) standardise(advantage[level], roles[level], moments[level], p.eps);
  const columns = {
    "turns.advantage_low": advantage.low,
    "turns.advantage_high": advantage.high,
    "turns.advantage_switch": advantage.switch,
    ...returns,
  };
  if (roles.parts === null) return batch.with(columns);
  return batch.with({ ...columns, "tokens.advantage": tokenAdvantages(batch, advantage, roles.parts) });
}

/** (x − mean) / (population spread + ε) on the marked turns, in place; 0 where all are equal. */
function standardise(values: Float64Array, marks: Uint8Array, moments: RunMoments, eps: number): void {
  const divisor = Math.sqrt(moments.squares / moments.count) + eps;
  for (let t = 0; t < values.length; t++) {
    if (marks[t] === 1) values[t] = moments.flat ? 0 : (values[t] - moments.mean) / divisor;
  }
}

function tokenAdvantages(batch: Batch, advantage: Estimates["advantage"], partsOfTurn: Uint8Array): FloatArray {
  const out = batch.zeros("token");
  const { starts, ends } = tokenSpans(batch, "turn");
  const parts = policyNumbers(batch, "tokens.part", 0);
  const mask = policyMask(batch);
  for (let turn = 0; turn < starts.length; turn++) {
    const low = advantage.low[turn];
    const unmarked = ((partsOfTurn[turn] >> partOf.low) & 1) === 0 ? low : 0;
    const byPart = [unmarked, unmarked + advantage.switch[turn], unmarked + advantage.high[turn], low];
    for (let t = starts[turn]; t < ends[turn]; t++) if (mask === null || mask[t] === 1) out[t] = byPart[parts[t]];
  }
  return out;
}

const twoPass: TwoPass<Params, LevelMoments> = {
  scope: () => "rollout",
  collect: (batch, p, state) => {
    const found = momentsOf(estimate(batch, p));
    return {
      low: mergeMoments(state?.low ?? null, found.low),
      high: mergeMoments(state?.high ?? null, found.high),
      switch: mergeMoments(state?.switch ?? null, found.switch),
    };
  },
  apply: (batch, p, state) => credited(batch, p, estimate(batch, p), p.norm_adv ? state : null),
};

export const hiper = defineMethod({
  id: "hiper",
  title: "HiPER: hierarchical advantage estimation for plan-execute agents",
  summary:
    "Turns are switch, subgoal and action: action tokens get GAE inside the current subgoal's segment, subgoal tokens GAE over segments, switch tokens the return of the segment minus a third value.",
  facts: {
    paper: {
      title:
        "HiPER: Hierarchical Reinforcement Learning with Explicit Credit Assignment for Large Language Model Agents",
      arxiv: "2602.16165",
      date: "2026-02",
      repo: "JonP07/HiPER-agent",
    },
    headline:
      "Qwen2.5-7B-Instruct solved 97.4 % of ALFWorld (+6.6) and 83.3 % of WebShop (+8.3) over the best before it.",
    granularity: "segment",
    methodology: ["hierarchical", "temporal-difference"],
    checked: "official code: advantages, penalties, truncation and normalisation, max abs diff 5e-7 (float32 there)",
  },
  equations: [
    {
      text: "low: δ_t = r_t + γ V^low_{t+1} − V^low_t (V^high of the next segment at its end), A_t = δ_t + γ λ A_{t+1} inside the segment",
      tex: "A^{low}_t = \\delta_t + \\gamma\\lambda A^{low}_{t+1}",
    },
    {
      text: "high: A_k = Σ_t γ^(t−s_k) r_t + γ^(d_k) B_k − V^high(s_k) + γ^(d_k) λ_seg A_{k+1}",
      tex: "A^{high}_k = \\sum_t \\gamma^{t-s_k} r_t + \\gamma^{d_k} B_k - V^{high}(s_k) + \\gamma^{d_k}\\lambda_{seg} A^{high}_{k+1}",
    },
    {
      text: "switch: A_t = Σ_{t' ≥ t} γ^(t'−t) r_t' + γ^(e_k+1−t) B_k − V^term_t inside the segment",
      tex: "A^{sw}_t = \\sum_{t' \\ge t} \\gamma^{t'-t} r_{t'} + \\gamma^{e_k + 1 - t} B_k - V^{term}_t",
    },
  ],
  params,
  presets: {
    alfworld: {
      bootstrap_truncated: true,
      keep_penalty: -0.3,
      keep_consistency_penalty: -0.3,
      invalid_penalty: 0.1,
    },
    webshop: { keep_penalty: -3.5, keep_consistency_penalty: -0.3, invalid_penalty: 0.1 },
  },
  reads: [
    "turns.reward",
    "turns.switch",
    "turns.value_low",
    "turns.value_high?",
    "turns.value_term?",
    "turns.switch_prob if switch_mode",
    "turns.value_keep if switch_mode",
    "turns.valid if invalid_penalty",
    "turns.subgoal if keep_consistency_penalty",
    "signals.truncated?",
    "tokens.part?",
    "turns.end?",
    "tokens.mask?",
  ],
  writes: [
    "turns.advantage_low",
    "turns.advantage_high",
    "turns.advantage_switch",
    "turns.return_low",
    "turns.return_high",
    "turns.return_term",
    "tokens.advantage",
  ],
  scope: (p) => (p.norm_adv ? "batch" : "rollout"),
  twoPass,
  assign,
});

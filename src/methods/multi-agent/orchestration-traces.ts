import { z } from "zod";
import { normalizePools } from "../../operators/normalize.ts";
import { poolByGroup } from "../../operators/pools.ts";
import { rowAdvantageColumns } from "../../operators/row-credit.ts";
import { type Batch, InputError } from "../../rollouts/index.ts";
import { defineMethod } from "../method.ts";
import { unitInterval } from "../parameters.ts";
import {
  aggregationQuality,
  annealed,
  finishRate,
  parlReward,
  rewardShape,
  splitCorrectness,
  stoppingAdvantage,
} from "./orchestration-rewards.ts";
import { criticalPath, criticalSteps, masMetrics, validateTrace } from "./trace-metrics.ts";

const params = z.object({
  ...rewardShape,
  progress: unitInterval(0, "progress of training; the auxiliary weights are 0 at 1 unless the schedule is constant"),
  scale: z.boolean().default(true).describe("divide by the spread of the group (false = subtract the mean only)"),
  eps: z.number().positive().default(1e-6).describe("added to the standard deviation, outside the root"),
  target: z
    .enum(["orchestrator", "all"])
    .default("orchestrator")
    .describe("whose turns are trained: those of the orchestrator (workers frozen), or all"),
  orchestrator_role: z.string().default("orchestrator").describe("turns.role of the orchestrator"),
  beta: z.number().min(0).default(1).describe("price of cost in units of quality, of stoppingAdvantage only"),
});
type Params = z.output<typeof params>;

/** Cells of a text column of turns; null in rollouts without it. */
function texts(batch: Batch, path: string): readonly unknown[] {
  return batch.has(path) ? batch.cells(path) : [];
}

/** R_i = perf + λ_1 min(1, spawned / n_cap) + λ_2 finish rate. */
function rewardsOf(batch: Batch, p: Params): Float64Array {
  const perf = batch.numbers("rollout.reward");
  const event = batch.strings("turns.event");
  const untyped = event.indexOf(null);
  if (untyped >= 0) throw batch.wrongValue("turns.event", untyped, "the type of an event", "null");
  const to = texts(batch, "turns.to");
  const agent = texts(batch, "turns.agent");
  const offsets = batch.offsets("turn");
  const lambda = annealed(p);
  return Float64Array.from(perf, (reward, i) => {
    const spawned: string[] = [];
    const returned = new Set<string>();
    for (let t = offsets[i]; t < offsets[i + 1]; t++) {
      const started = to[t] ?? null;
      if (event[t] === "spawn" && started !== null) spawned.push(String(started));
      if (event[t] === "return" && (agent[t] ?? null) !== null) returned.add(String(agent[t]));
    }
    return (
      reward + lambda.parallel * Math.min(1, spawned.length / p.n_cap) + lambda.finish * finishRate(spawned, returned)
    );
  });
}

/**
 * Credit of an orchestrator from its trace (arXiv 2605.02801; reward of the Kimi K2.5 report). R_i = perf + λ_1 min(1, spawned
 * / n_cap) + λ_2 share of spawned agents that return, λ annealed; the advantage is (R − mean) / (std + ε) within the group,
 * population spread, and stands on the turns of the orchestrator (or on all).
 */
function assign(batch: Batch, p: Params): Batch {
  const offsets = batch.offsets("turn");
  for (let i = 0; i < batch.size; i++) {
    if (offsets[i + 1] > offsets[i]) continue;
    throw new InputError("the rollout has no turns to credit", { rollout: batch.ids[i], column: "turns.event" });
  }
  const reward = rewardsOf(batch, p);
  const spec = { ddof: 0, eps: p.eps, normByStd: p.scale } as const;
  const ofRollout = normalizePools(reward, poolByGroup(batch, "rollout"), spec);
  const role = p.target === "all" ? null : batch.strings("turns.role");
  const advantage = new Float64Array(batch.count("turn"));
  for (let i = 0; i < batch.size; i++) {
    for (let t = offsets[i]; t < offsets[i + 1]; t++) {
      if (role === null || role[t] === p.orchestrator_role) advantage[t] = ofRollout[i];
    }
  }
  return batch.with({
    "rollout.orchestration_reward": reward,
    "rollout.advantage": ofRollout,
    ...rowAdvantageColumns(batch, "turn", advantage),
  });
}

export const orchestrationTraces = defineMethod({
  id: "orchestration-traces",
  title: "Orchestration traces: rewards, credit and metrics of multi-agent runs",
  summary:
    "Read a multi-agent run as a graph of typed events, reward the orchestrator for results, for starting sub-agents and for their finishing (the last two fading out over training), and measure parallelism, overhead and errors.",
  facts: {
    paper: {
      title: "Reinforcement Learning for LLM-based Multi-Agent Systems through Orchestration Traces",
      arxiv: "2605.02801",
      date: "2026-05",
      repo: "xxzcc/awesome-llm-mas-rl",
    },
    headline:
      "Of 84 tagged papers two give credit per message and eight to the orchestrator; none trains the decision to stop.",
    granularity: "agent",
    methodology: ["survey", "game-theory", "verifier"],
    checked: "official validator and schema, rule by rule; there is no numeric kernel to compare with",
    reconstructed: [
      "weights, schedules and normalisers of the composed reward",
      "split correctness, aggregation quality, stopping advantage",
    ],
  },
  equations: [
    {
      text: "R = perf + λ_1 min(1, spawned / n_cap) + λ_2 finished / spawned",
      tex: "R = r_{perf} + \\lambda_1\\min(1, n_{spawn}/n_{cap}) + \\lambda_2\\,\\frac{n_{finished}}{n_{spawn}}",
    },
    { text: "λ_k = λ_k,0 (1 − p)", tex: "\\lambda_k = \\lambda_{k,0}\\,(1 - p)" },
    {
      text: "A = (R − μ) / (σ + ε), on turns of the orchestrator",
      tex: "A = \\frac{R - \\mu}{\\sigma + \\varepsilon}",
    },
  ],
  params,
  reads: [
    "rollout.reward",
    "turns.event",
    "turns.agent?",
    "turns.to?",
    "turns.role if target",
    "group?",
    "turns.end?",
    "tokens.mask?",
  ],
  writes: ["rollout.orchestration_reward", "rollout.advantage", "turns.advantage", "tokens.advantage"],
  scope: "group",
  functions: {
    validateTrace,
    criticalPath,
    criticalSteps,
    parlReward,
    splitCorrectness,
    aggregationQuality,
    stoppingAdvantage,
    masMetrics,
  },
  assign,
});

import { z } from "zod";
import { InputError } from "../../rollouts/index.ts";
import { functionArgs, numberList, sameLength } from "../arguments.ts";
import { eventSchema } from "./trace-events.ts";
import { spawnedAgents } from "./trace-metrics.ts";

/** Parameters of the composed reward, shared by the credit rule and the function. */
export const rewardShape = {
  lambda_parallel: z.number().min(0).default(0.2).describe("initial weight of starting sub-agents"),
  lambda_finish: z.number().min(0).default(0.2).describe("initial weight of sub-agents that finish"),
  n_cap: z.number().min(1).default(4).describe("spawns that earn the full reward for starting sub-agents"),
  schedule: z
    .enum(["linear", "cosine", "constant"])
    .default("linear")
    .describe("how the weights fall to 0 over training; constant = they do not"),
};

interface Annealing {
  lambda_parallel: number;
  lambda_finish: number;
  schedule: "linear" | "cosine" | "constant";
  /** Training progress, 0 to 1. */
  progress: number;
}

/** Both auxiliary weights at this point of training. */
export function annealed(p: Annealing): { parallel: number; finish: number } {
  const at = Math.min(Math.max(p.progress, 0), 1);
  const factor = p.schedule === "constant" ? 1 : p.schedule === "linear" ? 1 - at : (1 + Math.cos(Math.PI * at)) / 2;
  return { parallel: p.lambda_parallel * factor, finish: p.lambda_finish * factor };
}

/** Share of the spawned agents (repeats counted) that returned; 0 when none was spawned. */
export function finishRate(spawned: readonly string[], returned: ReadonlySet<string>): number {
  return spawned.length === 0 ? 0 : spawned.filter((agent) => returned.has(agent)).length / spawned.length;
}

const parlArgs = z.object({
  ...rewardShape,
  perf: z.number(),
  events: z.array(eventSchema),
  progress: z.number().default(0),
  parallel: z.enum(["instantiation", "speedup"]).default("instantiation"),
  speedup: z.number().nullish(),
});

/**
 * Composed reward of an orchestrator (Kimi K2.5 report): perf + λ_1 r_parallel + λ_2 r_finish. r_parallel = min(1, spawned /
 * n_cap) (`instantiation`), or max(0, 1 − 1 / speedup), the share of serial time that was saved (`speedup`; 0 without one);
 * r_finish = share of spawned agents that return. Both λ are annealed with progress p (cut to [0, 1]): λ (1 − p), λ (1 + cos
 * πp) / 2, or λ.
 */
export function parlReward(args: z.input<typeof parlArgs>): {
  r_parallel: number;
  r_finish: number;
  lambda_parallel: number;
  lambda_finish: number;
  total: number;
} {
  const given = functionArgs(parlArgs, args);
  const { perf, events, parallel, speedup, n_cap } = given;
  const spawned = spawnedAgents(events);
  const returned = new Set(events.filter(({ type }) => type === "return").map(({ agent }) => agent));
  const saved = speedup && speedup > 1 ? 1 - 1 / speedup : 0;
  const r_parallel = parallel === "instantiation" ? Math.min(1, spawned.length / n_cap) : saved;
  const r_finish = finishRate(spawned, returned);
  const lambda = annealed(given);
  const total = perf + lambda.parallel * r_parallel + lambda.finish * r_finish;
  return { r_parallel, r_finish, lambda_parallel: lambda.parallel, lambda_finish: lambda.finish, total };
}

const items = z.array(z.union([z.string(), z.number()]).transform(String));
const harmonic = (a: number, b: number) => (a + b === 0 ? 0 : (2 * a * b) / (a + b));
const shared = (a: ReadonlySet<string>, b: ReadonlySet<string>) => [...a].filter((item) => b.has(item)).length;

const splitArgs = z.object({ required: items, subtasks: z.array(items) });

/**
 * How well sub-tasks split a task: U = union of their items; coverage = share of the required items in U, precision = share
 * of U that is required, redundancy = share of all items listed that repeat one; score = F1(coverage, precision) · (1 −
 * redundancy). Nothing listed: precision 1 and score 0 (1 when nothing was required); nothing required: precision 0, score 0.
 */
export function splitCorrectness(
  args: z.input<typeof splitArgs>,
): Record<"coverage" | "precision" | "redundancy" | "score", number> {
  const { required, subtasks } = functionArgs(splitArgs, args);
  const wanted = new Set(required);
  const listed = subtasks.flat();
  const union = new Set(listed);
  if (listed.length === 0) {
    const done = wanted.size === 0 ? 1 : 0;
    return { coverage: done, precision: 1, redundancy: 0, score: done };
  }
  if (wanted.size === 0) return { coverage: 1, precision: 0, redundancy: 0, score: 0 };
  const both = shared(union, wanted);
  const coverage = both / wanted.size;
  const precision = both / union.size;
  const redundancy = (listed.length - union.size) / listed.length;
  return { coverage, precision, redundancy, score: harmonic(coverage, precision) * (1 - redundancy) };
}

const aggregationArgs = z.object({ returns: z.array(items), final: items, correct: items });

/**
 * How well a final answer brings together what workers returned: good = correct items among the returns; retention = share
 * of good that was kept (1 when there is none); purity = correct share of the final answer (an empty one: 1 when nothing
 * was good, else 0); quality = their harmonic mean; gain = F1(final, correct) − the best F1 of a single return.
 */
export function aggregationQuality(
  args: z.input<typeof aggregationArgs>,
): Record<"retention" | "purity" | "quality" | "gain", number> {
  const { returns, final, correct } = functionArgs(aggregationArgs, args);
  const right = new Set(correct);
  const kept = new Set(final);
  const good = new Set(returns.flat().filter((item) => right.has(item)));
  const f1 = (list: ReadonlySet<string>) => {
    const both = shared(list, right);
    return both === 0 ? 0 : (2 * both) / (list.size + right.size);
  };
  const retention = good.size === 0 ? 1 : shared(kept, good) / good.size;
  const empty = good.size === 0 ? 1 : 0;
  const purity = kept.size === 0 ? empty : shared(kept, right) / kept.size;
  const best = returns.reduce((most, list) => Math.max(most, f1(new Set(list))), 0);
  return { retention, purity, quality: harmonic(retention, purity), gain: f1(kept) - best };
}

const stoppingArgs = z.object({
  quality: numberList.min(1),
  cost: numberList,
  beta: z.number().min(0).default(1),
});

/**
 * What stopping at each step would be worth: net_t = quality_t − β Σ_{s ≤ t} cost_s; `optimalStop` = first step of the
 * largest net; `continueGain`_t = largest later net − net_t (null at the last step): stopping is right where it is at most 0;
 * `regretOfActualStop` = largest net − last net.
 */
export function stoppingAdvantage(args: z.input<typeof stoppingArgs>): {
  net: number[];
  optimalStop: number;
  continueGain: (number | null)[];
  regretOfActualStop: number;
} {
  const { quality, cost, beta } = functionArgs(stoppingArgs, args);
  sameLength({ quality, cost });
  let spent = 0;
  const net = quality.map((q, t) => {
    spent += cost[t];
    return q - beta * spent;
  });
  if (!net.every(Number.isFinite)) throw new InputError("the costs are too large", { got: `${spent}` });
  const continueGain: (number | null)[] = new Array(net.length).fill(null);
  let later = net[net.length - 1];
  for (let t = net.length - 2; t >= 0; t--) {
    continueGain[t] = later - net[t];
    later = Math.max(later, net[t]);
  }
  return { net, optimalStop: net.indexOf(later), continueGain, regretOfActualStop: later - net[net.length - 1] };
}

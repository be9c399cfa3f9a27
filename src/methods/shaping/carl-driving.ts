import { z } from "zod";
import { gaeInto } from "../../operators/gae.ts";
import { normalizePools } from "../../operators/normalize.ts";
import { poolOfCall } from "../../operators/pools.ts";
import { maskRuns } from "../../operators/runs.ts";
import type { Batch } from "../../rollouts/index.ts";
import { functionArgs } from "../arguments.ts";
import { defineMethod } from "../method.ts";
import { unitInterval } from "../parameters.ts";
import { type DrivingColumns, drivingColumns, laneFactor, SoftFactors, speedFactor } from "./driving-factors.ts";

const band = z.number().positive().default(2.23).describe("metres per second from the limit to no reward");
const softener = unitInterval(1, "how much of the reward the border of the lane takes (linear)");
const latch = (text: string) => z.int().min(1).default(500).describe(`rows that a ${text} lasts`);

const params = z.object({
  variant: z.enum(["carla", "nuplan"]).default("carla").describe("rule set"),
  lane_mode: z
    .enum(["linear", "grace"])
    .default("linear")
    .describe("carla: factor by distance, or half after a while off centre"),
  lane_threshold: z
    .number()
    .min(0)
    .nullable()
    .default(null)
    .describe("metres off the centre that cost nothing; null = 0 (linear), 0.5 (grace, nuplan)"),
  lane_softener: softener,
  lane_grace_steps: z.int().min(0).default(30).describe("rows off the centre before the factor falls (grace)"),
  overspeed_band: band,
  ttc_steps: latch("violated time to collision (carla)"),
  comfort_steps: latch("violated comfort bound (carla)"),
  comfort_factor: unitInterval(0.5, "reward taken when all comfort bounds are violated (carla)"),
  off_road_limit: unitInterval(0.95, "share of the vehicle off the road that ends the episode (carla)"),
  terminal_reward: z.number().default(0).describe("added on termination"),
  terminal_hint: z.number().default(1).describe("taken on collision, red light or a gap too small (carla)"),
  collision_terminal_reward: z.number().default(0).describe("terminal reward of a collision (nuplan)"),
  reward_factor: z.number().default(100).describe("scale of the reward (nuplan)"),
  gamma: unitInterval(0.99, "discount per row"),
  lam: unitInterval(0.95, "trade of bias (0) against variance (1)"),
  whiten_advantage: z.boolean().default(false).describe("centre and scale over all rows of the call"),
});
type Params = z.output<typeof params>;

function carlaReward(columns: DrivingColumns, row: number, before: number, factor: number, ended: boolean, p: Params) {
  const progress = columns.completion[row] - before;
  const terminal = ended ? p.terminal_reward - (columns.hinted[row] === 1 ? p.terminal_hint : 0) : 0;
  return progress * factor + terminal;
}

function nuplanReward(columns: DrivingColumns, row: number, before: number, factor: number, ended: boolean, p: Params) {
  const progress = Math.max(0, columns.completion[row] - before);
  const terminal = columns.collision[row] === 1 ? p.collision_terminal_reward : p.terminal_reward;
  return p.reward_factor * (progress * factor * (ended ? 0 : 1) + terminal);
}

/**
 * CaRL (arXiv 2504.17838): r_t = ΔRC_t Π_i p_t^i − T: the route completion gained in a row times soft penalty factors;
 * serious infractions end the episode. Rows after the first that ends it are 0. Advantages by GAE over the rows up to there;
 * "truncated" means finished and is a true end.
 */
function assign(batch: Batch, p: Params): Batch {
  const columns = drivingColumns(batch);
  const offsets = batch.offsets("step");
  const rows = batch.count("step");
  const out = {
    reward: new Float64Array(rows),
    terminated: new Float64Array(rows),
    truncated: new Float64Array(rows),
    factor: new Float64Array(rows),
  };
  const live = new Uint8Array(rows);
  const total = new Float64Array(batch.size);
  const bootstrap = Float64Array.from(batch.numbers("signals.bootstrap_value", { absent: 0, missing: 0 }));
  const offRoadEnds = (x: number) => (p.variant === "carla" ? x > p.off_road_limit : x > 0);
  const rewardOf = p.variant === "carla" ? carlaReward : nuplanReward;
  for (let i = 0; i < batch.size; i++) {
    const factors = new SoftFactors(columns, p);
    let before = 0;
    for (let row = offsets[i]; row < offsets[i + 1]; row++) {
      const ended = columns.hard[row] === 1 || offRoadEnds(columns.offRoad[row]);
      const done = ended || columns.finished[row] !== 0;
      out.factor[row] = factors.next(row);
      out.reward[row] = rewardOf(columns, row, before, out.factor[row], ended, p);
      out.terminated[row] = ended ? 1 : 0;
      out.truncated[row] = done && !ended ? 1 : 0;
      live[row] = 1;
      total[i] += out.reward[row];
      before = columns.completion[row];
      if (!done) continue;
      bootstrap[i] = 0;
      break;
    }
  }
  const runs = maskRuns(offsets, live);
  const values = batch.numbers("steps.value", { absent: 0, missing: 0 });
  const raw = new Float64Array(rows);
  const { gamma, lam } = p;
  gaeInto({ runs, values, rewards: out.reward, bootstrap, gamma, lam }, raw, new Float64Array(rows));
  const advantage = p.whiten_advantage
    ? normalizePools(raw, poolOfCall(batch, "step"), { ddof: 1, eps: 1e-8, valid: live })
    : raw;
  return batch.with({
    "steps.reward": out.reward,
    "steps.terminated": out.terminated,
    "steps.truncated": out.truncated,
    "steps.soft_factor": out.factor,
    "steps.advantage": advantage,
    "rollout.reward": total,
  });
}

const laneArgs = z.object({
  distance: z.number().min(0),
  laneWidth: z.number().positive().default(3.5),
  threshold: z.number().min(0).default(0),
  softener,
});

/** Lane factor: 1 up to `threshold` metres off the centre, falling to 1 − softener at the border of the lane. */
export function carlLaneFactor(args: z.input<typeof laneArgs>): number {
  const { distance, laneWidth, threshold, softener } = functionArgs(laneArgs, args);
  return laneFactor(distance, laneWidth, threshold, softener);
}

const speedArgs = z.object({ speed: z.number(), limit: z.number().default(6), band });

/** Speed factor: 1 up to the limit (metres per second), then falling to 0 over `band`. */
export function carlSpeedFactor(args: z.input<typeof speedArgs>): number {
  const { speed, limit, band } = functionArgs(speedArgs, args);
  return speedFactor(speed, limit, band);
}

export const carlDriving = defineMethod({
  id: "carl-driving",
  title: "CaRL: simple rewards for driving",
  summary:
    "Pay a driving step the route completion gained in it times soft penalty factors, and let serious infractions end the episode instead of adding negative terms.",
  facts: {
    paper: {
      title: "CaRL: Learning Scalable Planning Policies with Simple Rewards",
      arxiv: "2504.17838",
      date: "2025-04",
      repo: "autonomousvision/CaRL",
    },
    headline: "Driving score 64 on CARLA longest6 v2 and 91.3 / 90.6 on nuPlan Val14, and larger batches keep helping.",
    granularity: "step",
    methodology: ["shaping", "temporal-difference"],
    checked: "official code read line by line; it needs the simulators to run",
  },
  equations: [
    { text: "r_t = ΔRC_t Π_i p_t^i − T", tex: "r_t = \\Delta RC_t \\prod_i p_t^i - T" },
    { text: "A_t = δ_t + γ λ A_t+1 up to the end of the episode", tex: "A_t = \\delta_t + \\gamma\\lambda A_{t+1}" },
  ],
  params,
  reads: [
    "steps.route_completion",
    ...[
      "speed",
      "speed_limit",
      "outside_lanes",
      "ttc_violation",
      "comfort_violations",
      "lane_distance",
      "lane_width",
    ].map((name) => `steps.${name}?`),
    ...["side_distance", "junction", "off_road_fraction", "finished", "collision", "red_light", "stop_sign"].map(
      (name) => `steps.${name}?`,
    ),
    ...["blocked", "route_deviation", "timeout", "too_close", "value"].map((name) => `steps.${name}?`),
    "signals.bootstrap_value?",
  ],
  writes: [
    "steps.reward",
    "steps.terminated",
    "steps.truncated",
    "steps.soft_factor",
    "steps.advantage",
    "rollout.reward",
  ],
  scope: (p) => (p.whiten_advantage ? "batch" : "rollout"),
  functions: { carlLaneFactor, carlSpeedFactor },
  assign,
});

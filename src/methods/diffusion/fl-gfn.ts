import { z } from "zod";
import type { Batch, NumericArray } from "../../rollouts/index.ts";
import { functionArgs, numberRows } from "../arguments.ts";
import { defineMethod } from "../method.ts";

const params = z.object({
  objective: z.enum(["db", "subtb"]).default("db").describe("loss of a rollout: detailed or sub-trajectory balance"),
  lam: z.number().positive().default(0.9).describe("weight of a sub-trajectory per step of its length"),
  terminal_flow: z
    .enum(["zero", "learned", "copy"])
    .default("zero")
    .describe("remaining log flow of a terminal state: 0, log_flow_final, or that of the state before"),
  reduction: z
    .enum(["transitions", "sum", "trajectories", "subtb"])
    .default("transitions")
    .describe("how flBatchLoss adds up; the credit columns do not depend on it"),
});
type Params = z.output<typeof params>;

/** Energy change of every transition: `steps.energy`, else minus the change of `steps.log_reward`. */
function energies(batch: Batch): Float64Array {
  const offsets = batch.offsets("step");
  const out = new Float64Array(batch.count("step"));
  const energy = batch.numbers("steps.energy", { absent: 0 });
  const logReward = batch.has("steps.log_reward") ? batch.numbers("steps.log_reward", { absent: 0 }) : null;
  const initial = batch.numbers("signals.log_reward_initial", { absent: 0 });
  for (let i = 0; i < batch.size; i++) {
    const given = batch.hasIn("steps.energy", i);
    const empty = offsets[i + 1] === offsets[i];
    if (!given && !empty && !batch.hasIn("steps.log_reward", i)) {
      throw batch.missing("steps.energy or steps.log_reward", i, "the energy of unfinished states cannot be invented");
    }
    let before = initial[i];
    for (let row = offsets[i]; row < offsets[i + 1]; row++) {
      if (given) out[row] = energy[row];
      else if (logReward !== null) {
        out[row] = before - logReward[row];
        before = logReward[row];
      }
    }
  }
  return out;
}

/** log F~ of the last state of rollout i: the anchor 0, what the network said, or the flow of the state before. */
function finalFlow(batch: Batch, i: number, complete: boolean, p: Params, final: NumericArray, before: number): number {
  if (complete && p.terminal_flow === "zero") return 0;
  if (complete && p.terminal_flow === "copy") return before;
  if (!batch.hasIn("signals.log_flow_final", i)) {
    const why = complete ? "terminal_flow is learned" : "the trajectory is not complete";
    throw batch.missing("signals.log_flow_final", i, `it is needed because ${why}`);
  }
  return final[i];
}

/**
 * Σ_{i<j} λ^(j−i) (Σ d)² / Σ_{i<j} λ^(j−i) over all sub-trajectories, in one pass: of those that end here, the sums of the
 * weights, of weight times Σ d, and of weight times (Σ d)² follow from those that ended one transition before.
 */
function subTrajectoryLoss(residuals: ArrayLike<number>, from: number, to: number, lam: number): number {
  // Common factors cancel in the quotient; chosen so that no weight exceeds 1, whatever λ and the length are.
  const keep = Math.min(lam, 1);
  const fade = Math.min(1 / lam, 1);
  let fresh = 1;
  let ending = 0;
  let sums = 0;
  let squares = 0;
  let total = 0;
  let weights = 0;
  for (let row = from; row < to; row++) {
    const d = residuals[row];
    squares = Math.max(0, keep * (squares + 2 * d * sums + d * d * ending) + fresh * d * d);
    sums = keep * (sums + d * ending) + fresh * d;
    ending = keep * ending + fresh;
    total = fade * total + squares;
    weights = fade * weights + ending;
    fresh *= fade;
  }
  return weights === 0 ? 0 : total / weights;
}

function meanSquare(residuals: ArrayLike<number>, from: number, to: number): number {
  let sum = 0;
  for (let row = from; row < to; row++) sum += residuals[row] * residuals[row];
  return to === from ? 0 : sum / (to - from);
}

/**
 * Forward-looking GFlowNet (arXiv 2302.01687): with F(s) = exp(−E(s)) F~(s) every transition carries its own energy change,
 * d_t = log F~(s_t) + log P_F − log F~(s_{t+1}) − log P_B + e_t. Local credit −e_t, loss d_t², and per rollout the mean of
 * the squares (`db`) or the weighted mean over sub-trajectories (`subtb`, λ). The terminal flow is anchored at log F~ = 0.
 */
function assign(batch: Batch, p: Params): Batch {
  const logPf = batch.numbers("steps.log_pf");
  const logPb = batch.numbers("steps.log_pb");
  const flow = batch.numbers("steps.log_flow");
  const energy = energies(batch);
  const complete = batch.numbers("signals.complete", { absent: 1 });
  const final = batch.numbers("signals.log_flow_final", { absent: 0 });
  const offsets = batch.offsets("step");
  const residual = new Float64Array(energy.length);
  const loss = new Float64Array(batch.size);
  for (let i = 0; i < batch.size; i++) {
    const last = offsets[i + 1] - 1;
    for (let row = offsets[i]; row <= last; row++) {
      const next = row < last ? flow[row + 1] : finalFlow(batch, i, complete[i] !== 0, p, final, flow[row]);
      residual[row] = flow[row] + logPf[row] - next - logPb[row] + energy[row];
    }
    const whole = p.objective === "db" ? meanSquare : subTrajectoryLoss;
    loss[i] = whole(residual, offsets[i], last + 1, p.lam);
  }
  return batch.with({
    "steps.reward": energy.map((e) => 0 - e),
    "steps.residual": residual,
    "steps.loss": residual.map((d) => d * d),
    "rollout.loss": loss,
  });
}

const lossArgs = z.object({
  residuals: numberRows,
  reduction: params.shape.reduction,
  lam: params.shape.lam,
});

/**
 * Loss of a batch of trajectories from their residuals: mean of all squares (`transitions`), their sum (`sum`), mean over
 * trajectories of the mean square (`trajectories`), or of the sub-trajectory loss (`subtb`, λ). No transition: 0.
 */
export function flBatchLoss(args: z.input<typeof lossArgs>): number {
  const { residuals, reduction, lam } = functionArgs(lossArgs, args);
  if (reduction === "transitions") return meanSquare(residuals.flat(), 0, residuals.flat().length);
  if (reduction === "sum") return residuals.flat().reduce((sum, d) => sum + d * d, 0);
  const one = reduction === "subtb" ? subTrajectoryLoss : meanSquare;
  const total = residuals.reduce((sum, row) => sum + one(row, 0, row.length, lam), 0);
  return residuals.length === 0 ? 0 : total / residuals.length;
}

const flowArgs = z.object({ log_flow_tilde: z.number(), energy: z.number() });

/** Log flow of a state from its forward-looking remainder: log F = log F~ − E. */
export function forwardLookingFlow(args: z.input<typeof flowArgs>): number {
  const { log_flow_tilde, energy } = functionArgs(flowArgs, args);
  return log_flow_tilde - energy;
}

export const flGfn = defineMethod({
  id: "fl-gfn",
  title: "Forward-looking GFlowNets: local credit from energies",
  summary:
    "Write the flow of a state as exp(-energy) times a learned remainder, so that every transition carries its own energy change as local credit and even unfinished trajectories give a loss.",
  facts: {
    paper: {
      title: "Better Training of GFlowNets with Local Credit and Incomplete Trajectories",
      arxiv: "2302.01687",
      date: "2023-02",
      repo: "ling-pan/FL-GFN",
    },
    headline:
      "Faster convergence than the other balance losses on sets, bit sequences and molecules, and the only one that learns from unfinished trajectories.",
    granularity: "step",
    methodology: ["temporal-difference", "shaping", "flow"],
    checked:
      "molecule script 2.5e-5 (float32 there), another trainer's SubTB 7e-15, torchgfn's geometric weights 4e-15",
    reconstructed: ["the anchor of the terminal flow at 0: theory, not the released code (`learned` and `copy` are)"],
  },
  equations: [
    { text: "log F(s) = −E(s) + log F~(s)", tex: "\\log F(s) = -E(s) + \\log\\tilde F(s)" },
    {
      text: "d_t = log F~(s_t) + log P_F − log F~(s_t+1) − log P_B + e_t",
      tex: "d_t = \\log\\tilde F(s_t) + \\log P_F - \\log\\tilde F(s_{t+1}) - \\log P_B + e_t",
    },
    {
      text: "L = Σ_{i<j} λ^(j−i) (Σ d)² / Σ_{i<j} λ^(j−i)",
      tex: "L = \\frac{\\sum_{i<j} \\lambda^{j-i} d_{i:j}^2}{\\sum_{i<j} \\lambda^{j-i}}",
    },
  ],
  params,
  reads: [
    "steps.log_pf",
    "steps.log_pb",
    "steps.log_flow",
    "steps.energy | steps.log_reward",
    "signals.log_reward_initial?",
    "signals.complete?",
    "signals.log_flow_final?",
  ],
  writes: ["steps.reward", "steps.residual", "steps.loss", "rollout.loss"],
  scope: "rollout",
  functions: { flBatchLoss, forwardLookingFlow },
  assign,
});

import { z } from "zod";
import { rowsToTokens } from "../../operators/broadcast.ts";
import { normalizePools, poolMoments } from "../../operators/normalize.ts";
import { type Pools, poolByKeys, poolOfCall } from "../../operators/pools.ts";
import { bits } from "../../operators/ranges.ts";
import { rowAdvantageColumns } from "../../operators/row-credit.ts";
import { type Batch, describe } from "../../rollouts/index.ts";
import { count } from "../arguments.ts";
import { defineMethod } from "../method.ts";
import { minesweeperPosterior, minesweeperReward } from "./minesweeper.ts";
import { sokobanMoveReward, sokobanOptimalActions } from "./sokoban.ts";
import { sudokuMoveReward } from "./sudoku.ts";
import { ticTacToeOptimalMoves } from "./tic-tac-toe.ts";

const params = z.object({
  mode: z
    .enum(["auto", "state_group", "turn"])
    .default("auto")
    .describe("compare candidates of one state, or turns of one number; auto = states where any rollout has them"),
  state_mode: z
    .enum(["mean_then_batch_whiten", "group_whiten"])
    .default("mean_then_batch_whiten")
    .describe("centre by state and scale over the call (released), or centre and scale by state"),
  eps: z
    .number()
    .positive()
    .default(1e-8)
    .describe("added to every standard deviation, and the spread up to which a state has no contrast"),
  min_group_size: count
    .min(1)
    .default(4)
    .describe("fewer rows of one turn number use the statistics of the whole call"),
  outcome_scale: z.number().min(0).default(0).describe("bonus of a turn that ends its episode with success"),
});
type Params = z.output<typeof params>;

/** Verdicts with the bonus of success, and the rows that count: judged, and not of a rollout that only fills up. */
function verdicts(batch: Batch, scale: number): { values: Float64Array; valid: Uint8Array } {
  const values = Float64Array.from(batch.numbers("turns.reward", { absent: 0, missing: 0 }));
  const judged = batch.validity("turns.reward");
  const success = bits(batch, "turns.terminal_success", { absent: 0, missing: 0 });
  const padding = bits(batch, "signals.padding", { absent: 0, missing: 0 });
  const offsets = batch.offsets("turn");
  const valid = new Uint8Array(values.length);
  for (let i = 0; i < batch.size; i++) {
    const judgedAtAll = padding[i] === 1 || batch.hasIn("turns.reward", i);
    if (!judgedAtAll && offsets[i + 1] > offsets[i]) throw batch.missing("turns.reward", i);
    for (let t = offsets[i]; t < offsets[i + 1]; t++) {
      values[t] += scale * success[t];
      valid[t] = padding[i] === 1 || (judged !== null && judged[t] === 0) ? 0 : 1;
    }
  }
  return { values, valid };
}

/** Candidates of one state of one group; rows without a state are in no pool. */
function poolByCandidates(batch: Batch): Pools {
  const states = batch.cells("turns.state");
  return poolByKeys(batch, "turn", (row) => {
    const state = states[row] ?? null;
    if (state === null) return null;
    if (typeof state === "string" || typeof state === "number") return `${typeof state} ${state}`;
    throw batch.wrongValue("turns.state", row, "text or a number", describe(state));
  });
}

/** Turns of one number over all rollouts of the call, whatever their group. */
function poolByNumber(batch: Batch): Pools {
  const index = batch.numbers("turns.index", { absent: 0, missing: 0 });
  const numbered = batch.validity("turns.index");
  const offsets = batch.offsets("turn");
  const known = new Map<number, number>();
  const of = new Int32Array(index.length);
  for (let i = 0; i < batch.size; i++) {
    for (let t = offsets[i]; t < offsets[i + 1]; t++) {
      const number = numbered === null || numbered[t] === 1 ? index[t] : t - offsets[i];
      const pool = known.get(number) ?? known.size;
      known.set(number, pool);
      of[t] = pool;
    }
  }
  return { of, count: known.size };
}

interface Credit {
  advantage: Float64Array;
  weight: Uint8Array;
}

/** Candidates of one state against each other; states of one row or without contrast do not train. */
function byState(batch: Batch, values: Float64Array, valid: Uint8Array, p: Params): Credit {
  const pools = poolByCandidates(batch);
  const { count, mean, squares } = poolMoments(values, pools, valid);
  const contrast = squares.map((square, pool) => (count[pool] > 1 && Math.sqrt(square / count[pool]) > p.eps ? 1 : 0));
  const weight = Uint8Array.from(pools.of, (pool, row) => (pool >= 0 && valid[row] === 1 ? contrast[pool] : 0));
  if (p.state_mode === "group_whiten") {
    return { advantage: normalizePools(values, pools, { ddof: 0, eps: p.eps, valid: weight }), weight };
  }
  const centred = values.map((x, row) => (weight[row] === 1 ? x - mean[pools.of[row]] : 0));
  const call = poolOfCall(batch, "turn");
  const whole = poolMoments(centred, call, weight);
  if (!(Math.sqrt(whole.squares[0] / whole.count[0]) > p.eps)) return { advantage: centred.fill(0), weight };
  return { advantage: normalizePools(centred, call, { ddof: 0, eps: p.eps, valid: weight }), weight };
}

/** Turns of one number against each other, or against the whole call where they are too few. */
function byTurn(batch: Batch, values: Float64Array, valid: Uint8Array, p: Params): Credit {
  const spec = { ddof: 0, eps: p.eps, valid } as const;
  const pools = poolByNumber(batch);
  const { count } = poolMoments(values, pools, valid);
  const advantage = normalizePools(values, pools, spec);
  const whole = normalizePools(values, poolOfCall(batch, "turn"), spec);
  for (let row = 0; row < advantage.length; row++) {
    if (count[pools.of[row]] < p.min_group_size) advantage[row] = whole[row];
  }
  return { advantage, weight: valid };
}

/**
 * Credit of VPR (arXiv 2605.10325). Row reward r' = oracle verdict + outcome_scale · terminal_success. With states: c = r' −
 * mean over the candidates of the state, A = (c − mean c) / (std c + ε) over all candidates of the call (or c over the spread
 * of the state). Without: A = (r' − mean_t) / (std_t + ε) over the turns of one number. Spreads are of the population.
 * `turns.weight` is 0 where nothing is to be learnt: no verdict, padding, or a state without contrast.
 */
function assign(batch: Batch, p: Params): Batch {
  if (p.mode === "state_group" && batch.size > 0 && !batch.has("turns.state")) throw batch.missing("turns.state", 0);
  const { values, valid } = verdicts(batch, p.outcome_scale);
  const states = p.mode === "state_group" || (p.mode === "auto" && batch.has("turns.state"));
  const { advantage, weight } = (states && batch.has("turns.state") ? byState : byTurn)(batch, values, valid, p);
  const columns = { ...rowAdvantageColumns(batch, "turn", advantage), "turns.weight": Float64Array.from(weight) };
  if (!batch.hasLevel("token")) return batch.with(columns);
  return batch.with({ ...columns, "tokens.weight": { later: () => rowsToTokens(batch, "turn", weight) } });
}

export const vpr = defineMethod({
  id: "vpr",
  title: "Verifiable Process Rewards (VPR)",
  summary:
    "Where an oracle can judge every single action, its verdict is the reward of that turn, normalised among candidates sampled from the same state or among all turns of the same number.",
  facts: {
    paper: {
      title: "Verifiable Process Rewards for Agentic Reasoning",
      arxiv: "2605.10325",
      date: "2026-05",
      repo: "thu-nics/VPR",
    },
    headline:
      "Qwen3-4B solves 56.3 % of Sudokus (outcome reward 48.4, Monte Carlo process reward 34.7) and 10.4 % of Minesweeper boards (3.9, 2.3); a weak oracle hurts.",
    granularity: "turn",
    methodology: ["verifier"],
    checked:
      "released estimator, max abs diff 2.4e-7; posterior against exhaustive enumeration (0), Sokoban against plain breadth-first search (identical)",
    reconstructed: ["tic-tac-toe by exact search instead of the first version's Monte Carlo search"],
  },
  equations: [
    { text: "r' = r + λ success", tex: "r' = r + \\lambda\\,\\mathrm{success}" },
    {
      text: "c = r' − mean over the state, A = (c − mean c) / (std c + ε)",
      tex: "c = r' - \\bar r'_s,\\quad A = \\frac{c - \\bar c}{\\operatorname{std} c + \\varepsilon}",
    },
    {
      text: "A = (r' − mean_t) / (std_t + ε), over the turns of number t",
      tex: "A = \\frac{r' - \\bar r'_t}{\\operatorname{std}_t + \\varepsilon}",
    },
  ],
  params,
  presets: { official: { mode: "state_group" }, paper_v1: { mode: "turn" } },
  reads: [
    "turns.reward",
    "turns.state?",
    "turns.index?",
    "turns.terminal_success?",
    "signals.padding?",
    "group?",
    "turns.end?",
    "tokens.mask?",
  ],
  writes: ["turns.advantage", "turns.weight", "tokens.advantage", "tokens.weight"],
  scope: (p) => (p.mode === "state_group" && p.state_mode === "group_whiten" ? "group" : "batch"),
  functions: {
    minesweeperPosterior,
    minesweeperReward,
    sudokuMoveReward,
    sokobanOptimalActions,
    sokobanMoveReward,
    ticTacToeOptimalMoves,
  },
  assign,
});

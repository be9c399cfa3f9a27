import { z } from "zod";
import {
  decisionsOf,
  deviationGains,
  digit,
  type InformationGame,
  type Mechanism,
  type MechanismValue,
  mechanismWorth,
  radix,
  sizesOf,
} from "../../mechanisms/information-game.ts";
import { optimalProgram, scoringProgram } from "../../mechanisms/information-programs.ts";
import { type Batch, describe, InputError } from "../../rollouts/index.ts";
import { functionArgs, numberList } from "../arguments.ts";
import { defineMethod } from "../method.ts";
import { gameSchema, loneAgent, readGame } from "./game.ts";
import { nestedOf, numberBlocks, requireDistribution, requireLength, tensorOf } from "./tensors.ts";

/** Payments gamma[i][b][s][θ]. */
const payments = z.array(numberBlocks);

const params = z.object({
  game: gameSchema
    .nullable()
    .default(null)
    .describe("prior, costs, signals, utility, maxPayment, and marginals or signal"),
  gamma: payments
    .nullable()
    .default(null)
    .describe("payments gamma[i][b][s][θ], for example those of optimalMechanism"),
  agents: z
    .array(z.string())
    .nullable()
    .default(null)
    .describe("names of the agents in the order of the game; null = turns.agent holds their numbers"),
});
type Params = z.output<typeof params>;

function readPayments(gamma: z.output<typeof payments>, game: InformationGame): Float64Array[] {
  const { efforts, reports, states, agents } = sizesOf(game);
  requireLength(gamma, agents, "gamma");
  return gamma.map((own, i) => tensorOf(own, [efforts.count, reports.count, states], `gamma.${i}`));
}

/** Row of the report of every agent of one rollout, `agents` being those of all rows. */
function rowsOfAgents(batch: Batch, i: number, agents: readonly unknown[], names: readonly string[]): number[] {
  const offsets = batch.offsets("turn");
  const rows = new Array<number>(names.length).fill(-1);
  for (let row = offsets[i]; row < offsets[i + 1]; row++) {
    const agent = names.indexOf(String(agents[row]));
    if (agent < 0 || rows[agent] >= 0)
      throw batch.wrongValue("turns.agent", row, `each of ${names.join(", ")} once`, describe(agents[row]));
    rows[agent] = row;
  }
  const absent = rows.indexOf(-1);
  if (absent >= 0)
    throw new InputError(`no report of agent ${names[absent]}`, { rollout: batch.ids[i], column: "turns.agent" });
  return rows;
}

/**
 * Payments for reports (arXiv 2307.06210): with the recommended efforts b, the reports s and the state θ of a rollout,
 * agent i is paid γ_i[b, s, θ], and the principal keeps u(a*(b, s), θ) − Σ_i γ_i[b, s, θ]. The game and its payments are
 * parameters. Every rollout has one row of `turns` per agent.
 */
function assign(batch: Batch, p: Params): Batch {
  if (p.game === null || p.gamma === null)
    throw new InputError(`parameter ${p.game === null ? "game" : "gamma"} is missing`, {
      hint: "describe the game, and take the payments that optimalMechanism finds for it",
    });
  const game = readGame(p.game);
  const { efforts, reports, states, agents } = sizesOf(game);
  const gamma = readPayments(p.gamma, game);
  const names = p.agents ?? Array.from({ length: agents }, (_, i) => String(i));
  requireLength(names, agents, "agents");
  const { action } = decisionsOf(game);
  const cells = batch.size === 0 ? [] : batch.cells("turns.agent");
  const [effort, report, state] = ["turns.effort", "turns.report", "signals.state"].map((path) => batch.numbers(path));
  const reward = batch.zeros("turn");
  const kept = batch.zeros("rollout");
  const checked = (path: string, value: number, row: number, most: number) => {
    if (Number.isInteger(value) && value >= 0 && value < most) return value;
    throw batch.wrongValue(path, row, `a whole number from 0 to ${most - 1}`, `${value}`);
  };
  for (let i = 0; i < batch.size; i++) {
    if (!batch.hasIn("turns.agent", i)) throw batch.missing("turns.agent", i);
    const rows = rowsOfAgents(batch, i, cells, names);
    const theta = checked("signals.state", state[i], i, states);
    let cell = 0;
    rows.forEach((row, k) => {
      cell += checked("turns.effort", effort[row], row, efforts.sizes[k]) * efforts.strides[k] * reports.count;
      cell += checked("turns.report", report[row], row, reports.sizes[k]) * reports.strides[k];
    });
    kept[i] = game.utility[action[cell] * states + theta];
    rows.forEach((row, k) => {
      reward[row] = gamma[k][cell * states + theta];
      kept[i] -= reward[row];
    });
  }
  return batch.with({ "turns.reward": reward, "rollout.principal_utility": kept });
}

const gameArgs = z.object({ game: gameSchema });
const mechanismArgs = gameArgs.extend({ mu: numberList, gamma: payments });

function readMechanism(args: z.output<typeof mechanismArgs>): { game: InformationGame; mechanism: Mechanism } {
  const game = readGame(args.game);
  requireDistribution(args.mu, sizesOf(game).efforts.count, "mu");
  return { game, mechanism: { mu: Float64Array.from(args.mu), gamma: readPayments(args.gamma, game) } };
}

/**
 * Expected values of recommendations `mu[b]` and payments `gamma[i][b][s][θ]` when everybody obeys and reports the truth:
 * principal Σ_b μ[b] D(b) − Σ_i payments_i, and agentUtility_i = payments_i − Σ_b μ[b] c_i(b_i).
 * D(b) = Σ_s max_a Σ_θ P(s,θ|b) u(a,θ); joint indices b and s have the first agent as their slowest digit.
 */
export function mechanismValue(args: z.input<typeof mechanismArgs>): MechanismValue {
  const { game, mechanism } = readMechanism(functionArgs(mechanismArgs, args));
  return mechanismWorth(game, mechanism);
}

/**
 * What each agent can gain by deviating alone: on every recommendation the best other effort and, per signal, the best
 * other report, less what obeying pays; summed over recommendations. 0 = incentive compatible.
 */
export function icGain(args: z.input<typeof mechanismArgs>): { perAgent: number[]; max: number } {
  const { game, mechanism } = readMechanism(functionArgs(mechanismArgs, args));
  const perAgent = deviationGains(game, mechanism);
  return { perAgent, max: Math.max(...perAgent) };
}

const ruleArgs = gameArgs.extend({ agent: z.int().min(0), action: z.int().min(0) });

function readRule(args: z.output<typeof ruleArgs>) {
  const game = readGame(args.game);
  const { efforts, agents } = sizesOf(game);
  const { agent, action } = args;
  if (agent >= agents)
    throw new InputError("argument agent not valid", { expected: `0 to ${agents - 1}`, got: `${agent}` });
  if (action >= efforts.sizes[agent])
    throw new InputError("argument action not valid", {
      expected: `0 to ${efforts.sizes[agent] - 1}`,
      got: `${action}`,
    });
  return { agent: loneAgent(game, agent), action };
}

/**
 * The cheapest scoring rule γ(s, θ) in [0, M] of one agent that makes an effort and true reports optimal: its expected
 * payment, the rule, and the other efforts that are exactly as good, which keep it from being cheaper. `null` when no
 * payments up to M can do it.
 */
export async function minimalScoringRule(
  args: z.input<typeof ruleArgs>,
): Promise<{ payment: number; rule: number[][]; binding: number[] } | null> {
  const { agent, action } = readRule(functionArgs(ruleArgs, args));
  const found = await scoringProgram(agent, action);
  if (found === null) return null;
  const { signals, states, joint, costs } = agent;
  const paid = (effort: number) => {
    let sum = -costs[effort];
    for (let seen = 0; seen < signals; seen++) {
      let best = 0;
      for (let said = 0; said < signals; said++) {
        let own = 0;
        for (let theta = 0; theta < states; theta++)
          own += joint[(effort * signals + seen) * states + theta] * found.rule[said * states + theta];
        best = Math.max(best, own);
      }
      sum += best;
    }
    return sum;
  };
  const worth = paid(action);
  const binding = [...costs.keys()].filter((effort) => effort !== action && worth - paid(effort) < 1e-7);
  return { payment: found.payment, rule: nestedOf(found.rule, [1, signals, states])[0], binding };
}

/** Expected payment of the cheapest scoring rule of one agent for an effort, or `null`; see `minimalScoringRule`. */
export async function minimalScoringRulePayment(args: z.input<typeof ruleArgs>): Promise<number | null> {
  const { agent, action } = readRule(functionArgs(ruleArgs, args));
  return (await scoringProgram(agent, action))?.payment ?? null;
}

const optimalArgs = gameArgs.extend({ slack: z.number().min(0).default(0) });

/**
 * The best incentive-compatible mechanism with correlated recommendations, a linear program in μ[b], x_i = μ γ_i and the
 * best payments after deviations: its value, `mu[b]`, `gamma[i][b][s][θ]` and the table `decision[b][s]`.
 * Optima are not unique; their value is. `slack` makes obeying better than any other effort by slack · μ(b_i), for chances
 * that are only estimated; `null` when payments cannot buy that much.
 */
export async function optimalMechanism(args: z.input<typeof optimalArgs>): Promise<{
  value: number;
  mu: number[];
  gamma: number[][][][];
  decision: number[][];
} | null> {
  const { game: given, slack } = functionArgs(optimalArgs, args);
  const game = readGame(given);
  const found = await optimalProgram(game, slack);
  if (found === null) return null;
  const { efforts, reports, states } = sizesOf(game);
  const { action } = decisionsOf(game);
  return {
    value: found.value,
    mu: [...found.mu],
    gamma: found.gamma.map((own) => nestedOf(own, [efforts.count, reports.count, states])),
    decision: Array.from({ length: efforts.count }, (_, b) => [
      ...action.subarray(b * reports.count, (b + 1) * reports.count),
    ]),
  };
}

/** Value to the principal of the best correlated mechanism; see `optimalMechanism`. */
export async function optimalMechanismValue(args: z.input<typeof gameArgs>): Promise<number> {
  const found = await optimalProgram(readGame(functionArgs(gameArgs, args).game));
  // Paying nothing for the cheapest efforts is always feasible.
  if (found === null) throw new Error("a feasible program came back as infeasible");
  return found.value;
}

/**
 * Value of the best mechanism without correlation: one fixed joint effort b, each agent paid by a scoring rule of its own
 * report and the state; max_b D(b) − Σ_i cheapest payment_i(b_i).
 */
export async function uncorrelatedMechanismValue(args: z.input<typeof gameArgs>): Promise<number> {
  const game = readGame(functionArgs(gameArgs, args).game);
  const efforts = radix(game.costs.map((costs) => costs.length));
  const cheapest: (number | null)[][] = [];
  for (let i = 0; i < game.costs.length; i++) {
    const agent = loneAgent(game, i);
    cheapest.push([]);
    for (const effort of game.costs[i].keys()) cheapest[i].push((await scoringProgram(agent, effort))?.payment ?? null);
  }
  return decisionsOf(game).worth.reduce((best, worth, b) => {
    const paid = cheapest.map((own, i) => own[digit(efforts, b, i)]);
    return paid.includes(null) ? best : Math.max(best, worth - paid.reduce((sum: number, x) => sum + (x ?? 0), 0));
  }, Number.NEGATIVE_INFINITY);
}

/** What could be had if efforts were seen and signals told: max_b D(b) − Σ_i c_i(b_i), and the joint effort (as index b). */
export function firstBestValue(args: z.input<typeof gameArgs>): { value: number; profile: number } {
  const game = readGame(functionArgs(gameArgs, args).game);
  const { efforts } = sizesOf(game);
  let value = Number.NEGATIVE_INFINITY;
  let profile = 0;
  decisionsOf(game).worth.forEach((worth, b) => {
    const net = worth - game.costs.reduce((sum, costs, i) => sum + costs[digit(efforts, b, i)], 0);
    if (net <= value) return;
    value = net;
    profile = b;
  });
  return { value, profile };
}

export const hiringAgents = defineMethod({
  id: "hiring-agents",
  title: "Hiring multiple agents: paying for effort and honest reports",
  summary:
    "Pays agents by a scoring rule under which working as recommended and reporting the truth is best for each of them, and finds the cheapest such rule by linear programming.",
  facts: {
    paper: {
      title: "Online Information Acquisition: Hiring Multiple Agents",
      arxiv: "2307.06210",
      date: "2023-07",
      repo: null,
    },
    headline:
      "An optimal incentive-compatible mechanism in polynomial time, and regret of order T^(2/3) when it has to be learned; optimal mechanisms correlate efforts.",
    granularity: "agent",
    methodology: ["mechanism", "game-theory"],
    checked: "no official code found; optima checked against every unilateral deviation, violation at most 1e-15",
    reconstructed: [
      "uncorrelated mechanisms recommend one fixed joint effort",
      "slack against estimated chances",
      "columns of the credit rule",
    ],
  },
  equations: [
    {
      text: "D(b) = Σ_s max_a Σ_θ P(s,θ|b) u(a,θ)",
      tex: "D(b) = \\sum_s \\max_a \\sum_\\theta P(s,\\theta|b)\\,u(a,\\theta)",
    },
    {
      text: "max Σ_b μ[b] D(b) − Σ_i Σ P(s,θ|b) x_i[b,s,θ]",
      tex: "\\max \\sum_b \\mu_b D(b) - \\sum_i \\sum_{b,s,\\theta} P(s,\\theta|b)\\,x_i[b,s,\\theta]",
    },
    {
      text: "so that no b'_i and no report pays more, 0 ≤ x_i ≤ M μ[b]; γ_i = x_i / μ[b]",
      tex: "0 \\le x_i \\le M\\mu_b,\\quad \\gamma_i = x_i/\\mu_b",
    },
  ],
  params,
  reads: ["turns.agent", "turns.effort", "turns.report", "signals.state"],
  writes: ["turns.reward", "rollout.principal_utility"],
  scope: "rollout",
  functions: {
    mechanismValue,
    icGain,
    minimalScoringRule,
    minimalScoringRulePayment,
    optimalMechanism,
    optimalMechanismValue,
    uncorrelatedMechanismValue,
    firstBestValue,
  },
  assign,
});

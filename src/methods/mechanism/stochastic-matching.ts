import { z } from "zod";
import {
  type Dispatched,
  discounts,
  dispatchRules,
  expectedOf,
  type Market,
  type RuleOptions,
  runRule,
} from "../../mechanisms/dispatch.ts";
import {
  adaptiveValue,
  configurationProgram,
  type Dispatch,
  dispatchRegrets,
  matchingProgram,
} from "../../mechanisms/dispatch-benchmarks.ts";
import { type Batch, describe, InputError } from "../../rollouts/index.ts";
import { functionArgs, probability } from "../arguments.ts";
import { defineMethod } from "../method.ts";
import { requireLength } from "./tensors.ts";

const params = z.object({
  weights: z
    .record(z.string(), z.number().positive())
    .default({})
    .describe("value of one success of an agent, by its name; 1 for agents that are not named"),
});
type Params = z.output<typeof params>;

/** Probabilities of success of the agents that a dispatch could go to: a number speaks of the chosen agent alone. */
function candidatesOf(cell: unknown, agent: string | null, wrong: (got: string) => InputError): Map<string, number> {
  const given = typeof cell === "number" ? (agent === null ? {} : { [agent]: cell }) : cell;
  if (given === null || typeof given !== "object" || Array.isArray(given)) throw wrong(describe(cell));
  return new Map(
    Object.entries(given).map(([name, chance]: [string, unknown]) => {
      if (typeof chance !== "number" || !(chance >= 0 && chance <= 1)) throw wrong(`${name}: ${describe(chance)}`);
      return [name, chance];
    }),
  );
}

interface Arrival {
  row: number;
  agent: string | null;
  success: boolean;
  candidates: Map<string, number>;
}

/** The dispatches of one rollout; rows without `success_prob` are none. */
function arrivalsOf(batch: Batch, i: number): Arrival[] {
  const offsets = batch.offsets("turn");
  const path = "turns.success_prob";
  const probabilities = batch.cells(path);
  const agents = batch.cells("turns.agent");
  const successes = batch.cells("turns.success");
  const arrivals: Arrival[] = [];
  for (let row = offsets[i]; row < offsets[i + 1]; row++) {
    if (probabilities[row] === null) continue;
    const wrong = (got: string) =>
      batch.wrongValue(path, row, "a probability, or an object of probabilities by agent", got);
    const agent = agents[row] === null ? null : String(agents[row]);
    const success = successes[row];
    if (success !== 0 && success !== 1 && success !== null)
      throw batch.wrongValue("turns.success", row, "0 or 1", describe(success));
    const candidates = candidatesOf(probabilities[row], agent, wrong);
    if (success === 1 && (candidates.get(agent ?? "") ?? 0) === 0)
      throw batch.wrongValue("turns.success", row, "no success where its probability is 0", "1");
    arrivals.push({ row, agent, success: success === 1, candidates });
  }
  return arrivals;
}

/** The arrivals of a rollout as a market; agents in order of their names. */
function marketOf(arrivals: readonly Arrival[], weights: Params["weights"]): { market: Market; names: string[] } {
  const names = [...new Set(arrivals.flatMap(({ candidates }) => [...candidates.keys()]))].sort();
  const p = new Float64Array(names.length * arrivals.length);
  arrivals.forEach(({ candidates }, v) => {
    for (const [name, chance] of candidates) p[names.indexOf(name) * arrivals.length + v] = chance;
  });
  const values = Float64Array.from(names, (name) => weights[name] ?? 1);
  return { market: { offline: names.length, arrivals: arrivals.length, p, weights: values }, names };
}

/** What was done at each arrival. An agent that has succeeded, or could not, takes no further attempt. */
function dispatchesOf(arrivals: readonly Arrival[], names: readonly string[]): Dispatch[] {
  let open = 2 ** names.length - 1;
  return arrivals.map(({ agent, success, candidates }) => {
    const u = names.indexOf(agent ?? "");
    const tried = u >= 0 && ((open >> u) & 1) === 1 && candidates.get(names[u]) !== undefined;
    const dispatch = { u: tried ? u : -1, open };
    if (tried && success) open &= ~(1 << u);
    return dispatch;
  });
}

/**
 * Regret of every dispatch of a log (arXiv 2309.10289; item 8 of the card): the value of the best adaptive policy before
 * it, less that of the choice, for the same arrivals. `turns.success_prob` holds the chances of all candidates by name; a
 * number is the chance of the chosen agent, nobody else being there. Rows with null are no dispatches and get null.
 */
function assign(batch: Batch, p: Params): Batch {
  const regret = batch.zeros("turn");
  const valid = new Uint8Array(regret.length);
  const offsets = batch.offsets("turn");
  for (let i = 0; i < batch.size; i++) {
    if (offsets[i] === offsets[i + 1]) continue;
    for (const path of ["turns.agent", "turns.success_prob", "turns.success"]) {
      if (!batch.hasIn(path, i)) throw batch.missing(path, i);
    }
    const arrivals = arrivalsOf(batch, i);
    const { market, names } = marketOf(arrivals, p.weights);
    try {
      const regrets = dispatchRegrets(market, dispatchesOf(arrivals, names));
      arrivals.forEach(({ row }, v) => {
        regret[row] = regrets[v];
        valid[row] = 1;
      });
    } catch (error) {
      throw error instanceof InputError ? error.located({ rollout: batch.ids[i] }) : error;
    }
  }
  return batch.with({ "turns.dispatch_regret": { values: regret, valid: valid.includes(0) ? valid : null } });
}

const marketArgs = z.object({
  p: z.array(z.array(probability)),
  weights: z.array(z.number().positive()).nullable().default(null),
});

function readMarket(args: z.output<typeof marketArgs>): Market {
  const offline = args.p.length;
  const arrivals = args.p[0]?.length ?? 0;
  args.p.forEach((row, u) => {
    requireLength(row, arrivals, `p.${u}`);
  });
  if (args.weights !== null) requireLength(args.weights, offline, "weights");
  const weights = args.weights === null ? new Float64Array(offline).fill(1) : Float64Array.from(args.weights);
  return { offline, arrivals, p: Float64Array.from(args.p.flat()), weights };
}

const ruleArgs = marketArgs.extend({
  rule: z.enum(dispatchRules).default("stochastic_balance"),
  discount: z.enum(discounts).default("exp"),
  ranks: z.array(probability).nullable().default(null),
});

function readRule({ rule, discount, ranks }: z.output<typeof ruleArgs>, market: Market): RuleOptions {
  if (rule === "ranking" && ranks === null)
    throw new InputError("argument ranks is missing", {
      expected: "one per offline vertex, drawn once, for rule ranking",
    });
  if (ranks !== null) requireLength(ranks, market.offline, "ranks");
  return { rule, discount, ranks };
}

const runArgs = ruleArgs.extend({ coins: z.array(z.array(z.number().min(0).lt(1))) });

/**
 * Runs a dispatch rule: arrival v is tried on the open vertex u with p_uv > 0 of the largest score (a later one must
 * exceed by more than 1e-12), and succeeds when coins[u][v] < p_uv; a success closes u and pays its weight. Scores:
 * `stochastic_balance` w_u p_uv d(load_u) with d(x) = e^−x (`exp`) or max(0, 1 − e^(x−1)) (`one-minus-exp`), load_u the
 * sum of p over its attempts; `least_load` −load_u; `ranking` w_u p_uv (1 − e^(rank_u − 1)); `greedy` w_u p_uv.
 */
export function stochasticMatchingRun(args: z.input<typeof runArgs>): Dispatched {
  const given = functionArgs(runArgs, args);
  const market = readMarket(given);
  requireLength(given.coins, market.offline, "coins");
  given.coins.forEach((row, u) => {
    requireLength(row, market.arrivals, `coins.${u}`);
  });
  return runRule(market, given.coins.flat(), readRule(given, market));
}

/** Exact expected reward of a rule: every attempt is followed into success and failure, equal states are joined. */
export function expectedReward(args: z.input<typeof ruleArgs>): number {
  const given = functionArgs(ruleArgs, args);
  const market = readMarket(given);
  return expectedOf(market, readRule(given, market));
}

/**
 * The stochastic benchmark: expected reward of the best adaptive policy that knows arrivals and probabilities but no
 * outcomes. At most 20 offline vertices and 40 arrivals.
 */
export function adaptiveOptimum(args: z.input<typeof marketArgs>): number {
  return adaptiveValue(readMarket(functionArgs(marketArgs, args)));
}

/** max Σ w_u p_uv x_uv with Σ_v p_uv x_uv ≤ 1 for every u and Σ_u x_uv ≤ 1 for every v. */
export async function matchingLp(args: z.input<typeof marketArgs>): Promise<number> {
  return matchingProgram(readMarket(functionArgs(marketArgs, args)));
}

/**
 * max Σ w_u min(1, Σ_{v in S} p_uv) x_uS over sets S of neighbours, with Σ_S x_uS ≤ 1 for every u and
 * Σ_u Σ_{S ∋ v} x_uS ≤ 1 for every v. At most 14 neighbours per offline vertex.
 */
export async function configurationLp(args: z.input<typeof marketArgs>): Promise<number> {
  return configurationProgram(readMarket(functionArgs(marketArgs, args)), false);
}

/**
 * As `configurationLp` with S as what is offered to u, in order of arrival, while it does not succeed:
 * max Σ w_u (1 − Π_{v in S} (1 − p_uv)) x_uS, Σ_u Σ_{S ∋ v} x_uS Π_{v' in S, v' < v} (1 − p_uv') ≤ 1. It bounds
 * `adaptiveOptimum` from above.
 */
export async function stochasticConfigurationLp(args: z.input<typeof marketArgs>): Promise<number> {
  return configurationProgram(readMarket(functionArgs(marketArgs, args)), true);
}

export const stochasticMatching = defineMethod({
  id: "stochastic-matching",
  title: "Online matching with stochastic rewards: dispatching tasks to agents",
  summary:
    "Measures every dispatch of a task to an agent against the best adaptive policy for the same arrivals, and runs the rules and linear programs of online matching where attempts may fail.",
  facts: {
    paper: {
      title: "Online Matching with Stochastic Rewards: Advanced Analyses Using Configuration Linear Programs",
      arxiv: "2309.10289",
      date: "2023-09",
      repo: null,
    },
    headline:
      "Stochastic Balance reaches 0.611 of the stochastic benchmark for vanishing success probabilities, 0.613 when they are also equal (0.596 before).",
    granularity: "turn",
    methodology: ["game-theory", "mechanism"],
    checked: "no official code found; balance ≤ adaptive optimum ≤ linear programs on 150 random graphs",
    reconstructed: [
      "the stochastic configuration program",
      "the discount of Stochastic Balance",
      "the regret of a dispatch",
    ],
  },
  equations: [
    { text: "score = w_u p_uv d(load_u), d(x) = e^−x", tex: "w_u\\,p_{uv}\\,d(\\ell_u),\\quad d(x) = e^{-x}" },
    {
      text: "f(v, A) = max(f(v+1, A), max_u p_uv (w_u + f(v+1, A∖u)) + (1 − p_uv) f(v+1, A))",
      tex: "f(v,A) = \\max\\{f(v{+}1,A), \\max_{u \\in A} p_{uv}(w_u + f(v{+}1,A\\setminus u)) + (1-p_{uv})f(v{+}1,A)\\}",
    },
    {
      text: "regret = f(v, A) − value of the choice",
      tex: "\\rho_v = f(v,A) - [p_{uv}(w_u + f(v{+}1,A\\setminus u)) + (1-p_{uv})f(v{+}1,A)]",
    },
  ],
  params,
  reads: ["turns.agent", "turns.success_prob", "turns.success"],
  writes: ["turns.dispatch_regret"],
  scope: "rollout",
  functions: {
    stochasticMatchingRun,
    expectedReward,
    adaptiveOptimum,
    matchingLp,
    configurationLp,
    stochasticConfigurationLp,
  },
  assign,
});

import { assign } from "../../methods/assign.ts";
import { beamSearch, softQ } from "../../methods/implicit/token-tree.ts";
import { pearson } from "../../operators/ranking.ts";
import { sigmoid, softplus } from "../../operators/scalars.ts";
import { batchFromObjects } from "../../rollouts/index.ts";
import { gaussian } from "../gaussian.ts";
import { Random } from "../random.ts";
import { SoftmaxTable } from "../softmax-table.ts";
import { against, atLeast, atMost } from "./bounds.ts";
import type { Experiment, Scale, Summary } from "./experiment.ts";

const symbols = 4;
const depth = 3;
const sequences = symbols ** depth;
const pairs = 8000;

/** Rewards of every prefix and symbol, per depth, and a uniform reference. */
function drawTree(random: Random, levels: number) {
  const matrix = (d: number, draw: () => number) =>
    Array.from({ length: symbols ** d }, () => Array.from({ length: symbols }, draw));
  const depths = Array.from({ length: levels }, (_, d) => d);
  return {
    reward: depths.map((d) => matrix(d, () => gaussian(random))),
    ref: depths.map((d) => matrix(d, () => 1 / symbols)),
  };
}

/** Symbols of sequence s, and the row of every prefix: rows of depth d follow those of the depths above. */
function pathOf(s: number): { row: number; symbol: number }[] {
  let before = 0;
  return Array.from({ length: depth }, (_, d) => {
    const prefix = Math.floor(s / symbols ** (depth - d));
    const row = before + prefix;
    before += symbols ** d;
    return { row, symbol: Math.floor(s / symbols ** (depth - d - 1)) % symbols };
  });
}
const paths = Array.from({ length: sequences }, (_, s) => pathOf(s));

/** How often sequence a was preferred to sequence b. */
function drawPairs(returns: readonly number[], random: Random): Float64Array {
  const wins = new Float64Array(sequences * sequences);
  for (let n = 0; n < pairs; n++) {
    const [a, b] = [random.below(sequences), random.below(sequences)];
    const [won, lost] = random.uniform() < sigmoid(returns[a] - returns[b]) ? [a, b] : [b, a];
    wins[won * sequences + lost]++;
  }
  return wins;
}

const ratios = (policy: SoftmaxTable) =>
  paths.map((path) =>
    path.reduce((sum, { row, symbol }) => sum + policy.logProbability(row, symbol) + Math.log(symbols), 0),
  );

/** DPO with beta 1: full-batch ascent until the loss changes by less than 1e-5. */
function trainDpo(wins: Float64Array, most: number): SoftmaxTable {
  const policy = new SoftmaxTable(1 + symbols + symbols * symbols, symbols);
  let before = Number.POSITIVE_INFINITY;
  for (let step = 0; step < most; step++) {
    const ratio = ratios(policy);
    const pull = new Float64Array(sequences);
    let loss = 0;
    for (let k = 0; k < wins.length; k++) {
      if (wins[k] === 0) continue;
      const [a, b] = [Math.floor(k / sequences), k % sequences];
      const margin = ratio[a] - ratio[b];
      loss += (wins[k] * softplus(-margin)) / pairs;
      const weight = (wins[k] * sigmoid(-margin)) / pairs;
      pull[a] += weight;
      pull[b] -= weight;
    }
    if (before - loss < 1e-5) break;
    before = loss;
    paths.forEach((path, s) => {
      for (const { row, symbol } of path) policy.accumulate(row, symbol, pull[s]);
    });
    policy.ascend(5);
  }
  return policy;
}

function credit(seed: number, scale: Scale): Record<string, number> {
  const random = new Random(seed);
  const { reward, ref } = drawTree(random, depth);
  const { value } = softQ({ reward, ref, beta: 1 });
  // By row and symbol: the reward, and the reward shaped by the soft value of what follows.
  const raw = reward.flat(2);
  const shaped = reward.flatMap((matrix, d) =>
    matrix.flatMap((row, s) => row.map((r, a) => r + (value[d + 1]?.[s * symbols + a] ?? 0) - value[d][s])),
  );
  const returns = paths.map((path) => path.reduce((sum, { row, symbol }) => sum + raw[row * symbols + symbol], 0));
  const wins = drawPairs(returns, random);
  const policy = trainDpo(wins, scale === "full" ? 5000 : 20);
  const rollouts = paths.map((path, s) => ({
    id: `${s}`,
    tokens: {
      logprob: path.map(({ row, symbol }) => policy.logProbability(row, symbol)),
      ref_logprob: path.map(() => -Math.log(symbols)),
    },
  }));
  const result = assign(batchFromObjects(rollouts), "r-to-q", { beta: 1 });
  const implicit = result.numbers("tokens.reward");
  const learned = new Float64Array(raw.length);
  paths.forEach((path, s) => {
    path.forEach(({ row, symbol }, t) => {
      learned[row * symbols + symbol] = implicit[s * depth + t];
    });
  });
  const total = result.numbers("rollout.implicit_reward");
  let [chosen, rejected] = [0, 0];
  wins.forEach((count, k) => {
    chosen += (count * total[Math.floor(k / sequences)]) / pairs;
    rejected += (count * total[k % sequences]) / pairs;
  });
  return {
    "correlation with the shaped reward": pearson(learned, shaped) ?? 0,
    "correlation with the raw reward": pearson(learned, raw) ?? 0,
    "implicit reward of chosen responses": chosen,
    "implicit reward of rejected responses": rejected,
  };
}

const widths = [256, 5, 1] as const;

/** Share of exact soft-optimal policies on which beam search finds the sequence of largest return. */
function search(seed: number, trees: number): Record<string, number> {
  const random = new Random(seed + 1000);
  const found: Record<number, number> = { 256: 0, 5: 0, 1: 0 };
  for (let n = 0; n < trees; n++) {
    const { reward, ref } = drawTree(random, 4);
    const { policy } = softQ({ reward, ref, beta: 1 });
    const logprob = policy.map((matrix) => matrix.map((row) => row.map((p) => Math.min(Math.log(p), 0))));
    let best = Number.NEGATIVE_INFINITY;
    const returnOf = (sequence: readonly number[]) => {
      let row = 0;
      return sequence.reduce((sum, a, d) => {
        const r = reward[d][row][a];
        row = row * symbols + a;
        return sum + r;
      }, 0);
    };
    for (let s = 0; s < symbols ** 4; s++)
      best = Math.max(best, returnOf([64, 16, 4, 1].map((unit) => Math.floor(s / unit) % symbols)));
    for (const width of widths)
      if (returnOf(beamSearch({ logprob, width }).sequence) >= best - 1e-9) found[width] += 1 / trees;
  }
  return Object.fromEntries(widths.map((width) => [`best sequence found, width ${width}`, found[width]]));
}

function findings(summary: Summary) {
  const share = summary.share((m) => m["correlation with the shaped reward"] > m["correlation with the raw reward"]);
  return [
    atLeast(summary, "correlation with the shaped reward", 0.8),
    {
      expected: "in every seed higher than the correlation with the raw reward",
      measured: against(summary, "correlation with the shaped reward", "correlation with the raw reward"),
      holds: share === 1,
      kind: "claim" as const,
    },
    atMost(summary, "implicit reward of chosen responses", 0),
    {
      expected: "the margin between chosen and rejected responses is positive",
      measured: against(summary, "implicit reward of chosen responses", "implicit reward of rejected responses"),
      holds:
        summary.share((m) => m["implicit reward of chosen responses"] > m["implicit reward of rejected responses"]) ===
        1,
      kind: "claim" as const,
    },
    atLeast(summary, "best sequence found, width 256", 1 - 1e-9),
    atLeast(summary, "best sequence found, width 5", 0.95),
    atMost(summary, "best sequence found, width 1", 0.8),
  ];
}

/** What DPO learns per token is the advantage, and likelihood search under the optimal policy is value search. */
export const experiment: Experiment = {
  id: "r-to-q",
  version: 1,
  claim:
    "The log-ratio of a DPO policy is the reward shaped by the soft value, not the reward; and beam search by " +
    "likelihood under the soft-optimal policy finds the sequence of largest return.",
  environment:
    "Trees of 4 symbols with N(0, 1) rewards and a uniform reference: depth 3 with 8000 preference pairs and a DPO " +
    "policy per prefix; depth 4 with the exact soft-optimal policy of 200 trees.",
  baseline: "the raw token reward; greedy search",
  seeds: 6,
  trial: (seed, scale) => ({
    measures: { ...credit(seed, scale), ...search(seed, scale === "full" ? 200 : 5) },
  }),
  findings,
  plots: [
    {
      kind: "bars",
      title: "Correlation of implicit token rewards",
      y: "correlation",
      measures: ["correlation with the shaped reward", "correlation with the raw reward"],
    },
    {
      kind: "bars",
      title: "Best sequence found, by width of the beam",
      y: "share",
      measures: widths.map((width) => `best sequence found, width ${width}`),
    },
  ],
  notes: "The gradient is the mean over pairs, followed at rate 5.",
};

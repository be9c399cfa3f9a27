import { leaveOneOut, shapleyExact, shapleyPermutation } from "../../methods/counterfactual/coalitions.ts";
import { Random } from "../random.ts";
import { atMost } from "./bounds.ts";
import type { Experiment, Scale, Trial } from "./experiment.ts";

const games = 1000;
const largestWeight = 10;
const sampledPlayers = 8;
const orders = [10, 40, 160, 640];
const repeats = 10;
const card = [0.097, 0.047, 0.026, 0.012];

/** Value of every coalition of a weighted majority game: 1 when it holds more than half of all weights. */
function majorityGame(players: number, random: Random): number[] {
  const weights = Array.from({ length: players }, () => 1 + random.below(largestWeight));
  const total = weights.reduce((sum, w) => sum + w, 0);
  return Array.from({ length: 2 ** players }, (_, coalition) => {
    const held = weights.reduce((sum, w, p) => sum + ((coalition >> p) & 1 ? w : 0), 0);
    return 2 * held > total ? 1 : 0;
  });
}

function permutation(players: number, random: Random): number[] {
  const order = Array.from({ length: players }, (_, p) => p);
  for (let i = players - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}

/** Root mean squared error of the sampled credit over players, games and draws. */
function sampledError(count: number, random: Random): number {
  let squares = 0;
  for (let r = 0; r < repeats; r++) {
    const values = majorityGame(sampledPlayers, random);
    const exact = shapleyExact({ n: sampledPlayers, values });
    const permutations = Array.from({ length: count }, () => permutation(sampledPlayers, random));
    const sampled = shapleyPermutation({ n: sampledPlayers, values, permutations });
    squares += sampled.reduce((sum, x, p) => sum + (x - exact[p]) ** 2, 0);
  }
  return Math.sqrt(squares / (repeats * sampledPlayers));
}

const sum = (numbers: readonly number[]) => numbers.reduce((total, x) => total + x, 0);

function trial(seed: number, scale: Scale): Trial {
  const random = new Random(seed);
  const count = scale === "full" ? games : 50;
  let offEfficient = 0;
  let silent = 0;
  let total = 0;
  for (let g = 0; g < count; g++) {
    const values = majorityGame(5, random);
    offEfficient = Math.max(offEfficient, Math.abs(sum(shapleyExact({ n: 5, values })) - 1));
    const without = sum(leaveOneOut({ n: 5, values }));
    if (without === 0) silent++;
    total += without;
  }
  const measures: Record<string, number> = {
    "Shapley sum off 1": offEfficient,
    "leave-one-out sums to 0": silent / count,
    "mean sum of leave-one-out": total / count,
  };
  for (const m of orders) measures[`error, M = ${m}`] = sampledError(m, random);
  return { measures };
}

/** Shapley shares the outcome out; leaving one out sees nothing when players can replace each other. */
export const experiment: Experiment = {
  id: "shapley",
  version: 1,
  claim:
    "In majority games Shapley credits sum to the outcome and leave-one-out to 0 almost always; the error of sampled " +
    "orders falls with the square root of their number.",
  environment:
    "Weighted majority games of 5 players, weights 1 to 10 drawn evenly, 1000 per seed; sampling on games of 8 " +
    "players, 10 games per seed and number of orders. Nothing is trained.",
  baseline: "leave-one-out",
  seeds: 10,
  trial,
  findings: (summary) => {
    const error = orders.map((m) =>
      Math.sqrt(sum(summary.values(`error, M = ${m}`).map((x) => x * x)) / summary.trials.length),
    );
    const slopes = error.slice(1).map((x, k) => Math.log(x / error[k]) / Math.log(orders[k + 1] / orders[k]));
    return [
      atMost(summary, "Shapley sum off 1", 1e-12, { digits: 15 }),
      {
        expected: "leave-one-out sums to 0 in at least 95 % of the games (card: 98 %, mean sum 0.02)",
        measured: `${(100 * summary.mean("leave-one-out sums to 0")).toFixed(1)} %, mean sum ${summary.text("mean sum of leave-one-out", 3)}`,
        holds: summary.mean("leave-one-out sums to 0") >= 0.95,
        kind: "claim",
      },
      {
        expected: `the error falls as one over the root of M (exponent −0.5 ± 0.1 between neighbours; card: ${card.join(", ")})`,
        measured: `${error.map((x) => x.toFixed(3)).join(", ")}; exponents ${slopes.map((x) => x.toFixed(2)).join(", ")}`,
        holds: slopes.every((slope) => Math.abs(slope + 0.5) <= 0.1),
        kind: "claim",
      },
    ];
  },
  plots: [
    {
      kind: "bars",
      title: "Error of sampled Shapley credits",
      y: "RMSE",
      measures: orders.map((m) => `error, M = ${m}`),
    },
  ],
  notes:
    "The card leaves the weights open; whole numbers from 1 to 10 make one player a dictator about as often as in " +
    "the card.",
};

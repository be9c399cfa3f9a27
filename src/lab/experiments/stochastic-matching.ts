import {
  adaptiveOptimum,
  configurationLp,
  expectedReward,
  matchingLp,
  stochasticConfigurationLp,
  stochasticMatchingRun,
} from "../../methods/mechanism/stochastic-matching.ts";
import { Random } from "../random.ts";
import type { Experiment, Scale, Trial } from "./experiment.ts";

const size = 30;
const groupSize = 40;
const chance = 0.025;
const graphs = 2;

/** Group j may be served by the vertices 0 to size − 1 − j: the last vertex expires first. */
function triangle(vertices: number): number[][] {
  return Array.from({ length: vertices }, (_, u) =>
    Array.from({ length: vertices * groupSize }, (_, v) =>
      u <= vertices - 1 - Math.floor(v / groupSize) ? chance : 0,
    ),
  );
}

const arms = ["greedy", "ranking", "balance", "adaptive"] as const;

/** Share of the vertices that each rule serves, all on the same coins. */
function served(vertices: number, random: Random): Record<(typeof arms)[number], number> {
  const p = triangle(vertices);
  const coins = p.map((row) => row.map(() => random.uniform()));
  const ranks = p.map(() => random.uniform());
  const greedy = { rule: "greedy" as const };
  return {
    greedy: stochasticMatchingRun({ ...greedy, p, coins }).reward / vertices,
    ranking: stochasticMatchingRun({ rule: "ranking", p, coins, ranks }).reward / vertices,
    balance: stochasticMatchingRun({ rule: "stochastic_balance", p, coins }).reward / vertices,
    // First fit takes the first open vertex: in reverse order that is the one that expires soonest.
    adaptive: stochasticMatchingRun({ ...greedy, p: p.toReversed(), coins: coins.toReversed() }).reward / vertices,
  };
}

/**
 * By how much the order of rule, adaptive optimum and programs is broken on a random graph; 0 or less when it holds.
 */
async function disorder(random: Random): Promise<number> {
  const [offline, arrivals] = [1 + random.below(3), 1 + random.below(6)];
  const p = Array.from({ length: offline }, () =>
    Array.from({ length: arrivals }, () => (random.uniform() < 0.7 ? random.uniform() : 0)),
  );
  const rule = expectedReward({ rule: "stochastic_balance", p });
  const adaptive = adaptiveOptimum({ p });
  const stochastic = await stochasticConfigurationLp({ p });
  const [configuration, matching] = [await configurationLp({ p }), await matchingLp({ p })];
  return Math.max(rule - adaptive, adaptive - stochastic, stochastic - matching, configuration - matching);
}

async function trial(seed: number, scale: Scale): Promise<Trial> {
  const random = new Random(seed);
  const measures: Record<string, number> = { ...served(scale === "full" ? size : 4, random) };
  const found: number[] = [];
  for (let k = 0; k < graphs; k++) found.push(await disorder(random));
  measures["largest disorder"] = Math.max(...found);
  return { measures };
}

/** Trying the neighbour that was burdened least comes close to what could have been achieved. */
export const experiment: Experiment = {
  id: "stochastic-matching",
  version: 1,
  claim:
    "Stochastic Balance serves at least 0.611 of what an adaptive policy with knowledge of the arrivals serves, and " +
    "clearly more than first fit; rule, optimum and linear programs keep their order.",
  environment:
    "Triangular instance: 30 offline vertices, 30 groups of 40 arrivals that succeed with 0.025, group j next to the " +
    "first 30 − j vertices. And two random graphs per seed with up to 3 × 6 vertices.",
  baseline: "first-fit greedy, Ranking, and the adaptive policy that serves the open vertex that expires soonest",
  seeds: 60,
  trial,
  findings: (summary) => {
    const [greedy, ranking, balance, adaptive] = arms.map((arm) => summary.mean(arm));
    const breach = summary.max("largest disorder");
    return [
      {
        expected: "balance / adaptive at least 0.611 (0.715)",
        measured: `${balance.toFixed(3)} / ${adaptive.toFixed(3)} = ${(balance / adaptive).toFixed(3)}`,
        holds: balance / adaptive >= 0.611,
        kind: "claim",
      },
      {
        expected: "balance at least 0.572 of the matching program's 30 (0.631)",
        measured: summary.text("balance", 3),
        holds: balance >= 0.572,
        kind: "claim",
      },
      {
        expected: "greedy at least 0.08 below balance (0.502)",
        measured: `${greedy.toFixed(3)} against ${balance.toFixed(3)} (Ranking ${ranking.toFixed(3)})`,
        holds: balance - greedy >= 0.08,
        kind: "claim",
      },
      {
        expected: "random graphs: balance ≤ adaptive optimum ≤ stochastic program ≤ matching program, to 1e-7",
        measured: `largest breach ${breach.toExponential(1)} on ${summary.trials.length * graphs} graphs`,
        holds: breach <= 1e-7,
        kind: "claim",
      },
    ];
  },
  plots: [{ kind: "bars", title: "Share of the offline vertices served", y: "share", measures: [...arms] }],
  notes:
    "All rules see the same coins. The value 30 of the matching program is that of one full load per vertex. The " +
    "order meant by the second check is that of the card's guaranteed orders: the configuration program without " +
    "chance may lie below the adaptive optimum and is only compared with the matching program.",
};

import fc from "fast-check";
import { expect, test } from "vitest";
import {
  adversarialReward,
  bradleyTerry,
  countBonus,
  goalRewards,
  owenCredit,
  returnDecomposition,
  rndBonus,
  shapleyCredit,
} from "../../src/methods/shaping/dense-sources.ts";
import { maxEntIrlGradient } from "../../src/methods/shaping/max-entropy.ts";
import {
  graphAutoencoderLoss,
  graphPotential,
  spectrumSimilarity,
  stateGraph,
} from "../../src/methods/shaping/state-graph.ts";
import { solveLinear } from "../../src/operators/linear.ts";
import { InputError, type RolloutObject } from "../../src/rollouts/index.ts";
import { credit } from "./credit.ts";

const number = fc.integer({ min: -16, max: 16 }).map((x) => x / 8);
const list = <T>(of: fc.Arbitrary<T>, length: number) => fc.array(of, { minLength: length, maxLength: length });

/** Undirected graphs without loops. */
const graphs = fc
  .integer({ min: 1, max: 6 })
  .chain((n) =>
    list(list(fc.constantFrom(0, 0, 1, 2, 5), n), n).map((rows) =>
      rows.map((row, u) => row.map((_, v) => (u === v ? 0 : rows[Math.min(u, v)][Math.max(u, v)]))),
    ),
  );

test("shaping changes the return by the first potential, and by the last one where an episode was cut off", () => {
  const rows = fc.array(fc.tuple(number, number), { minLength: 1, maxLength: 5 });
  fc.assert(
    fc.property(rows, fc.constantFrom(0, 0.5, 1), fc.constantFrom("zero", "own"), (given, gamma, terminal) => {
      const potential = given.map(([phi]) => phi);
      const reward = given.map(([, r]) => r);
      const rollout: RolloutObject = { id: "a", turns: { potential, reward } };
      const [shaped] = credit("dense-rewards", [rollout], { gamma, terminal }, "rollout.return_shaped");
      const plain = reward.reduce((sum, r, t) => sum + gamma ** t * r, 0);
      const last = terminal === "own" ? gamma ** given.length * potential[given.length - 1] : 0;
      expect(shaped).toBeCloseTo(plain - potential[0] + last, 9);
    }),
  );
  const empty: RolloutObject = { id: "e", reward: 1, turns: { potential: [] } };
  expect(credit("dense-rewards", [empty], {}, "rollout.return_shaped")).toEqual([0]);
  const single: RolloutObject = { id: "s", reward: 1, turns: { potential: [0.25] } };
  expect(credit("dense-rewards", [single], { weight: 2 }, "turns.reward_shaped")).toEqual([0.5]);
  expect(() =>
    credit("dense-rewards", [{ id: "lost", reward: 1, turns: { reward: [1] } }], {}, "turns.reward_shaped"),
  ).toThrow(/lost.*potential/);
  expect(() =>
    credit("dense-rewards", [{ id: "n", reward: 1, turns: { potential: [1, null] } }], {}, "turns.reward_shaped"),
  ).toThrow(/row 1/);
});

/** Expected steps of the walk from every node of a component until it meets `to`. */
function hittingTimes(weights: number[][], nodes: number[], to: number): Map<number, number> {
  const others = nodes.filter((u) => u !== to);
  const size = others.length;
  const degree = (u: number) => weights[u].reduce((a, b) => a + b, 0);
  const values = Float64Array.from({ length: size * size }, (_, k) => {
    const [u, v] = [others[Math.floor(k / size)], others[k % size]];
    return (u === v ? 1 : 0) - weights[u][v] / degree(u);
  });
  const times = solveLinear({ rows: size, columns: size, values }, new Array(size).fill(1)) ?? [];
  return new Map([...others.map((u, i) => [u, times[i]] as const), [to, 0]]);
}

test("the potential is the commute time of the random walk, there and back", () => {
  fc.assert(
    fc.property(graphs, fc.nat(5), (weights, pick) => {
      const goal = pick % weights.length;
      const reached = [goal];
      for (const u of reached) {
        for (const v of weights.keys()) if (weights[u][v] > 0 && !reached.includes(v)) reached.push(v);
      }
      const there = hittingTimes(weights, reached, goal);
      const commute = weights.map((_, u) =>
        reached.includes(u) && u !== goal
          ? (there.get(u) ?? 0) + (hittingTimes(weights, reached, u).get(goal) ?? 0)
          : 0,
      );
      const most = Math.max(...commute);
      graphPotential({ weights, goal }).forEach((phi, u) => {
        expect(phi).toBeCloseTo(u === goal ? 0 : reached.includes(u) ? -commute[u] / most : -1, 8);
      });
    }),
  );
  expect(
    graphPotential({
      weights: [
        [0, 0],
        [0, 0],
      ],
      goal: 1,
    }),
  ).toEqual([-1, 0]);
  expect(
    graphPotential({
      weights: [
        [0, 1e-150],
        [1e-150, 0],
      ],
      goal: 0,
    }),
  ).toEqual([0, -1]);
});

test("graphs that are none are refused", () => {
  const refused = [
    () =>
      graphPotential({
        weights: [
          [0, 1],
          [2, 0],
        ],
        goal: 0,
      }),
    () =>
      graphPotential({
        weights: [
          [0, -1],
          [-1, 0],
        ],
        goal: 0,
      }),
    () =>
      graphPotential({
        weights: [
          [0, 1],
          [1, 0],
        ],
        goal: 2,
      }),
    () => graphPotential({ weights: [[0, 1]], goal: 0 }),
    () =>
      graphAutoencoderLoss({
        embedding: [[1], [1]],
        weights: [
          [0, 1],
          [2, 0],
        ],
      }),
    () =>
      spectrumSimilarity({
        a: [
          [0, 1],
          [2, 0],
        ],
        b: [[0]],
      }),
    () => spectrumSimilarity({ a: [], b: [[0]] }),
    () => stateGraph({ states: [[0], [0, 1]], radius: 1 }),
  ];
  for (const call of refused) expect(call).toThrow(InputError);
});

test("a walk's graph: every state is as near to its node as the radius says, and steps are counted once each way", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(number, number), { maxLength: 12 }),
      fc.constantFrom(0, 0.5, 2),
      fc.integer({ min: 1, max: 6 }),
      (states, radius, maxNodes) => {
        const { nodes, assignment, weights } = stateGraph({ states, radius, maxNodes });
        expect(nodes.length).toBeLessThanOrEqual(maxNodes);
        const far = (a: readonly number[], b: readonly number[]) => Math.hypot(a[0] - b[0], a[1] - b[1]);
        assignment.forEach((k, t) => {
          if (nodes.length < maxNodes) expect(far(states[t], nodes[k])).toBeLessThanOrEqual(radius);
        });
        nodes.forEach((node, u) => {
          for (const other of nodes.slice(0, u)) expect(far(node, other)).toBeGreaterThan(radius);
        });
        const moves = assignment.filter((k, t) => t > 0 && k !== assignment[t - 1]).length;
        expect(weights.flat().reduce((a, b) => a + b, 0)).toBe(2 * moves);
      },
    ),
  );
});

test("the gradient of the graph autoencoder by central differences", () => {
  fc.assert(
    fc.property(
      graphs.chain((weights) => fc.tuple(fc.constant(weights), list(list(number, 2), weights.length))),
      ([weights, embedding]) => {
        const { loss, gradient } = graphAutoencoderLoss({ embedding, weights });
        if (weights.length === 1) expect(loss).toBe(0);
        const eps = 1e-5;
        gradient.forEach((row, u) => {
          row.forEach((slope, k) => {
            const at = (by: number) => {
              const moved = embedding.map((e, v) => e.map((x, j) => (v === u && j === k ? x + by : x)));
              return graphAutoencoderLoss({ embedding: moved, weights }).loss;
            };
            expect(Math.abs(slope - (at(eps) - at(-eps)) / (2 * eps))).toBeLessThan(1e-6);
          });
        });
      },
    ),
    { numRuns: 40 },
  );
});

test("likeness of graphs: 1 under renaming, and by known spectra", () => {
  fc.assert(
    fc.property(graphs, fc.nat(100), (weights, seed) => {
      const n = weights.length;
      const order = [...weights.keys()].sort((a, b) => ((a * 7 + seed) % 5) - ((b * 7 + seed) % 5));
      const renamed = order.map((u) => order.map((v) => weights[u][v]));
      expect(spectrumSimilarity({ a: weights, b: renamed, k: n })).toBeCloseTo(1, 9);
    }),
  );
  // Normalised Laplacians: a pair has 0, 2; a triangle 0, 1.5, 1.5; an isolated node 0.
  const pair = [
    [0, 3],
    [3, 0],
  ];
  const triangle = [
    [0, 1, 1],
    [1, 0, 1],
    [1, 1, 0],
  ];
  expect(spectrumSimilarity({ a: pair, b: triangle })).toBeCloseTo(Math.exp(-Math.sqrt(0.25 / 2)), 12);
  expect(spectrumSimilarity({ a: pair, b: triangle, k: 1 })).toBeCloseTo(1, 9);
  expect(
    spectrumSimilarity({
      a: [[0]],
      b: [
        [0, 0],
        [0, 0],
      ],
    }),
  ).toBe(1);
});

test("goal rewards", () => {
  const found = goalRewards({
    features: [
      [0, 0],
      [3, 4],
      [1, 1],
    ],
    goalFeatures: [0, 0],
    embeddings: [[1], [2], [0]],
    goalEmbedding: [10],
    externalRewards: [0.5, 1],
    alphaLow: 0.2,
  });
  expect(found.low[0]).toBeCloseTo(0.2 * 20 - 5, 12);
  expect(found.low[1]).toBeCloseTo(-Math.SQRT2, 12);
  expect(found.high).toBeCloseTo(1.5 + 0.1 * 10, 12);
  expect(() =>
    goalRewards({ features: [[0]], goalFeatures: [0], embeddings: [[1]], goalEmbedding: [1], externalRewards: [1] }),
  ).toThrow(/externalRewards/);
});

test("Shapley and Owen credit add up to what all units bring; unions of one change nothing", () => {
  fc.assert(
    fc.property(list(number, 16), (values) => {
      const sum = (x: number[]) => x.reduce((a, b) => a + b, 0);
      const shapley = shapleyCredit({ values, units: 4 });
      expect(sum(shapley)).toBeCloseTo(values[15] - values[0], 9);
      expect(
        sum(
          owenCredit({
            values,
            unions: [
              [0, 2],
              [1, 3],
            ],
          }),
        ),
      ).toBeCloseTo(values[15] - values[0], 9);
      owenCredit({ values, unions: [[0], [1], [2], [3]] }).forEach((x, i) => {
        expect(x).toBeCloseTo(shapley[i], 9);
      });
    }),
  );
  expect(() => shapleyCredit({ values: [], units: 21 })).toThrow(/at most 20/);
  expect(() => owenCredit({ values: [0, 1, 2, 3], unions: [[0], [0]] })).toThrow(/unions/);
});

test("preferences: margins count in the loss, not in the accuracy", () => {
  const { loss, gradChosen, accuracy } = bradleyTerry({ chosen: [1, 2, 2], rejected: [1, 1, 3], margin: [0, 1, 0] });
  const log = (d: number) => Math.log(1 + Math.exp(-d));
  expect(loss).toBeCloseTo((2 * log(0) + log(-1)) / 3, 12);
  expect(gradChosen[0]).toBeCloseTo(-0.5 / 3, 12);
  expect(accuracy).toBeCloseTo(0.5, 12);
  expect(bradleyTerry({ chosen: [0], rejected: [1000] }).loss).toBe(1000);
  expect(() => bradleyTerry({ chosen: [], rejected: [] })).toThrow(InputError);
});

test("soft values differentiate to expected features, and policies are what they say", () => {
  const problem = fc.record({
    rows: list(list(list(fc.nat(2), 3), 2), 3),
    features: list(list(number, 2), 3),
    theta: list(number, 2),
    horizon: fc.integer({ min: 1, max: 4 }),
    start: fc.nat(2),
  });
  fc.assert(
    fc.property(problem, ({ rows, features, theta, horizon, start }) => {
      const transition = rows.map((of, s) =>
        of.map((weights) => {
          const sum = weights.reduce((a, b) => a + b, 0);
          return sum === 0 ? weights.map((_, t) => (t === s ? 1 : 0)) : weights.map((w) => w / sum);
        }),
      );
      const init = [0, 1, 2].map((s) => (s === start ? 1 : 0));
      const solve = (at: number[]) =>
        maxEntIrlGradient({ transition, features, theta: at, init, horizon, expertFeatureSum: [1, 2] });
      const { gradient, visits, policy0 } = solve(theta);
      expect(visits.reduce((a, b) => a + b, 0)).toBeCloseTo(horizon, 9);
      for (const row of policy0) expect(row.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 9);
      const eps = 1e-5;
      gradient.forEach((slope, k) => {
        const value = (by: number) => solve(theta.map((x, j) => (j === k ? x + by : x))).softValue[start];
        const expected = (value(eps) - value(-eps)) / (2 * eps);
        expect(Math.abs([1, 2][k] - slope - expected)).toBeLessThan(1e-6);
      });
    }),
    { numRuns: 40 },
  );
});

test("rewards of imitation and curiosity, also where numbers are large", () => {
  const { discriminator, reward, gail } = adversarialReward({ f: [0, 800, -800], logProb: [0, 0, 0] });
  expect([discriminator, reward]).toEqual([
    [0.5, 1, 0],
    [0, 800, -800],
  ]);
  [Math.log(2), -Math.log(1e-12), 0].forEach((expected, k) => {
    expect(gail[k]).toBeCloseTo(expected, 9);
  });
  expect(countBonus({ keys: ["a", "b", "a", "a"], beta: 3 }).map((x) => x.toFixed(6))).toEqual([
    "3.000000",
    "3.000000",
    "2.121320",
    "1.732051",
  ]);
  expect(rndBonus({ predicted: [1, 3], target: [0, 0], mean: 3, variance: 4 })).toBeCloseTo(1, 8);
  expect(rndBonus({ predicted: [[10], [0]], target: [[0], [0]], mean: 0, variance: 0, clip: 2 })).toEqual([2, 0]);
  expect(() => rndBonus({ predicted: [[1]], target: [1] })).toThrow(/shape/);
});

test("return decomposition: exact where returns are linear in the features, zeros where there is nothing to learn", () => {
  fc.assert(
    fc.property(
      fc.array(fc.array(list(number, 2), { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 5 }),
      number,
      number,
      (features, a, b) => {
        const returns = features.map((steps) => steps.reduce((sum, [x, y]) => sum + a * x + b * y, 0));
        const { rewards } = returnDecomposition({ returns, features });
        rewards.forEach((row, i) => {
          expect(row.reduce((x, y) => x + y, 0)).toBeCloseTo(returns[i], 7);
        });
      },
    ),
  );
  expect(returnDecomposition({ returns: [1, 1], features: [[[0, 0]], []] })).toEqual({
    weights: [0, 0],
    rewards: [[0], []],
  });
  expect(returnDecomposition({ returns: [], features: [] })).toEqual({ weights: [], rewards: [] });
});

import fc from "fast-check";
import { expect, test } from "vitest";
import {
  adaptiveOptimum,
  configurationLp,
  expectedReward,
  matchingLp,
  stochasticConfigurationLp,
  stochasticMatchingRun,
} from "../../src/methods/mechanism/stochastic-matching.ts";
import { InputError, type RolloutObject } from "../../src/rollouts/index.ts";
import { credit } from "./credit.ts";

const rules = ["stochastic_balance", "least_load", "ranking", "greedy"] as const;
const chance = fc.constantFrom(0, 0, 0.2, 0.5, 0.7, 1);

const markets = (most: number) =>
  fc.tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: most })).chain(([n, m]) =>
    fc.record({
      p: fc.array(fc.array(chance, { minLength: m, maxLength: m }), { minLength: n, maxLength: n }),
      weights: fc.array(fc.constantFrom(1, 1, 0.5, 3), { minLength: n, maxLength: n }),
      ranks: fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: n, maxLength: n }),
    }),
  );

/** Every outcome of one coin per arrival (a vertex meets each arrival once) with its probability, and what a rule does then. */
function* outcomes(args: Parameters<typeof expectedReward>[0]) {
  const arrivals = args.p[0].length;
  for (let bits = 0; bits < 2 ** arrivals; bits++) {
    const heads = Array.from({ length: arrivals }, (_, v) => ((bits >> v) & 1) === 1);
    const coins = args.p.map((row) => row.map((_, v) => (heads[v] ? 0 : 1 - 1e-12)));
    const run = stochasticMatchingRun({ ...args, coins });
    const weight = run.match.reduce((product, u, v) => {
      // Where nobody is tried, or the attempt is certain, the coin says nothing: count one side only.
      const p = u < 0 ? 0 : args.p[u][v];
      if (p === 1) return heads[v] ? product : 0;
      return product * (heads[v] ? p : 1 - p);
    }, 1);
    if (weight > 0) yield { run, weight };
  }
}

test("the expected reward is the mean over all coins", () => {
  fc.assert(
    fc.property(
      markets(5),
      fc.constantFrom(...rules),
      fc.constantFrom("exp", "one-minus-exp"),
      (market, rule, discount) => {
        const args = { ...market, rule, discount } as const;
        let mean = 0;
        for (const { run, weight } of outcomes(args)) mean += weight * run.reward;
        expect(expectedReward(args)).toBeCloseTo(mean, 9);
      },
    ),
  );
});

test("rule <= adaptive optimum <= stochastic configuration program <= matching program, which bounds the plain one too", async () => {
  await fc.assert(
    fc.asyncProperty(markets(5), async ({ ranks, ...market }) => {
      const best = adaptiveOptimum(market);
      for (const rule of rules) expect(expectedReward({ ...market, ranks, rule })).toBeLessThan(best + 1e-9);
      const [stochastic, plain, matching] = await Promise.all([
        stochasticConfigurationLp(market),
        configurationLp(market),
        matchingLp(market),
      ]);
      expect(best).toBeLessThan(stochastic + 1e-7);
      expect(stochastic).toBeLessThan(matching + 1e-7);
      expect(plain).toBeLessThan(matching + 1e-7);
    }),
    { numRuns: 60 },
  );
});

test("with probabilities of 1 all benchmarks are the heaviest matching", async () => {
  const market = {
    p: [
      [1, 1, 0],
      [1, 0, 0],
      [0, 1, 1],
    ],
    weights: [3, 1, 2],
  };
  expect(adaptiveOptimum(market)).toBe(6);
  expect(await matchingLp(market)).toBeCloseTo(6, 9);
  expect(await configurationLp(market)).toBeCloseTo(6, 9);
  expect(await stochasticConfigurationLp(market)).toBeCloseTo(6, 9);
  expect(
    stochasticMatchingRun({ ...market, rule: "greedy", coins: market.p.map((row) => row.map(() => 0.5)) }),
  ).toEqual({
    match: [0, 2, -1],
    success: [1, 1, 0],
    load: [1, 0, 1],
    reward: 5,
  });
});

test("empty markets", async () => {
  for (const p of [[], [[]], [[0, 0]]]) {
    expect([adaptiveOptimum({ p }), await matchingLp({ p }), await stochasticConfigurationLp({ p })]).toEqual([
      0, 0, 0,
    ]);
    expect(expectedReward({ p })).toBe(0);
  }
  expect(stochasticMatchingRun({ p: [[0, 0]], coins: [[0, 0]] })).toEqual({
    match: [-1, -1],
    success: [0, 0],
    load: [0],
    reward: 0,
  });
  expect(stochasticMatchingRun({ p: [], coins: [] })).toEqual({ match: [], success: [], load: [], reward: 0 });
});

/** The log of a run as a rollout. */
const logged = (p: readonly number[][], run: ReturnType<typeof stochasticMatchingRun>, id = "a"): RolloutObject => ({
  id,
  turns: {
    agent: run.match.map((u) => (u < 0 ? null : `agent ${u}`)),
    success: run.success,
    success_prob: run.match.map((_, v) =>
      Object.fromEntries(p.flatMap((row, u) => (row[v] > 0 ? [[`agent ${u}`, row[v]]] : []))),
    ),
  },
});

test("expected regrets of a rule add up to what it loses against the adaptive optimum", () => {
  fc.assert(
    fc.property(markets(4), fc.constantFrom(...rules), ({ ranks, ...market }, rule) => {
      const weights = Object.fromEntries(market.weights.map((w, u) => [`agent ${u}`, w]));
      let regret = 0;
      for (const { run, weight } of outcomes({ ...market, ranks, rule })) {
        const own = credit("stochastic-matching", [logged(market.p, run)], { weights }, "turns.dispatch_regret");
        expect(Math.min(...own)).toBeGreaterThanOrEqual(0);
        regret += weight * own.reduce((sum, x) => sum + x, 0);
      }
      const lost = adaptiveOptimum(market) - expectedReward({ ...market, ranks, rule });
      expect(regret).toBeCloseTo(lost, 9);
    }),
    { numRuns: 60 },
  );
});

test("a log: rows that are no dispatch are null, a number speaks of the chosen agent alone", () => {
  const turns = { agent: ["a", "b", "b"], success: [1, 0, 1], success_prob: [0.5, null, 0.25] };
  const rollouts = [
    { id: "x", turns },
    { id: "y", turns: { agent: ["c"], success: [0], success_prob: [{ c: 0.1, d: 0.5 }] } },
  ];
  expect(() => credit("stochastic-matching", rollouts, {}, "turns.dispatch_regret")).toThrow(/null/);
  const one = credit("stochastic-matching", [rollouts[1]], {}, "turns.dispatch_regret");
  expect(one[0]).toBeCloseTo(0.4, 12);
  const heavy = credit("stochastic-matching", [rollouts[1]], { weights: { c: 10 } }, "turns.dispatch_regret");
  expect(heavy).toEqual([0]);
});

test("faults", async () => {
  const p = [[0.5, 0.5]];
  const refused = [
    () => expectedReward({ p: [[0.5], [0.5, 0.1]] }),
    () => expectedReward({ p: [[1.5]] }),
    () => expectedReward({ p: [[Number.NaN]] }),
    () => expectedReward({ p, rule: "ranking" }),
    () => expectedReward({ p, rule: "ranking", ranks: [1.5] }),
    () => expectedReward({ p, weights: [0] }),
    () => stochasticMatchingRun({ p, coins: [[0.5]] }),
    () => stochasticMatchingRun({ p } as never),
    () => adaptiveOptimum({ p: new Array(21).fill([0.5]) }),
    () => adaptiveOptimum({ p: [new Array(41).fill(0.5)] }),
  ];
  for (const call of refused) expect(call).toThrow(InputError);
  await expect(configurationLp({ p: [new Array(15).fill(0.1)] })).rejects.toThrow(/too many neighbours/);
  const bad = (turns: Record<string, unknown[]>) => () =>
    credit("stochastic-matching", [{ id: "bad", turns }], {}, "turns.dispatch_regret");
  expect(bad({ agent: ["a"], success: [1], success_prob: [0] })).toThrow(/bad.*success/);
  expect(bad({ agent: ["a"], success: [2], success_prob: [0.5] })).toThrow(/0 or 1/);
  expect(bad({ agent: ["a"], success: [1], success_prob: [{ a: 2 }] })).toThrow(/a: 2/);
  expect(bad({ agent: ["a"], success_prob: [1] })).toThrow(/turns\.success/);
});

import fc from "fast-check";
import { expect, test } from "vitest";
import {
  firstBestValue,
  icGain,
  mechanismValue,
  minimalScoringRule,
  minimalScoringRulePayment,
  optimalMechanism,
  optimalMechanismValue,
  uncorrelatedMechanismValue,
} from "../../src/methods/mechanism/hiring-agents.ts";
import { InputError, type RolloutObject } from "../../src/rollouts/index.ts";
import { credit } from "./credit.ts";
import { vectorFiles } from "./samples.ts";

type Game = Parameters<typeof firstBestValue>[0]["game"];
type Mechanism = Pick<Parameters<typeof icGain>[0], "mu" | "gamma">;

const grid = (most: number) => fc.integer({ min: 0, max: most }).map((x) => x / 20);
const pair = fc.integer({ min: 0, max: 20 }).map((x) => [x / 20, 1 - x / 20]);

/** Two states, two signals and two efforts per agent, the first one free. */
const games = (agents: fc.Arbitrary<number>): fc.Arbitrary<Game> =>
  agents.chain((n) =>
    fc.record({
      prior: pair,
      costs: fc.array(
        grid(6).map((c) => [0, c]),
        { minLength: n, maxLength: n },
      ),
      signals: fc.constant(new Array(n).fill(2)),
      marginals: fc.array(fc.array(fc.array(pair, { minLength: 2, maxLength: 2 }), { minLength: 2, maxLength: 2 }), {
        minLength: n,
        maxLength: n,
      }),
      utility: fc.array(fc.array(grid(20), { minLength: 2, maxLength: 2 }), { minLength: 2, maxLength: 2 }),
      maxPayment: fc.constantFrom(0.2, 1, 3),
    }),
  );

/** Chance of joint signals given efforts and state, from the marginals. */
const chance = (game: Game, efforts: number[], signals: number[], theta: number) =>
  efforts.reduce(
    (product, b, i) => product * (game.marginals as number[][][][])[i][b][theta][signals[i]],
    game.prior[theta],
  );
const digits = (index: number, n: number) => Array.from({ length: n }, (_, i) => (index >> (n - 1 - i)) & 1);
const flat = (list: number[]) => list.reduce((index, x) => 2 * index + x, 0);
const all = (n: number) => Array.from({ length: 2 ** n }, (_, k) => digits(k, n));

/** What agent i gets when it answers recommendation b_i by effort plan[b_i] and reports map[b_i][s_i]. */
function payoff(game: Game, { mu, gamma }: Mechanism, i: number, plan: number[], map: readonly number[][]): number {
  const n = game.costs.length;
  let total = 0;
  for (const b of all(n)) {
    const played = b.with(i, plan[b[i]]);
    total -= mu[flat(b)] * game.costs[i][plan[b[i]]];
    for (const s of all(n)) {
      for (const theta of [0, 1]) {
        const told = s.with(i, map[b[i]][s[i]]);
        total += mu[flat(b)] * chance(game, played, s, theta) * gamma[i][flat(b)][flat(told)][theta];
      }
    }
  }
  return total;
}

test("the gain is that of the best of all plans of an agent", () => {
  const mechanism = games(fc.integer({ min: 1, max: 2 })).chain((game) => {
    const n = game.costs.length;
    const size = 2 ** n;
    const cells = fc.array(
      fc.array(fc.array(grid(20), { minLength: 2, maxLength: 2 }), { minLength: size, maxLength: size }),
      {
        minLength: size,
        maxLength: size,
      },
    );
    return fc.record({
      game: fc.constant(game),
      gamma: fc.array(cells, { minLength: n, maxLength: n }),
      mu: fc.array(fc.integer({ min: 0, max: 3 }), { minLength: size, maxLength: size }).map((weights) => {
        const sum = weights.reduce((a, b) => a + b, 0);
        return sum === 0 ? weights.map((_, k) => (k === 0 ? 1 : 0)) : weights.map((x) => x / sum);
      }),
    });
  });
  fc.assert(
    fc.property(mechanism, ({ game, mu, gamma }) => {
      const { perAgent, max } = icGain({ game, mu, gamma });
      const maps = all(2);
      perAgent.forEach((gain, i) => {
        const plans = all(2).flatMap((plan) => maps.flatMap((low) => maps.map((high) => [plan, [low, high]] as const)));
        const best = Math.max(...plans.map(([plan, map]) => payoff(game, { mu, gamma }, i, plan, map)));
        const obedient = payoff(
          game,
          { mu, gamma },
          i,
          [0, 1],
          [
            [0, 1],
            [0, 1],
          ],
        );
        expect(gain).toBeCloseTo(best - obedient, 9);
        expect(mechanismValue({ game, mu, gamma }).agentUtility[i]).toBeCloseTo(obedient, 9);
      });
      expect(max).toBe(Math.max(...perAgent));
    }),
    { numRuns: 40 },
  );
});

test("the optimum leaves nothing to gain, is worth what it says, and lies between the other two benchmarks", async () => {
  await fc.assert(
    fc.asyncProperty(games(fc.integer({ min: 1, max: 2 })), async (game) => {
      const found = await optimalMechanism({ game });
      if (found === null) throw new Error("no mechanism");
      const { mu, gamma, value } = found;
      expect(icGain({ game, mu, gamma }).max).toBeLessThan(1e-7);
      expect(mechanismValue({ game, mu, gamma }).principal).toBeCloseTo(value, 7);
      expect(Math.max(...gamma.flat(3))).toBeLessThanOrEqual(game.maxPayment);
      const fixed = await uncorrelatedMechanismValue({ game });
      expect(fixed).toBeLessThan(value + 1e-7);
      expect(value).toBeLessThan(firstBestValue({ game }).value + 1e-7);
      if (game.costs.length === 1) expect(fixed).toBeCloseTo(value, 7);
    }),
    { numRuns: 20 },
  );
});

const games2 = vectorFiles.get("hiring-agents")?.cases.map(({ args }) => (args as { game: Game }).game) ?? [];
const [lone] = games2;
const audit = games2[games2.length - 1];

test("known games", async () => {
  expect(await uncorrelatedMechanismValue({ game: audit })).toBeCloseTo(0.5, 6);
  const rent = firstBestValue({ game: lone });
  expect([rent.value.toFixed(6), rent.profile]).toEqual(["0.750000", 1]);
  expect(await optimalMechanismValue({ game: lone })).toBeCloseTo(2 / 3, 6);
  const rule = await minimalScoringRule({ game: lone, agent: 0, action: 1 });
  expect(rule?.payment).toBeCloseTo(2 / 15, 6);
  expect(rule?.binding).toEqual([0]);
  expect(await minimalScoringRulePayment({ game: { ...lone, maxPayment: 0.1 }, agent: 0, action: 1 })).toBeNull();
  expect(await minimalScoringRulePayment({ game: lone, agent: 0, action: 0 })).toBeCloseTo(0, 9);
});

test("free efforts: the value is the best worth of information", async () => {
  const free = { ...lone, costs: [[0, 0]] };
  expect(await optimalMechanismValue({ game: free })).toBeCloseTo(0.8, 6);
});

test("slack makes obeying better than every other effort", async () => {
  const found = await optimalMechanism({ game: lone, slack: 0.02 });
  const { mu, gamma } = found as NonNullable<typeof found>;
  const dearer = { ...lone, costs: [[0, lone.costs[0][1] + 0.0199]] };
  expect(icGain({ game: dearer, mu, gamma }).max).toBeLessThan(1e-7);
  expect(await optimalMechanism({ game: lone, slack: 50 })).toBeNull();
});

test("marginals and the joint table that they make are the same game", async () => {
  await fc.assert(
    fc.asyncProperty(games(fc.constant(2)), async (game) => {
      const signal = all(2).map((b) =>
        [0, 1].map((theta) =>
          all(2).map((s) => s.reduce((p, x, i) => p * (game.marginals as number[][][][])[i][b[i]][theta][x], 1)),
        ),
      );
      const joint = { ...game, marginals: undefined, signal };
      expect(await optimalMechanismValue({ game: joint })).toBeCloseTo(await optimalMechanismValue({ game }), 7);
      const args = { agent: 1, action: 1 };
      const [a, b] = [
        await minimalScoringRulePayment({ game, ...args }),
        await minimalScoringRulePayment({ game: joint, ...args }),
      ];
      expect(a === null ? a : a.toFixed(6)).toEqual(b === null ? b : b.toFixed(6));
    }),
    { numRuns: 15 },
  );
});

test("payments for reports: over all that can happen they average to the value of the mechanism", async () => {
  const found = await optimalMechanism({ game: audit });
  const { mu, gamma } = found as NonNullable<typeof found>;
  const cases = all(2).flatMap((b) => all(2).flatMap((s) => [0, 1].map((theta) => ({ b, s, theta }))));
  const rollouts = cases.map(
    ({ b, s, theta }, k): RolloutObject => ({
      id: `${k}`,
      signals: { state: theta },
      // The second agent comes first here: places in the file say nothing.
      turns: { agent: ["judge", "worker"], effort: b.toReversed(), report: s.toReversed() },
    }),
  );
  const params = { game: audit, gamma, agents: ["worker", "judge"] };
  const weights = cases.map(
    ({ b, s, theta }) => mu[flat(b)] * audit.prior[theta] * (audit.signal as number[][][])[flat(b)][theta][flat(s)],
  );
  const kept = credit("hiring-agents", rollouts, params, "rollout.principal_utility");
  const paid = credit("hiring-agents", rollouts, params, "turns.reward");
  const value = mechanismValue({ game: audit, mu, gamma });
  const mean = (values: readonly number[]) => values.reduce((sum, x, k) => sum + weights[k] * x, 0);
  expect(mean(kept)).toBeCloseTo(value.principal, 9);
  expect(mean(cases.map((_, k) => paid[2 * k + 1]))).toBeCloseTo(value.payments[0], 9);
  expect(mean(cases.map((_, k) => paid[2 * k]))).toBeCloseTo(value.payments[1], 9);
});

test("faults", async () => {
  const bad = (change: object, text: RegExp) => {
    expect(() => firstBestValue({ game: { ...lone, ...change } as never })).toThrow(text);
    expect(() => firstBestValue({ game: { ...lone, ...change } as never })).toThrow(InputError);
  };
  bad({ prior: [0.5, 0.4] }, /prior does not sum to 1/);
  bad({ costs: [[0, -1]] }, /costs/);
  bad({ maxPayment: 0 }, /maxPayment/);
  bad({ signals: [3] }, /marginals\.0\.0\.0/);
  bad({ utility: [[1, 0], [0]] }, /utility\.1/);
  bad({ marginals: undefined }, /marginals or signal/);
  bad(
    {
      marginals: [
        [
          [
            [0.5, 0.6],
            [0.5, 0.5],
          ],
          [
            [0.8, 0.2],
            [0.2, 0.8],
          ],
        ],
      ],
    },
    /marginals\.0\.0\.0 does not sum/,
  );
  await expect(minimalScoringRulePayment({ game: lone, agent: 1, action: 0 })).rejects.toThrow(/agent/);
  const coupled = { ...audit, signal: audit.signal?.map((rows, b) => (b === 1 ? (audit.signal?.[2] ?? rows) : rows)) };
  await expect(uncorrelatedMechanismValue({ game: coupled })).rejects.toThrow(/depend on the efforts of others/);
  const rollout = { id: "r", signals: { state: 0 }, turns: { agent: [0], effort: [1], report: [2] } };
  const gamma = [
    [
      [
        [1, 0],
        [0, 1],
      ],
      [
        [1, 0],
        [0, 1],
      ],
    ],
  ];
  const run =
    (one: RolloutObject, params: object = { game: lone, gamma }) =>
    () =>
      credit("hiring-agents", [one], params as Record<string, unknown>, "turns.reward");
  expect(run(rollout)).toThrow(/"r".*turns\.report.*0 to 1/);
  expect(run(rollout, {})).toThrow(/game is missing/);
  expect(run({ ...rollout, turns: { agent: [0, 0], effort: [0, 0], report: [0, 0] } })).toThrow(/turns\.agent/);
  expect(run({ ...rollout, turns: { agent: [], effort: [], report: [] } })).toThrow(/no report of agent 0/);
});

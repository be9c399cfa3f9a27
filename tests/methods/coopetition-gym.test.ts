import fc from "fast-check";
import { expect, test } from "vitest";
import { coopetitionEnvironment, environmentNames } from "../../src/methods/multi-agent/coopetition-environments.ts";
import {
  coopetitiveEquilibrium,
  slcdValidation,
  teamEquilibria,
  teamUtility,
} from "../../src/methods/multi-agent/coopetition-equilibria.ts";
import { coopetitionRollout } from "../../src/methods/multi-agent/coopetition-gym.ts";
import { InputError } from "../../src/rollouts/index.ts";

const phaseOf = (env: string) => (env === "ApacheProject" ? "emergence" : null);
const gammaOf = (env: string) => (env === "SynergySearch" ? 0.5 : null);

/** Rewards of every agent over a whole episode of the same actions. */
function totals(env: string, actions: number[]): number[] {
  const { rewards, status } = coopetitionRollout({
    env,
    actions: Array.from({ length: 250 }, () => actions),
    phase: phaseOf(env),
    gamma: gammaOf(env),
  });
  expect(status).not.toBe("running");
  return actions.map((_, i) => rewards.reduce((sum, step) => sum + step[i], 0));
}

test("the published audit finds 28 of 80 exploitative points, and none in six environments", () => {
  const exploitable = environmentNames.map((env) => {
    const { endowments } = coopetitionEnvironment(env, phaseOf(env));
    return [0.2, 0.4, 0.6, 0.8].filter((level) => {
      const joint = endowments.map(() => level * endowments[0]);
      const before = totals(env, joint);
      const after = totals(env, [joint[0] / 2, ...joint.slice(1)]);
      const others = (rewards: number[]) => rewards.slice(1).reduce((a, b) => a + b, 0);
      return after[0] > before[0] && others(after) < others(before);
    }).length;
  });
  expect(exploitable.reduce((a, b) => a + b, 0)).toBe(28);
  expect(environmentNames.filter((_, k) => exploitable[k] === 0)).toEqual([
    "PartnerHoldUp",
    "ReputationMarket",
    "LoyaltyTeam",
    "CoalitionFormation",
    "ApacheProject",
    "PublicGoods",
  ]);
});

test("both forms of the case study reach their published points", () => {
  expect(slcdValidation({}).score).toBe(58);
  expect(slcdValidation({ spec: "power" }).score).toBe(46);
});

test("an equilibrium cannot be improved by one agent alone", () => {
  const games = fc.record({
    d: fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.double({ min: 0, max: 1, noNaN: true })),
    gamma: fc.double({ min: 0, max: 1, noNaN: true }),
    spec: fc.constantFrom("log" as const, "power" as const),
    other: fc.double({ min: 0.1, max: 99, noNaN: true }),
  });
  fc.assert(
    fc.property(games, ({ d, gamma, spec, other }) => {
      const game = {
        endowments: [100, 100],
        alpha: [0.55, 0.45],
        D: [
          [0, d[0]],
          [d[1], 0],
        ],
        gamma,
        spec,
        theta: 20,
        beta: 0.75,
      };
      const best = coopetitiveEquilibrium(game);
      const utility = (a: number[], i: number) => {
        const f = (x: number) => (spec === "log" ? 20 * Math.log1p(x) : x ** 0.75);
        const pi = a.map((x, k) => 100 - x + f(x) + game.alpha[k] * gamma * Math.sqrt(a[0] * a[1]));
        return pi[i] + game.D[i][1 - i] * pi[1 - i];
      };
      for (const i of [0, 1]) {
        const moved = best.map((x, k) => (k === i ? other : x));
        expect(utility(moved, i)).toBeLessThanOrEqual(utility(best, i) + 1e-9);
      }
    }),
    { numRuns: 40 },
  );
});

test("bounds hold, and an agent whose effort never pays stays at the lower one", () => {
  const game = {
    endowments: [100, 100],
    alpha: [0.5, 0.5],
    D: [
      [0, 0],
      [0, 0],
    ],
    gamma: 0,
    theta: 20,
  };
  expect(coopetitiveEquilibrium({ ...game, lower: 1, upper: [5, 90] })).toEqual([5, expect.closeTo(19, 9)]);
  expect(coopetitiveEquilibrium({ ...game, theta: 0.5 })).toEqual([0, 0]);
  expect(() => coopetitiveEquilibrium({ ...game, lower: 50, upper: 40 })).toThrow(InputError);
});

test("without interdependence the integrated reward is private, and the cooperative one is its mean", () => {
  const actions = [[30, 70]];
  const overrides = {
    D: [
      [0, 0],
      [0, 0],
    ],
  };
  const play = (rewardMode: "private" | "integrated" | "cooperative") =>
    coopetitionRollout({ env: "SLCD", actions, rewardMode, overrides }).rewards[0];
  const [own, shared, together] = [play("private"), play("integrated"), play("cooperative")];
  expect(shared).toEqual(own);
  expect(together[0]).toBeCloseTo((own[0] + own[1]) / 2, 9);
  expect(together[1]).toBe(together[0]);
});

test("memory may end now or one step earlier, which changes nothing before the second step", () => {
  const play = (memory: "official" | "paper", actions: number[][]) =>
    coopetitionRollout({ env: "ReciprocalDilemma", actions, memory, overrides: { reciprocity: { sharpness: 0.01 } } });
  expect(play("official", [[40, 40]]).rewards).toEqual(play("paper", [[40, 40]]).rewards);
  const steps = [
    [40, 40],
    [80, 80],
  ];
  // Twice the usual action: the window that holds it already answers less.
  expect(play("official", steps).rewards[1]).not.toEqual(play("paper", steps).rewards[1]);
});

test("teams: alone nobody else counts, and at beta 1 effort is all or nothing", () => {
  const one = teamUtility({ actions: [4], omega: 2, beta: 0.5, cost: 1, loyalty: [1], phiB: 1, phiC: 0.5 });
  expect(one).toEqual({ output: 4, base: [0], utility: [2] });
  expect(teamEquilibria({ omega: 3, beta: 1, cost: 1, n: 4, aMax: 50 })).toEqual({ nash: 0, socialOptimum: 50 });
});

test("bad input is refused by name", () => {
  const play = (args: Record<string, unknown>) => () =>
    coopetitionRollout({ env: "SLCD", actions: [[1, 1]], ...args } as Parameters<typeof coopetitionRollout>[0]);
  for (const args of [
    { env: "Nowhere" },
    { env: "RenaultNissan", phase: "golden" },
    { phase: "mature" },
    { env: "SynergySearch" },
    { actions: [[1]] },
    { actions: [[Number.NaN, 1]] },
    { overrides: { unknown: 1 } },
    { overrides: { alpha: [1] } },
  ]) {
    expect(play(args), JSON.stringify(args)).toThrow(InputError);
  }
});

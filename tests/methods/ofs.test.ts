import fc from "fast-check";
import { expect, test } from "vitest";
import { Random } from "../../src/lab/random.ts";
import { bestFeasibleFixed, closedLoopRun, closedLoopStep } from "../../src/methods/mechanism/closed-loop.ts";
import { ofsFeedback, ofsRadius, ofsSelect } from "../../src/methods/mechanism/ofs.ts";
import { findMethod } from "../../src/methods/registry.ts";
import { InputError, type RolloutObject } from "../../src/rollouts/index.ts";
import { credit } from "./credit.ts";

const plays = fc.record({
  n: fc.integer({ min: 0, max: 50 }),
  reward: fc.double({ min: -2, max: 2, noNaN: true }),
  residuals: fc.tuple(fc.double({ min: -1, max: 1, noNaN: true }), fc.double({ min: -1, max: 1, noNaN: true })),
});

test("the choice by its definition, threshold by threshold", () => {
  fc.assert(
    fc.property(
      fc.array(plays, { minLength: 1, maxLength: 6 }),
      fc.integer({ min: 1, max: 500 }),
      fc.constantFrom("sum", "max"),
      fc.constantFrom(0.02, 0.3),
      (columns, t, violation, scale) => {
        const K = columns.length;
        const rad = (n: number) => ofsRadius({ n, t, K, J: 2, delta: 0.05, range: 1, scale });
        const upper = columns.map(({ n, reward }) => (n === 0 ? Infinity : reward + rad(n)));
        const lower = columns.map(({ n, residuals }) => residuals.map((g) => (n === 0 ? -Infinity : g - rad(n))));
        const feasible = columns.flatMap((_, k) => (lower[k].every((x) => x <= 0) ? [k] : []));
        const fine = lower.map((row) => {
          const over = row.map((x) => Math.max(0, x));
          return violation === "sum" ? over[0] + over[1] : Math.max(...over);
        });
        const order = (feasible.length > 0 ? feasible : columns.map((_, k) => k)).toSorted((a, b) =>
          feasible.length === 0 && fine[a] !== fine[b]
            ? fine[a] - fine[b]
            : upper[a] === upper[b]
              ? a - b
              : upper[b] - upper[a],
        );
        const chosen = ofsSelect({
          counts: columns.map(({ n }) => n),
          rewardSum: columns.map(({ n, reward }) => n * reward),
          residualSum: columns.map(({ n, residuals }) => residuals.map((g) => n * g)),
          t,
          params: { violation: violation as "sum", radius_scale: scale },
        });
        const best = order[0];
        // Sums and means differ by rounding, which may decide between equal numbers.
        const value = (k: number) => (feasible.length > 0 ? upper[k] : -fine[k]);
        if (chosen.index !== best) expect(value(chosen.index)).toBeCloseTo(value(best), 9);
        expect(chosen.mode).toBe(feasible.length > 0 ? "reward" : "violation");
      },
    ),
  );
});

test("without constraints every threshold is feasible; a constraint of its own count may still be open", () => {
  const base = { counts: [9, 9], rewardSum: [1, 2], t: 19 };
  expect(ofsSelect({ ...base, residualSum: [[], []], params: null })).toEqual({
    index: 1,
    feasible: [0, 1],
    mode: "reward",
  });
  const bad = { ...base, residualSum: [[90], [90]], params: { radius_scale: 0.1 } };
  expect(ofsSelect(bad)).toEqual({ index: 1, feasible: [], mode: "violation" });
  expect(ofsSelect({ ...bad, residualCounts: [[0], [9]] })).toEqual({ index: 0, feasible: [0], mode: "reward" });
  expect(ofsRadius({ n: 0, t: 1, K: 1, J: 0 })).toBe(Infinity);
});

test("a step of the loop agrees with drawn scores", () => {
  const random = new Random(5);
  const normal = () => Math.sqrt(-2 * Math.log(1 - random.uniform())) * Math.cos(2 * Math.PI * random.uniform());
  const { reward, serviceRate, residuals, nextShare } = closedLoopStep({
    share: 0.3,
    tau: 0.55,
    env: { service: 0.7 },
  });
  const n = 200_000;
  let gained = 0;
  const accepted = [0, 0];
  const seen = [0, 0];
  for (let k = 0; k < n; k++) {
    const group = random.uniform() < 0.3 ? 1 : 0;
    const score = [0.42, 0.57][group] + 0.2 * normal();
    seen[group]++;
    if (score < 0.55) continue;
    accepted[group]++;
    gained += score - 0.5;
  }
  const rates = accepted.map((x, g) => x / seen[g]);
  expect(Math.abs(gained / n - reward)).toBeLessThan(2e-3);
  expect(Math.abs((accepted[0] + accepted[1]) / n - serviceRate)).toBeLessThan(5e-3);
  expect(residuals[1]).toBeCloseTo(0.7 - serviceRate, 12);
  expect(Math.abs(nextShare - (0.3 + 0.2 * (0.5 + 0.6 * (rates[1] - rates[0]) - 0.3)))).toBeLessThan(5e-3);
});

test("in the loop it violates parity far less than its baselines, and ends close to the best fixed threshold", () => {
  const grid = Array.from({ length: 17 }, (_, k) => (k + 2) / 20);
  const random = new Random(1);
  const noise = Array.from({ length: 4000 }, () => [0.2 * (random.uniform() - 0.5), 0.2 * (random.uniform() - 0.5)]);
  const run = (policy: "ofs" | "ucb" | "primal_dual", T = 4000) =>
    closedLoopRun({ policy, grid, T, env: {}, params: { radius_scale: 0.05 }, noise });
  const own = run("ofs");
  expect(own.cumulativeViolation).toBeLessThan(run("primal_dual").cumulativeViolation / 10);
  expect(own.cumulativeViolation).toBeLessThan(run("ucb").cumulativeViolation / 30);
  const best = bestFeasibleFixed({ grid, T: 4000, burn: 1000, env: null });
  const late = 4 * own.meanReward - 3 * run("ofs", 3000).meanReward;
  expect(best.feasible).toBe(true);
  expect(best.meanReward - late).toBeLessThan(0.004);
});

test("the best fixed threshold when none is feasible is the least violating one", () => {
  const strict = { eps_dp: 0, service: 1 };
  const { index, feasible } = bestFeasibleFixed({ grid: [0.5, 0.2, 0.6], T: 10, burn: 2, env: strict });
  expect([index, feasible]).toEqual([1, false]);
});

const rollout = (id: string, score: number, group_label: number, reward: number, round?: number): RolloutObject => ({
  id,
  reward,
  signals: { score, group_label, ...(round === undefined ? {} : { round }) },
});

test("one call is one round with the sums of earlier rounds as parameters", () => {
  const rollouts = [rollout("a", 0.5, 0, 1), rollout("b", 0.4, 1, 0)];
  expect(credit("ofs", rollouts, {}, "rollout.threshold")).toEqual([0.1, 0.1]);
  const known = { grid: [0.3, 0.5], counts: [400, 400], reward_sum: [40, 120], residual_sum: [[-80], [-20]] };
  expect(credit("ofs", rollouts, known, "rollout.threshold")).toEqual([0.5, 0.5]);
  expect(credit("ofs", rollouts, known, "rollout.accepted")).toEqual([1, 0]);
  expect(() => credit("ofs", rollouts, { ...known, grid: [0.3] }, "rollout.accepted")).toThrow(/do not fit the grid/);
  expect(() => credit("ofs", [rollout("x", 1, 2, 0)], {}, "rollout.accepted")).toThrow(/group_label.*0 or 1/);
});

test("recorded rounds are played one after another, whatever the order of the file", () => {
  const random = new Random(3);
  const rollouts = Array.from({ length: 40 }, (_, k) =>
    rollout(`r${k}`, random.uniform(), k % 2, random.below(2), Math.floor(k / 8)),
  );
  const params = { grid: [0.2, 0.5, 0.8], radius_scale: 0.1 };
  const record = { counts: [0, 0, 0], rewardSum: [0, 0, 0], residualSum: [[0], [0], [0]] };
  const expected = Array.from({ length: 5 }, (_, round) => {
    const members = rollouts.slice(8 * round, 8 * round + 8);
    const { index } = ofsSelect({ ...record, t: round + 1, params: { radius_scale: 0.1 } });
    const signals = members.map(({ signals }) => signals as Record<string, number>);
    const { reward, residuals } = ofsFeedback({
      scores: signals.map(({ score }) => score),
      labels: signals.map(({ group_label }) => group_label as 0 | 1),
      rewards: members.map((one) => one.reward as number),
      threshold: params.grid[index],
    });
    record.counts[index]++;
    record.rewardSum[index] += reward;
    record.residualSum[index][0] += residuals[0] as number;
    return params.grid[index];
  });
  const order = rollouts.toReversed();
  const thresholds = credit("ofs", order, params, "rollout.threshold").toReversed();
  expect(thresholds).toEqual(rollouts.map((_, k) => expected[Math.floor(k / 8)]));
  expect(new Set(expected).size).toBeGreaterThan(2);
});

test("an empty group leaves parity open", () => {
  const feedback = ofsFeedback({ scores: [0.1, 0.9], labels: [1, 1], rewards: [1, 1], threshold: 0.5, service: 0.75 });
  expect(feedback).toEqual({ reward: 0.5, residuals: [null, 0.25] });
  expect(ofsFeedback({ scores: [0.1], labels: [0], rewards: [1], threshold: 0.5 })).toEqual({
    reward: 0,
    residuals: [null],
  });
});

test("faults", () => {
  const good = { counts: [1], rewardSum: [1], residualSum: [[1]], t: 1, params: {} };
  const refused: [object, RegExp][] = [
    [{ counts: [], rewardSum: [], residualSum: [] }, /counts/],
    [{ counts: [-1] }, /counts\.0/],
    [{ rewardSum: [Number.NaN] }, /rewardSum\.0/],
    [{ residualSum: [[Number.POSITIVE_INFINITY]] }, /residualSum\.0\.0/],
    [{ residualSum: [] }, /residualSum/],
    [{ params: { delta: 1 } }, /delta/],
    [{ t: 0 }, /argument t/],
  ];
  for (const [change, text] of refused) {
    expect(() => ofsSelect({ ...good, ...change })).toThrow(text);
    expect(() => ofsSelect({ ...good, ...change })).toThrow(InputError);
  }
  expect(() => closedLoopRun({ grid: [0.5], T: 2, env: {}, noise: [[0, 0]] })).toThrow(/noise is too short/);
  expect(() => closedLoopRun({ grid: [0.5], T: 1, env: {}, noise: [[0]] })).toThrow(/noise\.0/);
  expect(() => closedLoopStep({ share: 0.5, tau: 0.5, env: { w_min: 0.9, w_max: 0.1 } })).toThrow(/w_min/);
  expect(() => bestFeasibleFixed({ grid: [0.5], T: 3, burn: 3 })).toThrow(/burn/);
});

test("the radius of what was never played is infinite", () => {
  expect(findMethod("ofs").functions?.ofsRadius({ n: 0, t: 1, K: 1, J: 0 })).toBe(Infinity);
});

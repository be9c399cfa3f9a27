import fc from "fast-check";
import { expect, test } from "vitest";
import {
  finAccuracy,
  finBestOfN,
  finLabels,
  finMonteCarlo,
  finPrmLoss,
  finRankingScore,
  finStepReward,
  finTrajectoryReward,
  knowledgeCoverage,
} from "../../src/methods/process/fin-prm.ts";
import { InputError } from "../../src/rollouts/index.ts";
import { credit } from "./credit.ts";

const p = fc.double({ min: 0, max: 1, noNaN: true });
const scores = fc.array(p, { maxLength: 4 });
const mean = (list: readonly number[]) => (list.length === 0 ? 0 : list.reduce((a, b) => a + b, 0) / list.length);

test("the reward mixes the outcome with the ranking score; what is null or absent counts as 0", () => {
  const rollout = fc.record({ prm: scores, trajectory: fc.option(p), outcome: fc.option(fc.constantFrom(0, 1)) });
  fc.assert(
    fc.property(fc.array(rollout, { minLength: 1, maxLength: 5 }), p, p, (list, process_weight, alpha) => {
      const rollouts = list.map(({ prm, ...rewards }, i) => ({ id: `r${i}`, group: "q", rewards, steps: { prm } }));
      const score = list.map(({ prm, trajectory }) => mean(prm) + alpha * (trajectory ?? 0));
      const reward = list.map(({ outcome }, i) => (1 - process_weight) * (outcome ?? 0) + process_weight * score[i]);
      const params = { process_weight, alpha };
      expect(credit("fin-prm", rollouts, params, "rollout.process_score")).toEqual(
        score.map((x) => expect.closeTo(x, 12)),
      );
      expect(credit("fin-prm", rollouts, params, "rollout.reward")).toEqual(reward.map((x) => expect.closeTo(x, 12)));
    }),
  );
});

test("mode code pays the first step score alone", () => {
  const rollouts = [0.9, 0.4].map((x, i) => ({ id: `r${i}`, group: "q", steps: { prm: [x, 0.1] } }));
  expect(credit("fin-prm", rollouts, { mode: "code" }, "rollout.reward")).toEqual([0.9, 0.4]);
  expect(() => credit("fin-prm", [{ id: "a", steps: { prm: [] } }], { mode: "code" })).toThrow(/"a".*no step score/);
  expect(() => credit("fin-prm", rollouts)).toThrow(/rewards\.trajectory/);
  expect(() => credit("fin-prm", [{ id: "a", steps: { prm: [1.5] } }], { mode: "code" })).toThrow(/from 0 to 1/);
});

test("the step reward lies between the mean and the maximum of its components", () => {
  fc.assert(
    fc.property(p, p, p, (importance, quality, accuracy) => {
      const reward = finStepReward({ importance, quality, accuracy });
      const parts = [importance, quality, accuracy];
      expect(reward).toBeGreaterThanOrEqual(mean(parts) - 1e-12);
      expect(reward).toBeLessThanOrEqual(Math.max(...parts) + 1e-12);
    }),
  );
});

test("labels", () => {
  expect(finMonteCarlo({ outcomes: [1, 0, 0, 1] })).toBe(0.5);
  expect(finMonteCarlo({ outcomes: [1, 0], mode: "hard" })).toBe(1);
  expect(finMonteCarlo({ outcomes: [], mode: "hard" })).toBe(0);
  expect(finAccuracy({ correct: 1, knowledge: 0.5 })).toBe(0.75);
  expect(finAccuracy({ correct: 1, knowledge: 0.5, mode: "product" })).toBe(0.5);
  expect(knowledgeCoverage({ used: ["a", "a"], required: ["a", "b", "b"] })).toBe(0.5);
  expect(knowledgeCoverage({ used: [], required: [] })).toBe(1);
  expect(finTrajectoryReward({ outcome: 1, coverage: 0.5, w: 0.25 })).toBe(0.625);
  expect(finLabels({ stepReward: [0.5, 0.4], trajectoryReward: 0.9 })).toEqual({
    stepLabel: [1, 0],
    trajectoryLabel: 1,
  });
});

test("the loss weighs steps and trajectory, or takes one mean over all separators", () => {
  const args = { stepProb: [0.5, 0.25], stepLabel: [1, 0], trajectoryProb: 0.5, trajectoryLabel: 0 };
  const [half, quarter] = [Math.log(2), -Math.log(0.75)];
  expect(finPrmLoss({ ...args, lambda: 2, mu: 3 })).toBeCloseTo(half + quarter + 3 * half, 9);
  expect(finPrmLoss({ ...args, lambda: 2, mu: 3, pooled: true })).toBeCloseTo((2 * half + quarter) / 3, 9);
  expect(finPrmLoss({ stepProb: [0.5], stepLabel: [1] })).toBeCloseTo(half, 9);
  expect(finPrmLoss({ stepProb: [], stepLabel: [], pooled: true })).toBe(0);
  expect(() => finPrmLoss({ ...args, trajectoryLabel: null })).toThrow(InputError);
  expect(() => finPrmLoss({ ...args, stepLabel: [1] })).toThrow(InputError);
});

test("the best of N is the first with the highest ranking score", () => {
  fc.assert(
    fc.property(fc.array(fc.record({ steps: scores, traj: p }), { minLength: 1, maxLength: 6 }), p, (list, alpha) => {
      const ranking = list.map((one) => finRankingScore({ ...one, alpha }));
      const best = finBestOfN({ steps: list.map((x) => x.steps), traj: list.map((x) => x.traj), alpha });
      expect(best).toBe(ranking.indexOf(Math.max(...ranking)));
      expect(finBestOfN({ scores: ranking })).toBe(best);
    }),
  );
  expect(finBestOfN({ scores: [] })).toBeNull();
});

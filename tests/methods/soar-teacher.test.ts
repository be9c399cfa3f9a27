import fc from "fast-check";
import { expect, test } from "vitest";
import { assign } from "../../src/methods/assign.ts";
import { learnabilityReward, promotionSchedule, soarTeacherStep } from "../../src/methods/exploration/soar-teacher.ts";
import { batchFromObjects, InputError } from "../../src/rollouts/index.ts";
import { credit } from "./credit.ts";

test("advantages of the sets sum to 0, and a schedule agrees with its steps", () => {
  const accuracies = fc.array(
    fc.array(
      fc.integer({ min: 0, max: 8 }).map((n) => n / 8),
      { minLength: 1 },
    ),
    { minLength: 1 },
  );
  fc.assert(
    fc.property(accuracies, fc.array(fc.constantFrom(0, 0.125, 0.25), { maxLength: 4 }), (accuracy_after, history) => {
      const step = soarTeacherStep({ accuracy_base: 0.25, accuracy_after, history });
      expect(step.advantage.reduce((a, b) => a + b, 0)).toBeCloseTo(0, 9);
      const last = promotionSchedule({ means: [...history, step.mean] }).pop();
      expect(last).toEqual({ moving_average: step.moving_average, promote: step.promote });
      expect(step.dataset === null).toBe(!step.promote);
      if (step.dataset !== null) expect(step.reward[step.dataset]).toBe(Math.max(...step.reward));
    }),
  );
});

test("of an even number of repeats the lower median is promoted, the first of equals", () => {
  const step = (after: number[]) => soarTeacherStep({ accuracy_base: 0, accuracy_after: [after], window: 1 }).student;
  expect([step([0.5, 0.25]), step([0.5, 0.5, 0.5, 0.5]), step([0.75, 0.25, 0.5])]).toEqual([1, 1, 2]);
});

test("a promotion may start the history anew, and the average may be taken before the window is full", () => {
  const promoted = (p: object) => promotionSchedule({ means: [1, 1, 1, 1], ...p }).map((x) => x.promote);
  expect(promoted({})).toEqual([false, false, true, true]);
  expect(promoted({ reset_on_promotion: true })).toEqual([false, false, true, false]);
  expect(promoted({ full_window: false })).toEqual([true, true, true, true]);
  expect(promoted({ tau: 1 })).toEqual([false, false, false, false]);
});

test("sets without a reward are left out, and their reward stays null", () => {
  const rollout = (id: string, dataset: number, reward: number | null) => ({
    id,
    group: "t",
    reward,
    signals: { dataset },
  });
  const rollouts = [rollout("a", 0, 0.5), rollout("b", 1, null), rollout("c", 2, 0.25), rollout("d", 2, null)];
  expect(credit("soar-teacher", rollouts)).toEqual([0.25, 0, -0.25, -0.25]);
  const out = assign(batchFromObjects(rollouts), "soar-teacher");
  expect(out.cells("rollout.reward")).toEqual([0.5, null, 0.25, 0.25]);
});

test("bad accuracies are refused", () => {
  for (const accuracy_after of [[], [[]], [[1.5]], [[Number.NaN]]]) {
    expect(() => soarTeacherStep({ accuracy_base: 0, accuracy_after })).toThrow(InputError);
  }
  expect(() => learnabilityReward({ success: [] })).toThrow(InputError);
});

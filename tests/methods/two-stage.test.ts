import fc from "fast-check";
import { expect, test } from "vitest";
import { expectedLogitUpdate, logitUpdate, probabilityMassDynamics } from "../../src/methods/group/two-stage.ts";
import { InputError } from "../../src/rollouts/index.ts";
import { credit } from "./credit.ts";

const policy = fc
  .array(fc.double({ min: 0.01, max: 1, noNaN: true }), { minLength: 2, maxLength: 5 })
  .map((list) => list.map((x) => x / list.reduce((a, b) => a + b, 0)));

test("the expected update is the mean of the sampled ones; both keep the sum of the logits", () => {
  fc.assert(
    fc.property(
      policy,
      fc.array(fc.double({ min: -2, max: 2, noNaN: true }), { minLength: 5, maxLength: 5 }),
      (probs, all) => {
        const advantages = all.slice(0, probs.length);
        const expected = expectedLogitUpdate({ probs, advantages, lr: 0.3 });
        const mean = probs.map(() => 0);
        probs.forEach((p, action) => {
          const one = logitUpdate({ probs, action, advantage: advantages[action], lr: 0.3 });
          expect(one.reduce((a, b) => a + b, 0)).toBeCloseTo(0, 12);
          for (const [v, z] of one.entries()) mean[v] += p * z;
        });
        for (const [v, z] of expected.entries()) expect(z).toBeCloseTo(mean[v], 12);
      },
    ),
  );
});

test("two stages: the best explored action peaks while the rare optimum sinks, then the optimum takes over", () => {
  const steps = probabilityMassDynamics({ rewards: [0.8, 1, 0], probs: [0.49, 0.02, 0.49], lr: 0.2, steps: 4000 });
  const rare = steps.map((pi) => pi[1]);
  expect(Math.min(...rare.slice(0, 200))).toBeLessThan(0.02);
  expect(rare[rare.length - 1]).toBeGreaterThan(0.9);
  for (const pi of steps) expect(pi.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 9);
  // With equal best rewards there is no second stage.
  const binary = probabilityMassDynamics({ rewards: [1, 1, 0], probs: [0.49, 0.02, 0.49], lr: 0.2, steps: 4000 });
  expect(binary[3999][1]).toBeLessThan(0.2);
});

test("equal rewards move nothing; probabilities have to sum to 1", () => {
  const probs = [0.1, 0.2, 0.7];
  expect(probabilityMassDynamics({ rewards: [0.3, 0.3, 0.3], probs, lr: 1, steps: 2 })[1][0]).toBeCloseTo(0.1, 15);
  for (const bad of [
    [0.5, 0.4],
    [0, 1],
    [0.5, Number.NaN],
  ])
    expect(() => logitUpdate({ probs: bad, action: 0, advantage: 1, lr: 1 })).toThrow(InputError);
  expect(() => logitUpdate({ probs: [0.5, 0.5], action: 2, advantage: 1, lr: 1 })).toThrow(/below 2/);
});

test("variants set the weight of positive advantages; gspo needs both log-probabilities", () => {
  const group = [1, 0, 0].map((reward, i) => ({ id: `r${i}`, group: "p", reward, tokens: { id: [1], logprob: [-1] } }));
  expect(credit("two-stage", group)[0]).toBe(0);
  const full = credit("two-stage", group, { variant: "grpo" });
  expect(full[0]).toBeGreaterThan(1);
  expect(credit("two-stage", group, { variant: "grpo", positive_weight: 0.5 })[0]).toBeCloseTo(full[0] / 2, 12);
  expect(() => credit("two-stage", group, { variant: "gspo" })).toThrow(/tokens\.old_logprob/);
  expect(() => credit("two-stage", [{ id: "a", reward: 1 }], { variant: "gspo" })).toThrow(/no tokens/);
});

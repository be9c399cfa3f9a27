import { expect, test } from "vitest";
import { ruleReward } from "../../src/methods/judge/descore.ts";
import { credit } from "./credit.ts";

test("rewards have three decimals, exact halves going to the even neighbour", () => {
  const rewards = [0.0625, 0.1875, 0.3125, 0.4375, -0.0625, 0.0005, 0.12345, 0.5];
  const rollouts = rewards.map((accuracy, k) => ({ id: `${k}`, rewards: { accuracy } }));
  const rounded = credit("descore", rollouts, { weights: { accuracy: 1 } }, "rollout.reward");
  // 0.0005 as a double lies above the half, so it goes up.
  expect(rounded).toEqual([0.062, 0.188, 0.312, 0.438, -0.062, 0.001, 0.123, 0.5]);
});

test("a dimension counts only with the value and the type of the reference", () => {
  const scores = { subject: 2, dynamics: "N/A", extra: 1 };
  const response = `<answer>${JSON.stringify({ dimensional_scores: scores })}</answer> <answer>{}</answer>`;
  const truth = { subject: "2", dynamics: "N/A", camera: 1 };
  expect(ruleReward({ response, truth })).toEqual({ overall: 0.333, accuracy: 0.333, format: 1, length: 0 });
  expect(ruleReward({ response: "😀".repeat(500), truth })).toMatchObject({ accuracy: 0, format: 0, length: 0.2 });
});

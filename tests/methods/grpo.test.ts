import { expect, test } from "vitest";
import { credit } from "./credit.ts";

test("a group of one that keeps its reward has spread 1, also beside the spread of the batch", () => {
  const rollouts = [
    { id: "a", group: "g", reward: 1 },
    { id: "b", group: "g", reward: 5 },
    { id: "alone", group: "h", reward: 3 },
  ];
  const params = { std_scope: "batch", singleton: "reward", eps: 0.5 };
  expect(credit("grpo", rollouts, params)).toEqual([-2 / 2.5, 2 / 2.5, 3 / 1.5]);
  expect(credit("grpo", rollouts, { ...params, singleton: "zero" })).toEqual([-2 / 2.5, 2 / 2.5, 0]);
});

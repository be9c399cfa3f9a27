import { expect, test } from "vitest";
import type { RolloutObject } from "../../src/rollouts/index.ts";
import { credit } from "./credit.ts";

const channels = { a: 1 };

test("without the process part the process scores may be missing", () => {
  const pair = (prm?: (number | null)[]): RolloutObject[] => [
    { id: "x", group: "g", rewards: { a: 1 }, steps: prm === undefined ? { sigma: [1, 0.5] } : { prm } },
    { id: "y", group: "g", rewards: { a: 3 }, steps: { sigma: [1, 0.5] } },
  ];
  const of = (prm?: (number | null)[]) => credit("euphonium", pair(prm), { channels, mode: "none" }, "steps.advantage");
  expect(of()[0]).toBeLessThan(0);
  expect(of([0.5, null])).toEqual(of());
  expect(() => credit("euphonium", pair(), { channels })).toThrow(/prm/);
});

test("an empty reward is no unscored rollout where channels are", () => {
  const rollouts = [1, 3].map((a) => ({ id: `${a}`, group: "g", rewards: { a }, steps: { sigma: [1] } }));
  const params = { channels, mode: "none" };
  const nulls = rollouts.map((rollout) => ({ ...rollout, reward: null }));
  expect(credit("euphonium", nulls, params)).toEqual(credit("euphonium", rollouts, params));
});

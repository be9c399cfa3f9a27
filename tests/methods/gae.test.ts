import { expect, test } from "vitest";
import { valueLoss } from "../../src/methods/critic/gae.ts";
import { InputError } from "../../src/rollouts/index.ts";
import { credit } from "./credit.ts";

test("values and rewards of observations are never read, so they may be unknown", () => {
  const tokens = { id: [1, 2, 3], mask: [1, 0, 1], value: [0.5, null, 0.25] };
  const unwhitened = { whiten_advantage: false };
  expect(credit("gae", [{ id: "a", reward: 1, tokens }], unwhitened, "tokens.advantage")).toEqual([0.5, 0, 0.75]);
  const unknown = [{ id: "a", reward: 1, tokens: { ...tokens, mask: [1, 1, 1] } }];
  expect(() => credit("gae", unknown, unwhitened, "tokens.advantage")).toThrow(/tokens\.value/);
});

test("the value clip is above 0, or null for none", () => {
  const rows = { value: [[2]], old_value: [[0]], returns: [[2]] };
  expect(valueLoss({ ...rows, clip: 0.5 })).toEqual({ loss: 1.125, clip_fraction: 1 });
  expect(valueLoss({ ...rows, clip: null })).toEqual({ loss: 0, clip_fraction: 0 });
  expect(() => valueLoss({ ...rows, clip: 0 })).toThrow(InputError);
});

import fc from "fast-check";
import { expect, test } from "vitest";
import { gpgAlpha } from "../../src/methods/group/gpg.ts";
import type { RolloutObject } from "../../src/rollouts/index.ts";
import { credit, expectTwoPass, warningsOf } from "./credit.ts";

const batch = (groups: readonly (readonly (number | null)[])[]): RolloutObject[] =>
  groups.flatMap((rewards, g) => rewards.map((reward, i) => ({ id: `${g}-${i}`, group: `g${g}`, reward })));

test("alpha undoes the dilution: adding dead groups does not change the mean over all groups", () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(0, 1, 0.5), { minLength: 2, maxLength: 6 }), fc.nat(5), (rewards, dead) => {
      fc.pre(new Set(rewards).size > 1);
      const groups = [rewards, ...Array.from({ length: dead }, () => [1, 1])];
      const alone = credit("gpg", batch([rewards]));
      const out = credit("gpg", batch(groups));
      for (const [i, a] of alone.entries()) expect(out[i] / groups.length).toBeCloseTo(a, 12);
      expect(out.slice(rewards.length).every((a) => a === 0)).toBe(true);
    }),
  );
});

test("unscored rollouts are no members, and groups without any score do not count", () => {
  const groups = [
    [1, 0, null],
    [null, null],
    [1, 1],
  ];
  expect(credit("gpg", batch(groups))).toEqual([1, -1, 0, 0, 0, 0, 0]);
  expect(gpgAlpha({ rewards: groups })).toEqual({ alpha: 2, valid_share: 0.5, enough: true });
  expect(gpgAlpha({ rewards: [] })).toEqual({ alpha: 1, valid_share: 0, enough: true });
});

test("a rollout alone keeps alpha times its reward if asked to, in both forms", () => {
  const rollouts = [...batch([[1, 0]]), { id: "x", reward: 3 }];
  for (const f_norm of ["none", "std"]) expect(credit("gpg", rollouts, { singleton: "reward", f_norm })[2]).toBe(6);
  expect(credit("gpg", rollouts)[2]).toBe(0);
});

test("two passes over pieces give what one call gives", () => {
  const rollouts = batch([
    [1, 0],
    [1, 1],
    [0, 0],
    [0.25, 0.5],
  ]);
  for (const alpha of ["valid_groups", "nonzero_rewards"])
    expectTwoPass(
      "gpg",
      rollouts,
      [
        [0, 1, 2, 3],
        [4, 5, 6, 7],
      ],
      { alpha },
    );
});

test("one live group among many is told", () => {
  expect(warningsOf("gpg", batch([[1, 0], ...Array.from({ length: 9 }, () => [1, 1])]))).toHaveLength(1);
  expect(
    warningsOf(
      "gpg",
      batch([
        [1, 0],
        [1, 1],
      ]),
    ),
  ).toEqual([]);
});

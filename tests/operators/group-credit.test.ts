import fc from "fast-check";
import { expect, test } from "vitest";
import { advantageColumns, groupCredit, sumOfChannels } from "../../src/operators/group-credit.ts";
import { normalizePools } from "../../src/operators/normalize.ts";
import { poolByGroup } from "../../src/operators/pools.ts";
import { batchFromObjects } from "../../src/rollouts/index.ts";
import { expectNear, numbers, tokenRollouts } from "./arbitraries.ts";

test("every policy token gets the normalised value of its rollout, the others 0", () => {
  fc.assert(
    fc.property(tokenRollouts, (rollouts) => {
      const batch = batchFromObjects(rollouts);
      const rewards = batch.numbers("rollout.reward", { absent: 0 });
      const made = batch.with(groupCredit(batch, rewards, { ddof: 1, eps: 1e-6 }));
      const expected = normalizePools(rewards, poolByGroup(batch, "rollout"), { ddof: 1, eps: 1e-6 });
      expectNear(made.numbers("rollout.advantage"), expected);
      const offsets = batch.offsets("token");
      const tokens = made.numbers("tokens.advantage");
      rollouts.forEach(({ tokens: table }, i) => {
        for (let t = offsets[i]; t < offsets[i + 1]; t++)
          expect(tokens[t]).toBe(table?.mask?.[t - offsets[i]] === 0 ? 0 : expected[i]);
      });
    }),
  );
});

test("no token column where one rollout has no tokens", () => {
  const batch = batchFromObjects([{ id: "a", tokens: { id: [1] } }, { id: "b" }]);
  expect(Object.keys(advantageColumns(batch, new Float64Array(2)))).toEqual(["rollout.advantage"]);
});

test("channels are added by weight; a missing one counts 0", () => {
  const cell = fc.option(numbers, { nil: null });
  const rollouts = fc.array(fc.record({ a: cell, b: cell }, { requiredKeys: [] }), { minLength: 1, maxLength: 5 });
  fc.assert(
    fc.property(rollouts, numbers, (list, weight) => {
      const batch = batchFromObjects(list.map((rewards, i) => ({ id: `r${i}`, rewards })));
      const expected = list.map(({ a, b }) => weight * (a ?? 0) + (b ?? 0));
      expectNear(sumOfChannels(batch, { a: weight, b: 1, nowhere: 3 }), expected);
    }),
  );
});

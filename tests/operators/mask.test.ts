import fc from "fast-check";
import { expect, test } from "vitest";
import { lastPolicyTokens, policyLengths, policyMask, policyNumbers, requireTokens } from "../../src/operators/mask.ts";
import { clearGaps, maskRuns } from "../../src/operators/runs.ts";
import { batchFromObjects } from "../../src/rollouts/index.ts";
import { bits, chains, policyCells, tokenRollouts } from "./arbitraries.ts";

const one = (tokens: Record<string, unknown[]>) => batchFromObjects([{ id: "a", tokens }]);

test("lengths and last tokens are those of the tokens with mask 1", () => {
  fc.assert(
    fc.property(tokenRollouts, (list) => {
      const batch = batchFromObjects(list);
      const offsets = batch.offsets("token");
      expect([...policyLengths(batch)]).toEqual(list.map((rollout) => policyCells(rollout, "y").length));
      const last = list.map(({ tokens }, i) => {
        const mask = (tokens?.mask ?? tokens?.y.map(() => 1)) as number[];
        const at = mask.lastIndexOf(1);
        return at < 0 ? -1 : offsets[i] + at;
      });
      expect([...lastPolicyTokens(batch)]).toEqual(last);
    }),
  );
});

test("the mask is null when the policy wrote every token, and 1 where a rollout has none", () => {
  fc.assert(
    fc.property(tokenRollouts, (list) => {
      const expected = list.flatMap(({ tokens }) => (tokens?.mask ?? tokens?.y.map(() => 1)) as number[]);
      const mask = policyMask(batchFromObjects(list));
      if (mask === null) expect(expected).not.toContain(0);
      else {
        if (expected.length > 0) expect(expected).toContain(0);
        expect([...mask]).toEqual(expected);
      }
    }),
  );
});

test("a mask column of another type is read as bits, and anything but 0 and 1 is refused by row", () => {
  const batch = one({ id: [1, 2, 3, 4, 5] });
  expect([...(policyMask(batch.with({ "tokens.mask": Float64Array.of(1, 0, 1, 1, 1) })) as Uint8Array)]).toEqual([
    1, 0, 1, 1, 1,
  ]);
  for (const wrong of [Float64Array.of(1, 1, 0.5, 1, 1), Uint8Array.of(1, 1, 2, 1, 1), Int32Array.of(1, 1, -1, 1, 1)]) {
    expect(() => policyMask(batch.with({ "tokens.mask": wrong }))).toThrow(/rollout "a".*tokens row 2.*0 or 1/s);
  }
});

test("runs are the maximal stretches of mask 1 inside each chain", () => {
  const long = fc
    .array(fc.tuple(bits, fc.nat(30)), { maxLength: 8 })
    .map((parts) => parts.flatMap(([bit, times]) => new Array<number>(times).fill(bit)));
  fc.assert(
    fc.property(fc.array(long, { maxLength: 4 }), fc.nat(5), (lists, shift) => {
      const offsets = new Int32Array(lists.length + 1);
      for (const [c, list] of lists.entries()) offsets[c + 1] = offsets[c] + list.length;
      // A view that does not start at a word boundary must give the same runs.
      const mask = new Uint8Array(offsets[lists.length] + shift).subarray(shift);
      mask.set(lists.flat());
      const runs = maskRuns(offsets, mask);
      const found = lists.map((_, c) =>
        Array.from({ length: runs.offsets[c + 1] - runs.offsets[c] }, (_, k) => {
          const run = runs.offsets[c] + k;
          return [runs.starts[run], runs.ends[run]];
        }),
      );
      const expected = lists.map((list, c) => {
        const edges: number[][] = [];
        list.forEach((bit, t) => {
          if (bit === 0) return;
          if (t > 0 && list[t - 1] === 1) edges[edges.length - 1][1]++;
          else edges.push([offsets[c] + t, offsets[c] + t + 1]);
        });
        return edges;
      });
      expect(found).toEqual(expected);
    }),
  );
});

test("clearing the gaps leaves policy tokens and zeros the rest", () => {
  fc.assert(
    fc.property(chains, ({ offsets, values, mask }) => {
      const cleared = values.map((x) => x + 5000);
      clearGaps(cleared, maskRuns(offsets, mask));
      expect([...cleared]).toEqual([...values].map((x, t) => (mask[t] === 1 ? x + 5000 : 0)));
    }),
  );
});

test("numbers of policy tokens may be null on tokens of the environment only", () => {
  const numbers = policyNumbers(one({ mask: [0, 1], value: [null, 2] }), "tokens.value");
  expect(numbers[1]).toBe(2);
  expect(() => policyNumbers(one({ mask: [1, 0], value: [null, 2] }), "tokens.value")).toThrow(/tokens row 0/);
  expect(() => policyNumbers(one({ value: [1, null] }), "tokens.value")).toThrow(/tokens row 1/);
  expect(() => policyNumbers(one({ id: [1] }), "tokens.value")).toThrow(/tokens\.value.*missing/);
});

test("numbers without null pass through without a copy, absent rollouts filled when asked", () => {
  const batch = batchFromObjects([
    { id: "a", tokens: { value: [1, 2], mask: [1, 0] } },
    { id: "b", tokens: { id: [3] } },
  ]);
  expect(() => policyNumbers(batch, "tokens.value")).toThrow(/rollout "b"/);
  expect([...policyNumbers(batch, "tokens.value", 0)]).toEqual([1, 2, 0]);
  const whole = one({ value: [1, 2] });
  expect(policyNumbers(whole, "tokens.value")).toBe(whole.numbers("tokens.value"));
});

test("an empty response has tokens; a rollout without them is named", () => {
  requireTokens(one({ id: [] }));
  requireTokens(batchFromObjects([]));
  const batch = batchFromObjects([{ id: "a", tokens: { id: [1] } }, { id: "lost" }]);
  expect(() => requireTokens(batch)).toThrow(/rollout "lost".*no tokens/);
});

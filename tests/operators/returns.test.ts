import fc from "fast-check";
import { expect, test } from "vitest";
import { forwardSumsInto, type MaskGap, reverseMinsInto, reverseSumsInto } from "../../src/operators/returns.ts";
import { chains, expectNear } from "./arbitraries.ts";

const gaps = fc.constantFrom<MaskGap>("skip", "count", "reset");
const gammas = fc.oneof(fc.constantFrom(0, 1), fc.double({ min: 0, max: 1, noNaN: true }));

/** Discount from row t to row k > t (or to the end of the chain), straight from the definition of the gap. */
function discount(mask: Uint8Array, t: number, k: number, gap: MaskGap, gamma: number): number {
  const between = mask.slice(t + 1, k);
  if (gap === "reset" && between.includes(0)) return 0;
  const counted = gap === "count" ? between.length : between.filter((m) => m === 1).length;
  return gamma ** (counted + 1);
}

test("returns to go are the discounted sums of what follows, observations as the gap says", () => {
  fc.assert(
    fc.property(chains, gaps, gammas, fc.boolean(), ({ offsets, values, mask, perChain }, gap, gamma, extras) => {
      const out = new Float64Array(values.length).fill(77);
      const given = { last: extras ? perChain : null, bootstrap: extras ? perChain : null };
      // A masked row is never read.
      const rewards = values.map((x, t) => (mask[t] === 1 ? x : Number.NaN));
      reverseSumsInto({ offsets, rewards, mask, gap, gamma, ...given }, out);
      for (let c = 0; c + 1 < offsets.length; c++) {
        const [from, to] = [offsets[c], offsets[c + 1]];
        const end = mask.subarray(from, to).lastIndexOf(1) + from;
        for (let t = from; t < to; t++) {
          if (mask[t] === 0) {
            expect(out[t]).toBe(77);
            continue;
          }
          let expected = 0;
          for (let k = t; k < to; k++) {
            if (mask[k] === 0) continue;
            const paid = values[k] + (extras && k === end ? perChain[c] : 0);
            expected += (k === t ? 1 : discount(mask, t, k, gap, gamma)) * paid;
          }
          if (extras) expected += discount(mask, t, to, gap, gamma) * perChain[c];
          expectNear([out[t]], [expected]);
        }
      }
    }),
  );
});

test("an outcome alone is the same as that outcome written on the last row that counts", () => {
  fc.assert(
    fc.property(chains, gaps, gammas, ({ offsets, mask, perChain }, gap, gamma) => {
      const rewards = new Float64Array(mask.length);
      for (let c = 0; c + 1 < offsets.length; c++) {
        const end = mask.subarray(offsets[c], offsets[c + 1]).lastIndexOf(1);
        if (end >= 0) rewards[offsets[c] + end] = perChain[c];
      }
      const [a, b] = [new Float64Array(mask.length), new Float64Array(mask.length)];
      reverseSumsInto({ offsets, last: perChain, mask, gap, gamma }, a);
      reverseSumsInto({ offsets, rewards, mask, gap, gamma }, b);
      expect([...a]).toEqual([...b]);
      forwardSumsInto({ offsets, last: perChain, mask, gap, gamma }, a.fill(0));
      forwardSumsInto({ offsets, rewards, mask, gap, gamma }, b.fill(0));
      expectNear(a, b);
    }),
  );
});

test("a forward sum is a return to go read from the other end", () => {
  fc.assert(
    fc.property(chains, gaps, gammas, ({ offsets, values, mask, perChain }, gap, gamma) => {
      const forward = new Float64Array(values.length);
      forwardSumsInto({ offsets, rewards: values, bootstrap: perChain, mask, gap, gamma }, forward);
      const n = values.length;
      const turned = Int32Array.from(offsets, (o) => n - o).reverse();
      const reverse = new Float64Array(n);
      const mirrored = { rewards: values.slice().reverse(), mask: mask.slice().reverse(), gap, gamma };
      reverseSumsInto({ offsets: turned, bootstrap: perChain.slice().reverse(), ...mirrored }, reverse);
      expect([...forward]).toEqual([...reverse.reverse()]);
    }),
  );
});

test("without discount, skipping and counting observations agree", () => {
  fc.assert(
    fc.property(chains, ({ offsets, values, mask }) => {
      const [a, b] = [new Float64Array(values.length), new Float64Array(values.length)];
      reverseSumsInto({ offsets, rewards: values, mask, gap: "skip", gamma: 1 }, a);
      reverseSumsInto({ offsets, rewards: values, mask, gap: "count", gamma: 1 }, b);
      expect([...a]).toEqual([...b]);
    }),
  );
});

test("the min-form return is the least reward still to come", () => {
  fc.assert(
    fc.property(chains, ({ offsets, values, mask }) => {
      const out = new Float64Array(values.length).fill(77);
      reverseMinsInto({ offsets, rewards: values, mask }, out);
      for (let c = 0; c + 1 < offsets.length; c++) {
        for (let t = offsets[c]; t < offsets[c + 1]; t++) {
          const rest = [...values.subarray(t, offsets[c + 1])].filter((_, k) => mask[t + k] === 1);
          expect(out[t]).toBe(mask[t] === 1 ? Math.min(...rest) : 77);
        }
      }
    }),
  );
});

test("single precision rounds only the result, not the running sum", () => {
  const rewards = new Float32Array(100_000).fill(0.1);
  const offsets = Int32Array.of(0, rewards.length);
  const out = new Float32Array(rewards.length);
  reverseSumsInto({ offsets, rewards, gamma: 1 }, out);
  expect(out[0]).toBe(Math.fround(Math.fround(0.1) * rewards.length));
});

test("very long chains stay finite under any discount", () => {
  const offsets = Int32Array.of(0, 1_000_000);
  const out = new Float64Array(1_000_000);
  reverseSumsInto({ offsets, last: [1], gamma: 0.5 }, out);
  expect(out[0]).toBe(0);
  expect(out[999_999]).toBe(1);
});

test("no chains and empty chains write nothing", () => {
  const out = new Float64Array(0);
  reverseSumsInto({ offsets: Int32Array.of(0), gamma: 1 }, out);
  reverseSumsInto({ offsets: Int32Array.of(0, 0, 0), last: [1, 1], bootstrap: [1, 1], gamma: 1 }, out);
  forwardSumsInto({ offsets: Int32Array.of(0, 0, 0), last: [1, 1], gamma: 1 }, out);
  reverseMinsInto({ offsets: Int32Array.of(0, 0), rewards: out }, out);
  expect(out).toHaveLength(0);
});

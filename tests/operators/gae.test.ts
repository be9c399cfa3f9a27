import fc from "fast-check";
import { expect, test } from "vitest";
import { episodeRuns, gaeInto } from "../../src/operators/gae.ts";
import { reverseSumsInto } from "../../src/operators/returns.ts";
import { maskRuns } from "../../src/operators/runs.ts";
import { bits, chains, expectNear, numbers } from "./arbitraries.ts";

const unit = fc.oneof(fc.constantFrom(0, 1), fc.double({ min: 0, max: 1, noNaN: true }));
const lists = (n: number) => [new Float64Array(n), new Float64Array(n)] as const;

interface Chain {
  values: number[];
  rewards: number[];
  bootstrap: number;
}

/** Equation 16 as it stands: A_t = Σ_l (γλ)^l δ_{t+l}, δ_t = r_t + γ V_{t+1} − V_t. */
function advantages({ values, rewards, bootstrap }: Chain, gamma: number, lam: number): number[] {
  const delta = values.map((v, t) => rewards[t] + gamma * (values[t + 1] ?? bootstrap) - v);
  return values.map((_, t) => delta.slice(t).reduce((sum, d, l) => sum + (gamma * lam) ** l * d, 0));
}

test("advantages are the discounted sums of temporal differences over the rows that count", () => {
  fc.assert(
    fc.property(chains, unit, unit, fc.boolean(), fc.boolean(), (given, gamma, lam, perRow, extras) => {
      const { offsets, mask, perChain } = given;
      // A row of the environment is never read.
      const values = given.values.map((x, t) => (mask[t] === 1 ? x : Number.NaN));
      const rewards = perRow ? values.map((x) => 1 - x / 2) : null;
      const last = extras || !perRow ? perChain : null;
      const bootstrap = extras ? perChain.map((x) => x + 3) : null;
      const [advantage, returns] = lists(values.length);
      const runs = maskRuns(offsets, mask);
      const sums = gaeInto({ runs, values, rewards, last, bootstrap, gamma, lam }, advantage, returns);
      const expected = new Float64Array(values.length);
      for (let c = 0; c + 1 < offsets.length; c++) {
        const rows = Array.from({ length: offsets[c + 1] - offsets[c] }, (_, k) => offsets[c] + k).filter(
          (t) => mask[t] === 1,
        );
        const chain = {
          values: rows.map((t) => values[t]),
          rewards: rows.map((t, k) => (rewards?.[t] ?? 0) + (k === rows.length - 1 ? (last?.[c] ?? 0) : 0)),
          bootstrap: bootstrap?.[c] ?? 0,
        };
        for (const [k, a] of advantages(chain, gamma, lam).entries()) expected[rows[k]] = a;
      }
      expectNear(advantage, expected, 1e-8);
      expectNear(
        returns,
        expected.map((a, t) => (mask[t] === 1 ? a + values[t] : 0)),
        1e-8,
      );
      if (!perRow) {
        const sum = advantage.reduce((s, a) => s + a, 0);
        const squares = advantage.reduce((s, a) => s + a * a, 0);
        expectNear([sums.sum, sums.squares], [sum, squares], 1e-8);
      }
    }),
  );
});

test("with lambda 1 the advantage is the return to go minus the value, with lambda 0 the temporal difference", () => {
  fc.assert(
    fc.property(chains, unit, ({ offsets, values, mask, perChain }, gamma) => {
      const runs = maskRuns(offsets, mask);
      const [advantage, returns] = lists(values.length);
      gaeInto({ runs, values, last: perChain, gamma, lam: 1 }, advantage, returns);
      const toGo = new Float64Array(values.length);
      reverseSumsInto({ offsets, last: perChain, mask, gamma }, toGo);
      expectNear(returns, toGo, 1e-8);
      const rewards = values.map((x) => x / 3);
      gaeInto({ runs, values: new Float64Array(values.length), rewards, gamma, lam: 0 }, advantage, returns);
      for (const [t, x] of rewards.entries()) if (mask[t] === 1) expectNear([advantage[t]], [x]);
    }),
  );
});

test("every length of run agrees with the rows one by one", () => {
  for (let n = 1; n <= 13; n++) {
    const values = Float64Array.from({ length: n }, (_, t) => Math.sin(t));
    const [a, b] = lists(n);
    const runs = maskRuns(Int32Array.of(0, n), null);
    gaeInto({ runs, values, last: [2], gamma: 0.9, lam: 0.8 }, a, b);
    const rewards = [...values].map((_, t) => (t === n - 1 ? 2 : 0));
    expectNear(a, advantages({ values: [...values], rewards, bootstrap: 0 }, 0.9, 0.8));
  }
});

test("nothing flows back over a row that ends an episode", () => {
  fc.assert(
    fc.property(
      fc.array(fc.array(fc.tuple(numbers, bits), { maxLength: 8 }), { maxLength: 4 }),
      unit,
      unit,
      (list, gamma, lam) => {
        const offsets = new Int32Array(list.length + 1);
        for (const [c, rows] of list.entries()) offsets[c + 1] = offsets[c] + rows.length;
        const rows = list.flat();
        const values = Float64Array.from(rows, ([x]) => x);
        const rewards = values.map((x) => 2 - x);
        const { runs, chainOf } = episodeRuns(
          offsets,
          Uint8Array.from(rows, ([, done]) => done),
        );
        const [advantage, returns] = lists(values.length);
        gaeInto({ runs, values, rewards, gamma, lam }, advantage, returns);
        const expected = list.flatMap((rows) => {
          const episodes: number[][] = [[]];
          for (const [x, done] of rows) {
            episodes[episodes.length - 1].push(x);
            if (done === 1) episodes.push([]);
          }
          return episodes.flatMap((xs) =>
            advantages({ values: xs, rewards: xs.map((x) => 2 - x), bootstrap: 0 }, gamma, lam),
          );
        });
        expectNear(advantage, expected, 1e-8);
        // Each episode knows the chain that it was cut from.
        for (let episode = 0; episode < chainOf.length; episode++) {
          const first = runs.starts[runs.offsets[episode]];
          expect(first).toBeGreaterThanOrEqual(offsets[chainOf[episode]]);
          expect(first).toBeLessThan(offsets[chainOf[episode] + 1]);
        }
      },
    ),
  );
});

test("single precision stays near double over long chains", () => {
  const n = 20_000;
  const values = Float32Array.from({ length: n }, (_, t) => Math.sin(t / 7));
  const runs = maskRuns(Int32Array.of(0, n), null);
  const narrow = [new Float32Array(n), new Float32Array(n)] as const;
  const wide = lists(n);
  gaeInto({ runs, values, last: [1], gamma: 1, lam: 0.95 }, ...narrow);
  gaeInto({ runs, values: Float64Array.from(values), last: [1], gamma: 1, lam: 0.95 }, ...wide);
  expectNear(narrow[0], wide[0], 1e-6);
  expectNear(narrow[1], wide[1], 1e-6);
});

test("no chains and empty chains write nothing", () => {
  const [advantage, returns] = lists(0);
  const input = { values: advantage, last: [1, 1], gamma: 1, lam: 1 };
  expect(gaeInto({ runs: maskRuns(Int32Array.of(0, 0, 0), null), ...input }, advantage, returns)).toEqual({
    sum: 0,
    squares: 0,
  });
});

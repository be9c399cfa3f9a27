import fc from "fast-check";
import { expect, test } from "vitest";
import { assign } from "../../src/methods/assign.ts";
import { dpoLoss, dpoTokenReward } from "../../src/methods/implicit/r-to-q.ts";
import { beamSearch, softQ } from "../../src/methods/implicit/token-tree.ts";
import { batchFromObjects, InputError } from "../../src/rollouts/index.ts";

type Tree = number[][][];

/** A token tree of depth D over A symbols whose cells are drawn from `cell`. */
function trees(depth: number, symbols: number, cell: fc.Arbitrary<number>): fc.Arbitrary<Tree> {
  const row = fc.array(cell, { minLength: symbols, maxLength: symbols });
  const level = (d: number) => fc.array(row, { minLength: symbols ** d, maxLength: symbols ** d });
  return fc.tuple(...Array.from({ length: depth }, (_, d) => level(d)));
}

const real = fc.double({ min: -2, max: 2, noNaN: true });
const positive = fc.integer({ min: 1, max: 20 }).map((n) => n / 20);
const problem = fc
  .record({
    depth: fc.integer({ min: 1, max: 3 }),
    symbols: fc.integer({ min: 1, max: 3 }),
    beta: fc.constantFrom(0.3, 1, 4),
  })
  .chain(({ depth, symbols, beta }) =>
    fc.record({
      depth: fc.constant(depth),
      symbols: fc.constant(symbols),
      beta: fc.constant(beta),
      reward: trees(depth, symbols, real),
      ref: trees(depth, symbols, positive),
    }),
  );

/** All sequences of the tree, in lexicographic order. */
function sequences(depth: number, symbols: number): number[][] {
  let all: number[][] = [[]];
  for (let d = 0; d < depth; d++) {
    all = all.flatMap((prefix) => Array.from({ length: symbols }, (_, a) => [...prefix, a]));
  }
  return all;
}

/** Cells of a tree along a sequence. */
function along(tree: Tree, sequence: readonly number[]): number[] {
  let row = 0;
  return sequence.map((a, d) => {
    const cell = tree[d][row][a];
    row = row * tree[d][0].length + a;
    return cell;
  });
}

const total = (list: readonly number[]) => list.reduce((a, b) => a + b, 0);
const logs = (tree: Tree) => tree.map((matrix) => matrix.map((row) => row.map(Math.log)));

test("the log-ratio of the soft-optimal policy is the reward shaped by its own value", () => {
  fc.assert(
    fc.property(problem, ({ depth, symbols, beta, reward, ref }) => {
      const { value, policy } = softQ({ reward, ref, beta });
      for (const sequence of sequences(depth, symbols)) {
        const credit = dpoTokenReward({
          logprob: along(logs(policy), sequence).map((x) => Math.min(x, 0)),
          ref_logprob: along(logs(ref), sequence),
          beta,
        });
        let row = 0;
        sequence.forEach((a, d) => {
          const next = row * symbols + a;
          const shaped = reward[d][row][a] + (d + 1 < depth ? value[d + 1][next] : 0) - value[d][row];
          expect(credit[d]).toBeCloseTo(shaped, 9);
          row = next;
        });
      }
    }),
  );
});

test("the policy over whole sequences is the reference tilted by the return", () => {
  fc.assert(
    fc.property(problem, ({ depth, symbols, beta, reward, ref }) => {
      const { policy } = softQ({ reward, ref, beta });
      const all = sequences(depth, symbols);
      const weights = all.map(
        (s) => along(ref, s).reduce((a, b) => a * b, 1) * Math.exp(total(along(reward, s)) / beta),
      );
      all.forEach((s, k) => {
        const p = along(policy, s).reduce((a, b) => a * b, 1);
        expect(p).toBeCloseTo(weights[k] / total(weights), 9);
      });
    }),
  );
});

test("a beam that holds everything finds the best sequence, and a beam of one is greedy", () => {
  fc.assert(
    fc.property(problem, fc.integer({ min: 1, max: 4 }), ({ depth, symbols, ref }, width) => {
      const logprob = logs(ref);
      const all = sequences(depth, symbols);
      const scores = all.map((s) => total(along(logprob, s)));
      const best = Math.max(...scores);
      const wide = beamSearch({ logprob, width: symbols ** depth });
      expect(wide.score).toBeCloseTo(best, 12);
      expect(total(along(logprob, wide.sequence))).toBeCloseTo(wide.score, 12);
      const narrow = beamSearch({ logprob, width });
      expect(narrow.score).toBeLessThanOrEqual(best + 1e-12);
      const greedy = beamSearch({ logprob });
      let row = 0;
      greedy.sequence.forEach((a, d) => {
        expect(a).toBe(logprob[d][row].indexOf(Math.max(...logprob[d][row])));
        row = row * symbols + a;
      });
    }),
  );
});

test("equal sums go to the lexicographically smaller sequence", () => {
  const even = [-1, -1, -1];
  expect(beamSearch({ logprob: [[even], [even, even, even]], width: 2 })).toEqual({ sequence: [0, 0], score: -2 });
  const later = [[-1, -1]];
  expect(
    beamSearch({
      logprob: [
        later,
        [
          [-2, -1],
          [-1, -2],
        ],
      ],
      width: 2,
    }),
  ).toEqual({ sequence: [0, 1], score: -2 });
});

test("soft values stay finite at any temperature", () => {
  const { value, policy } = softQ({ reward: [[[1e300, -1e300]]], ref: [[[0.5, 0.5]]], beta: 1e-300 });
  expect(value).toEqual([[1e300]]);
  expect(policy).toEqual([[[1, 0]]]);
});

test("in the mean over the reference's own responses the credit is not positive", () => {
  fc.assert(
    fc.property(problem, ({ depth, symbols, beta, reward, ref: weights }) => {
      const ref = weights.map((matrix) => matrix.map((row) => row.map((x) => x / total(row))));
      const { policy } = softQ({ reward, ref, beta });
      const mean = total(
        sequences(depth, symbols).map((s) => {
          const chance = along(ref, s).reduce((a, b) => a * b, 1);
          return chance * beta * total(along(policy, s).map((p, d) => Math.log(p) - Math.log(along(ref, s)[d])));
        }),
      );
      expect(mean).toBeLessThanOrEqual(1e-9);
    }),
  );
});

const logprob = fc.double({ min: -6, max: 0, noNaN: true });
const side = fc.array(fc.tuple(logprob, logprob, fc.constantFrom(0, 1)), { maxLength: 6 }).map((tokens) => ({
  logprob: tokens.map(([x]) => x),
  ref_logprob: tokens.map(([, x]) => x),
  mask: tokens.map(([, , m]) => m as 0 | 1),
}));

test("the preference loss is softplus of the negative margin, and its weight its slope", () => {
  fc.assert(
    fc.property(side, side, (chosen, rejected) => {
      const sum = (s: typeof chosen) => total(s.logprob.map((x, t) => 0.2 * (x - s.ref_logprob[t]) * s.mask[t]));
      const found = dpoLoss({ chosen, rejected, beta: 0.2 });
      const margin = sum(chosen) - sum(rejected);
      expect(found.margin).toBeCloseTo(margin, 9);
      expect(found.margin).toBeCloseTo(found.chosen_reward - found.rejected_reward, 12);
      expect(found.loss).toBeCloseTo(Math.log(1 + Math.exp(-margin)), 9);
      expect(found.weight).toBeCloseTo(1 - Math.exp(-found.loss), 9);
    }),
  );
  const far = { logprob: [0], ref_logprob: [-1e6] };
  expect(dpoLoss({ chosen: { logprob: [-1e6], ref_logprob: [0] }, rejected: far, beta: 1 })).toMatchObject({
    loss: 2e6,
    weight: 1,
  });
});

test("steps, turns and the rollout get the sums of their tokens, and masked tokens count nowhere", () => {
  fc.assert(
    fc.property(fc.array(side, { minLength: 1, maxLength: 4 }), (list) => {
      const batch = batchFromObjects(
        list.map((tokens, i) => {
          const n = tokens.mask.length;
          const cuts = [Math.ceil(n / 2), n].filter((end, k, all) => end > (k === 0 ? 0 : all[k - 1]));
          return { id: `r${i}`, tokens, steps: { end: cuts }, turns: { end: n > 0 ? [n] : [] } };
        }),
      );
      const result = assign(batch, "r-to-q", { beta: 0.5 });
      const offsets = batch.offsets("token");
      const credit = result.numbers("tokens.advantage");
      expect([...result.numbers("tokens.reward")]).toEqual([...credit]);
      list.forEach((tokens, i) => {
        const own = dpoTokenReward({ ...tokens, beta: 0.5 });
        own.forEach((x, t) => {
          expect(credit[offsets[i] + t]).toBeCloseTo(x, 12);
        });
        expect(result.numbers("rollout.implicit_reward")[i]).toBeCloseTo(total(own), 9);
        for (const level of ["step", "turn"] as const) {
          const rows = batch.offsets(level);
          const sums = result.numbers(`${level}s.reward`).subarray(rows[i], rows[i + 1]);
          expect(total([...sums])).toBeCloseTo(total(own), 9);
        }
      });
    }),
  );
});

test("bad input is refused", () => {
  const run = (tokens: object) => assign(batchFromObjects([{ id: "a", tokens }]), "r-to-q");
  expect(() => run({ logprob: [-1] })).toThrow(/"a".*tokens\.ref_logprob/);
  expect(() => run({ logprob: [0.5], ref_logprob: [-1] })).toThrow(/"a".*tokens\.logprob/);
  expect(run({ logprob: [1e-7], ref_logprob: [0] }).has("tokens.reward")).toBe(true);
  expect(() => softQ({ reward: [[[1, 2]]], ref: [[[0, 1]]], beta: 1 })).toThrow(InputError);
  expect(() => softQ({ reward: [[[1, 2]]], ref: [[[1]]], beta: 1 })).toThrow(InputError);
  expect(() => softQ({ reward: [[[1, 2]], [[1, 2]]], ref: [[[1, 1]], [[1, 1]]], beta: 1 })).toThrow(/depth 1/);
  expect(() => beamSearch({ logprob: [[[-1, 0.5]]] })).toThrow(InputError);
  expect(() => beamSearch({ logprob: [[[-1]]], width: 0 })).toThrow(InputError);
  expect(() => dpoTokenReward({ logprob: [-1], ref_logprob: [] })).toThrow(InputError);
});

import fc from "fast-check";
import { expect, test } from "vitest";
import { assign } from "../../src/methods/assign.ts";
import { firstErrorSearch, omegaScore, omegaSelect } from "../../src/methods/tree/omega-prm.ts";
import { batchFromObjects, InputError, rolloutObject } from "../../src/rollouts/index.ts";

const share = fc.double({ min: 0.05, max: 1, noNaN: true });
/** Shares that stay 0 once they are 0. */
const solution = fc
  .tuple(fc.array(share, { maxLength: 40 }), fc.nat(40))
  .map(([mc, error]) => mc.map((x, k) => (k >= error ? 0 : x)));

test("once wrong, always wrong: the search finds the first 0 with at most log2 K + 1 measurements", () => {
  fc.assert(
    fc.property(solution, (mc) => {
      const { first_error, visited } = firstErrorSearch({ mc });
      const first = mc.indexOf(0);
      expect(first_error).toBe(first < 0 ? null : first);
      expect(new Set(visited).size).toBe(visited.length);
      expect(visited.length).toBeLessThanOrEqual(mc.length === 0 ? 0 : Math.floor(Math.log2(mc.length)) + 1);
    }),
  );
});

test("labels of a wrong solution follow the search, whose last prefix is wrong by definition", () => {
  const settings = fc.record({
    label: fc.constantFrom("hard", "soft"),
    after_error: fc.constantFrom("null", "zero"),
  });
  fc.assert(
    fc.property(solution, settings, (mc, params) => {
      const rollout = { id: "a", reward: 0, steps: { mc_value: mc } };
      const result = assign(batchFromObjects([rollout]), "omega-prm", params);
      const { first_error, visited } = firstErrorSearch({ mc: mc.map((x, k) => (k === mc.length - 1 ? 0 : x)) });
      const expected = mc.map((x, k) => {
        if (k > (first_error ?? 0)) return params.after_error === "zero" ? 0 : null;
        if (k === first_error) return 0;
        return params.label === "soft" && visited.includes(k) ? x : 1;
      });
      expect(rolloutObject(result, 0).steps).toMatchObject({
        label: expected,
        evaluated: mc.map((_, k) => (visited.includes(k) ? 1 : 0)),
      });
      expect(rolloutObject(result, 0).first_error).toBe(first_error);
    }),
  );
});

test("values are needed only where the search looks", () => {
  const run = (mc_value: (number | null)[] | undefined, reward = 0) => {
    const steps = mc_value === undefined ? { prm: [1, 1, 1, 1] } : { mc_value };
    return assign(batchFromObjects([{ id: "a", reward, steps }]), "omega-prm");
  };
  expect([...run([null, 0.5, 0.2, null]).numbers("steps.evaluated")]).toEqual([0, 1, 1, 1]);
  expect(() => run([null, 0, 0, 0])).toThrow(/"a".*steps row 0.*null/);
  expect(() => run(undefined)).toThrow(/"a".*steps\.mc_value.*column is missing/);
  expect([...run(undefined, 1).numbers("steps.label")]).toEqual([1, 1, 1, 1]);
  expect(() => run([0.5, 1.5, 0, 0])).toThrow(/from 0 to 1/);
});

test("selection prefers promising states, short rollouts and rarely visited ones", () => {
  const plain = { mc: 0.5, length: 100, visits: 1, total_visits: 10 };
  const { score } = omegaScore(plain);
  expect(omegaScore({ ...plain, mc: 0.6 }).score).toBeGreaterThan(score);
  expect(omegaScore({ ...plain, length: 90 }).score).toBeGreaterThan(score);
  expect(omegaScore({ ...plain, visits: 0 }).score).toBeGreaterThan(score);
  const twice = { mc: 0.5, length: 100, visits: 1 };
  expect(omegaSelect({ candidates: [{ ...twice, mc: 0.4 }, twice, twice], total_visits: 10 }).index).toBe(1);
  expect(omegaSelect({ candidates: [], total_visits: 0 })).toEqual({ index: null, scores: [] });
  expect(() => omegaScore({ ...plain, alpha: 0 })).toThrow(InputError);
});

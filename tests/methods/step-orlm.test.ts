import fc from "fast-check";
import { expect, test } from "vitest";
import { assign } from "../../src/methods/assign.ts";
import { firstVerified, keepCritique, orProcessScore, wdpoLoss, wdpoPairs } from "../../src/methods/judge/step-orlm.ts";
import { batchFromObjects, InputError } from "../../src/rollouts/index.ts";
import { credit, expectTwoPass } from "./credit.ts";

const trajectory = fc.record({
  group: fc.constantFrom("a", "b", "c"),
  reward: fc.constantFrom(0, 1),
  prm: fc.array(fc.constantFrom(0, 1, 1, 0.5, null), { maxLength: 3 }),
  logprob: fc.array(fc.double({ min: -4, max: 0, noNaN: true }), { minLength: 1, maxLength: 3 }),
});
const trajectories = fc.array(trajectory, { minLength: 1, maxLength: 8 });
const settings = fc.record({
  beta: fc.constantFrom(0.1, 1),
  use_process: fc.boolean(),
  select: fc.constantFrom("all" as const, "best_worst" as const),
  normalize_weights: fc.boolean(),
});
type Trajectory = typeof trajectory extends fc.Arbitrary<infer T> ? T : never;
type Settings = typeof settings extends fc.Arbitrary<infer T> ? T : never;

const total = (list: readonly number[]) => list.reduce((a, b) => a + b, 0);

function objectsOf(list: readonly Trajectory[]) {
  return list.map(({ group, reward, prm, logprob }, i) => {
    const tokens = {
      logprob: [...logprob, -9],
      ref_logprob: [...logprob.map(() => -1), -9],
      mask: [...logprob.map(() => 1), 0],
    };
    return { id: `r${i}`, group, reward, steps: { prm }, tokens };
  });
}

/** The loss of the whole batch as a function of the log-probabilities of its rollouts. */
function lossOf(list: readonly Trajectory[], p: Settings, l: readonly number[]): number {
  const pairs = ["a", "b", "c"].flatMap((group) => {
    const members = list.flatMap((x, i) => (x.group === group ? [i] : []));
    const found = wdpoPairs({
      outcome: members.map((i) => list[i].reward),
      process: members.map((i) => orProcessScore({ verdicts: list[i].prm })),
      use_process: p.use_process,
      select: p.select,
    });
    return found.map((pair) => ({ ...pair, chosen: members[pair.chosen], rejected: members[pair.rejected] }));
  });
  const { beta, normalize_weights } = p;
  return wdpoLoss({
    chosen: pairs.map((x) => l[x.chosen]),
    rejected: pairs.map((x) => l[x.rejected]),
    weights: pairs.map((x) => x.weight),
    beta,
    normalize_weights,
  }).loss;
}

test("the credit of a rollout is minus the slope of the loss by its log-probability", () => {
  fc.assert(
    fc.property(trajectories, settings, fc.constantFrom("none", "ratio"), (list, p, reference) => {
      const l = list.map(({ logprob }) => total(logprob) + (reference === "ratio" ? logprob.length : 0));
      const actual = credit("step-orlm", objectsOf(list), { ...p, reference });
      const h = 1e-5;
      list.forEach((_, i) => {
        const shifted = (d: number) =>
          lossOf(
            list,
            p,
            l.map((x, k) => (k === i ? x + d : x)),
          );
        expect(actual[i]).toBeCloseTo(-(shifted(h) - shifted(-h)) / (2 * h), 6);
      });
      expect(total(actual)).toBeCloseTo(0, 12);
    }),
  );
});

test("two passes over pieces of the input give what one call gives", () => {
  const list: Trajectory[] = [
    { group: "a", reward: 1, prm: [1], logprob: [-1] },
    { group: "b", reward: 1, prm: [1, 0], logprob: [-2] },
    { group: "a", reward: 0, prm: [0], logprob: [-0.5] },
    { group: "b", reward: 1, prm: [1, 1], logprob: [-0.1, -3] },
    { group: "c", reward: 1, prm: [], logprob: [-0.1] },
  ];
  for (const normalize_weights of [false, true]) {
    expectTwoPass("step-orlm", objectsOf(list), [[0, 2], [1, 3], [4]], { normalize_weights });
  }
});

test("the solver decides first; the process score only between equal outcomes", () => {
  const args = { outcome: [0, 1, 1], process: [1, 0.2, 0.6] };
  expect(wdpoPairs(args)).toEqual([
    { chosen: 1, rejected: 0, weight: 1 },
    { chosen: 2, rejected: 0, weight: 1 },
    { chosen: 2, rejected: 1, weight: expect.closeTo(0.4, 12) },
  ]);
  expect(wdpoPairs({ ...args, use_process: false })).toHaveLength(2);
  expect(wdpoPairs({ ...args, select: "best_worst" })).toEqual([{ chosen: 2, rejected: 0, weight: 1 }]);
  expect(wdpoPairs({ ...args, min_gap: 0.5 })).toHaveLength(2);
  expect(wdpoPairs({ outcome: [1, 1], process: [0.5, 0.5], select: "best_worst" })).toEqual([]);
});

test("critiques are kept when the solver confirms them, and the first clean trajectory is taken", () => {
  expect(keepCritique({ verdicts: [1, 1], outcome: 1 })).toBe(1);
  expect(keepCritique({ verdicts: [1, 1], outcome: 0 })).toBe(0);
  expect(keepCritique({ verdicts: [1, 0.4], outcome: 0 })).toBe(1);
  expect(keepCritique({ verdicts: [], outcome: 0 })).toBe(0);
  expect(keepCritique({ verdicts: [0, null], outcome: 0 })).toBe(0);
  expect(firstVerified({ verdicts: [[], [null], [0.5, 1]] })).toBe(2);
  expect(firstVerified({ verdicts: [[0], []] })).toBe(1);
  expect(firstVerified({ verdicts: [] })).toBeNull();
  expect(orProcessScore({ verdicts: [null, 0.5, 0.2] })).toBe(0.5);
});

test("no pair makes no loss; bad input is refused", () => {
  expect(wdpoLoss({ chosen: [], rejected: [] })).toEqual({ loss: 0, gradChosen: [], gradRejected: [] });
  expect(() => wdpoLoss({ chosen: [0], rejected: [] })).toThrow(InputError);
  const good = { id: "a", group: "q", reward: 1, steps: { prm: [1] }, tokens: { logprob: [-1] } };
  const run = (change: object, params = {}) => assign(batchFromObjects([{ ...good, ...change }]), "step-orlm", params);
  expect([...run({}).numbers("rollout.advantage")]).toEqual([0]);
  expect(() => run({ tokens: { id: [1] } })).toThrow(/tokens\.logprob/);
  expect(() => run({}, { reference: "ratio" })).toThrow(/tokens\.ref_logprob/);
  expect(() => run({ steps: { node: ["a"] } })).toThrow(/steps\.prm/);
  expect([...run({ steps: { node: ["a"] } }, { use_process: false }).numbers("rollout.process_score")]).toEqual([0]);
});

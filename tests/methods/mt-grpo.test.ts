import fc from "fast-check";
import { expect, test } from "vitest";
import { assign } from "../../src/methods/assign.ts";
import { batchFromObjects } from "../../src/rollouts/index.ts";
import { credit, warningsOf } from "./credit.ts";

const reward = fc.oneof(fc.constantFrom(0, 1), fc.double({ min: -2, max: 2, noNaN: true }));
const rollouts = fc
  .array(
    fc.record({
      group: fc.constantFrom("a", "b"),
      reward,
      turns: fc.array(fc.oneof(reward, fc.constant(null)), { minLength: 1, maxLength: 4 }),
    }),
    { minLength: 1, maxLength: 6 },
  )
  .map((list) => list.map(({ turns, ...rest }, i) => ({ id: `r${i}`, ...rest, turns: { reward: turns } })));
const params = fc.record({
  baseline: fc.constantFrom("turn_index", "turn_index_sum", "fixed", "alive"),
  credit: fc.constantFrom("immediate", "return"),
  absent: fc.constantFrom("zero", "skip"),
  single_turn: fc.constantFrom("combined", "outcome"),
  turn_weight: fc.constantFrom(1, 0.5),
  outcome_weight: fc.constantFrom(1, 2),
  gamma: fc.constantFrom(1, 0.9),
  leave_one_out: fc.boolean(),
  norm_by_std: fc.boolean(),
  eps: fc.constant(0.1),
});

const mean = (list: readonly number[]) => list.reduce((a, b) => a + b, 0) / list.length;
const spread = (list: readonly number[]) =>
  Math.sqrt(list.reduce((a, x) => a + (x - mean(list)) ** 2, 0) / (list.length - 1));

function z(x: number, pool: readonly number[], p: { norm_by_std: boolean; eps: number }): number {
  if (pool.length === 1 || pool.every((y) => y === pool[0])) return 0;
  return (x - mean(pool)) / (p.norm_by_std ? spread(pool) + p.eps : 1);
}

const toGo = (list: readonly number[], gamma: number) =>
  list.map((_, t) => list.slice(t).reduce((sum, x, k) => sum + gamma ** k * x, 0));

test("credit equals the definition, written with plain lists", () => {
  fc.assert(
    fc.property(rollouts, params, (list, p) => {
      const out = credit("mt-grpo", list, p, "turns.advantage");
      const rewards = list.map((r) => r.turns.reward.map((x) => x ?? 0));
      let row = 0;
      list.forEach(({ group, reward: outcome }, i) => {
        const mates = list.flatMap((other, k) => (other.group === group ? [k] : []));
        const own = rewards[i];
        const last = own.length - 1;
        const expected =
          p.baseline === "turn_index"
            ? () => {
                const ofOutcome = z(
                  outcome,
                  mates.map((k) => list[k].reward),
                  p,
                );
                const ofTurn = own.slice(0, -1).map((r, t) => {
                  const has = (k: number) => t < rewards[k].length - 1;
                  const pool = mates.filter((k) => p.absent === "zero" || has(k));
                  return z(
                    r,
                    pool.map((k) => (has(k) ? rewards[k][t] : 0)),
                    p,
                  );
                });
                const paid = p.credit === "return" ? toGo(ofTurn, p.gamma) : ofTurn;
                if (last === 0 && p.single_turn === "combined") {
                  const total = (k: number) => list[k].reward + rewards[k].reduce((a, b) => a + b, 0);
                  return [z(total(i), mates.map(total), p)];
                }
                return [...paid.map((x) => p.outcome_weight * ofOutcome + p.turn_weight * x), ofOutcome];
              }
            : () => {
                const stream = (k: number) =>
                  rewards[k].map(
                    (r, t) => p.turn_weight * r + (t === rewards[k].length - 1 ? p.outcome_weight * list[k].reward : 0),
                  );
                const returns = (k: number) => toGo(stream(k), p.gamma);
                const others = p.leave_one_out ? mates.filter((k) => k !== i) : mates;
                const orZero = (values: readonly number[]) => (values.length === 0 ? 0 : mean(values));
                const reach = (t: number) => others.filter((k) => rewards[k].length > t);
                const baseline = own.map((_, t) => {
                  if (p.baseline === "alive") return orZero(reach(t).map((k) => returns(k)[t]));
                  if (p.baseline === "fixed") return orZero(others.map((k) => returns(k)[t] ?? 0));
                  return orZero(reach(t).map((k) => stream(k)[t]));
                });
                const b = p.baseline === "turn_index_sum" ? toGo(baseline, p.gamma) : baseline;
                const first = mates.map((k) => returns(k)[0]);
                const scale = p.norm_by_std ? (first.length === 1 ? 1 : spread(first)) + p.eps : 1;
                return returns(i).map((g, t) => (g - b[t]) / scale);
              };
        for (const a of expected()) expect(out[row++]).toBeCloseTo(a, 6);
      });
    }),
    { numRuns: 400 },
  );
});

test("stop for 0.5 or go on for 1: fixed and alive have the true gradient, the sum of means the wrong sign", () => {
  // Exact mean of (1/G) Σ_i A_i,1 ∇ log π(a_i) by the logit of going on, over all draws of G rollouts.
  const go = 0.3;
  const gradient = (baseline: string, size: number, leave_one_out: boolean) => {
    let total = 0;
    for (let draw = 0; draw < 2 ** size; draw++) {
      const goes = Array.from({ length: size }, (_, i) => (draw >> i) & 1);
      const p = goes.reduce((product, on) => product * (on === 1 ? go : 1 - go), 1);
      const list = goes.map((on, i) => ({
        id: `${i}`,
        group: "g",
        reward: on === 1 ? 0 : 0.5,
        turns: { reward: on === 1 ? [0, 1] : [0] },
      }));
      const batch = assign(batchFromObjects(list), "mt-grpo", { baseline, leave_one_out, norm_by_std: false });
      const advantage = batch.numbers("turns.advantage");
      const offsets = batch.offsets("turn");
      goes.forEach((on, i) => {
        total += (p * advantage[offsets[i]] * (on - go)) / size;
      });
    }
    return total;
  };
  const exact = go * (1 - go) * 0.5;
  expect(gradient("fixed", 4, true)).toBeCloseTo(exact, 12);
  expect(gradient("alive", 4, true)).toBeCloseTo(exact, 12);
  expect(gradient("fixed", 4, false)).toBeCloseTo((exact * 3) / 4, 12);
  expect(gradient("turn_index_sum", 4, false)).toBeLessThan(0);
  const one = [{ id: "a", reward: 1, turns: { reward: [0] } }];
  expect(warningsOf("mt-grpo", one, { baseline: "turn_index_sum" })).toHaveLength(1);
});

test("alone: 0, or the raw return with leave-one-out; a rollout without turn rewards is refused", () => {
  const one = [{ id: "a", reward: 1, turns: { reward: [0.5, 0] } }];
  const run = (p: object) => credit("mt-grpo", one, { norm_by_std: false, ...p }, "turns.advantage");
  expect(run({})).toEqual([0, 0]);
  expect(run({ baseline: "fixed" })).toEqual([0, 0]);
  expect(run({ baseline: "alive", leave_one_out: true })).toEqual([1.5, 1]);
  expect(() => credit("mt-grpo", [{ id: "a", reward: 1, turns: { agent: ["x"] } }])).toThrow(/turns\.reward/);
});

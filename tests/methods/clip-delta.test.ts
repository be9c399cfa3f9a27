import fc from "fast-check";
import { expect, test } from "vitest";
import { assign } from "../../src/methods/assign.ts";
import { clipDelta, clipDeltaReturn } from "../../src/methods/process/clip-delta.ts";
import { batchFromObjects, InputError } from "../../src/rollouts/index.ts";

const unit = fc.double({ min: 0, max: 1, noNaN: true });
const scores = fc.array(unit, { maxLength: 8 });
const total = (list: readonly number[]) => list.reduce((a, b) => a + b, 0);

test("delta telescopes: from any step but the last the rewards add up to that step's own score", () => {
  fc.assert(
    fc.property(scores, unit, (prm, eta) => {
      for (const mode of ["delta", "clip_delta"] as const) {
        const own = mode === "delta" ? prm : clipDelta({ prm, mode: "clip", eta });
        const d = clipDelta({ prm, mode, eta });
        prm.slice(0, -1).forEach((_, k) => {
          expect(total(d.slice(k))).toBeCloseTo(own[k], 12);
        });
        if (prm.length > 0) expect(d.at(-1)).toBe(0);
      }
    }),
  );
});

test("clip never pays: every reward is the score above the threshold, at most 0", () => {
  fc.assert(
    fc.property(scores, unit, (prm, eta) => {
      clipDelta({ prm, mode: "clip", eta }).forEach((x, k) => {
        expect(x).toBe(Math.min(prm[k] - eta, 0));
      });
    }),
  );
  expect(clipDelta({ prm: [0.1, 0.9], mode: "none" })).toEqual([0.1, 0.9]);
});

test("the return of a step is its own refined score times alpha plus the success, without accumulation", () => {
  fc.assert(
    fc.property(scores, unit, fc.constantFrom(0, 1), (prm, alpha, success) => {
      const returns = clipDeltaReturn({ prm, mode: "delta", alpha, success });
      returns.forEach((g, k) => {
        expect(g).toBeCloseTo(k + 1 < prm.length ? alpha * prm[k] + success : success, 12);
      });
    }),
  );
});

const response = fc.record({
  group: fc.constantFrom("a", "b"),
  steps: fc.array(fc.record({ prm: unit, mask: fc.array(fc.constantFrom(1, 1, 0), { minLength: 1, maxLength: 3 }) }), {
    maxLength: 4,
  }),
  reward: fc.constantFrom(0, 1, null),
});
const responses = fc.array(response, { minLength: 1, maxLength: 5 });

function batchOf(list: readonly { group: string; steps: { prm: number; mask: number[] }[]; reward: number | null }[]) {
  return batchFromObjects(
    list.map(({ group, steps, reward }, i) => {
      const mask = steps.flatMap((s) => s.mask);
      let end = 0;
      const ends = steps.map((s) => {
        end += s.mask.length;
        return end;
      });
      const tokens = { mask, value: mask.map((_, t) => 0.1 * t) };
      return { id: `r${i}`, group, reward, tokens, steps: { end: ends, prm: steps.map((s) => s.prm) } };
    }),
  );
}

test("tokens get the discounted sum of what lies on the slots ahead", () => {
  fc.assert(
    fc.property(responses, fc.constantFrom(1, 0.8), (list, gamma) => {
      const batch = assign(batchOf(list), "clip-delta", { gamma, alpha: 0.5, length_norm: true, step_penalty: 0.1 });
      const paid = batch.numbers("tokens.reward");
      const advantage = batch.numbers("tokens.advantage");
      const reward = batch.numbers("steps.reward");
      const mask = list.flatMap(({ steps }) => steps.flatMap((s) => s.mask));
      const offsets = batch.offsets("token");
      const rows = batch.offsets("step");
      list.forEach(({ steps, reward: success }, i) => {
        const refined = clipDelta({ prm: steps.map((s) => s.prm) });
        let end = offsets[i];
        const placed = new Map<number, number>();
        steps.forEach((s, k) => {
          end += s.mask.length;
          const last = k + 1 === steps.length;
          const f = (0.5 * refined[k]) / steps.length - 0.1 + (last ? (success ?? 0) : 0);
          expect(reward[rows[i] + k]).toBeCloseTo(f, 12);
          const slot = mask.slice(0, end).lastIndexOf(1);
          if (slot >= offsets[i]) placed.set(slot, (placed.get(slot) ?? 0) + f);
        });
        for (let t = offsets[i]; t < offsets[i + 1]; t++) {
          expect(paid[t]).toBeCloseTo(placed.get(t) ?? 0, 12);
          let sum = 0;
          for (let u = t; u < offsets[i + 1]; u++) sum += gamma ** (u - t) * (placed.get(u) ?? 0);
          expect(advantage[t]).toBeCloseTo(mask[t] === 1 ? sum : 0, 12);
        }
      });
    }),
  );
});

test("GAE with lam 1 and gamma 1 is the return minus the value, and lam near 0 the one-step error", () => {
  fc.assert(
    fc.property(responses, (list) => {
      const batch = batchOf(list);
      const plain = assign(batch, "clip-delta");
      const critic = assign(batch, "clip-delta", { estimator: "gae" });
      const short = assign(batch, "clip-delta", { estimator: "gae", lam: 1e-12 });
      const value = batch.numbers("tokens.value");
      const mask = batch.numbers("tokens.mask");
      const paid = plain.numbers("tokens.reward");
      const offsets = batch.offsets("token");
      for (let i = 0; i < batch.size; i++) {
        for (let t = offsets[i]; t < offsets[i + 1]; t++) {
          if (mask[t] === 0) {
            expect(critic.numbers("tokens.advantage")[t]).toBe(0);
            continue;
          }
          expect(critic.numbers("tokens.advantage")[t]).toBeCloseTo(
            plain.numbers("tokens.advantage")[t] - value[t],
            10,
          );
          let next = t + 1;
          while (next < offsets[i + 1] && mask[next] === 0) next++;
          const after = next < offsets[i + 1] ? value[next] : 0;
          expect(short.numbers("tokens.advantage")[t]).toBeCloseTo(paid[t] + after - value[t], 9);
        }
      }
    }),
  );
});

test("with the group mean the first policy tokens of a group add up to 0", () => {
  fc.assert(
    fc.property(responses, (list) => {
      const batch = assign(batchOf(list), "clip-delta", { baseline: "group_mean", alpha: 1 });
      const advantage = batch.numbers("tokens.advantage");
      const mask = batch.numbers("tokens.mask");
      const offsets = batch.offsets("token");
      const sums = new Map<string, number>();
      list.forEach(({ group }, i) => {
        const first = mask.indexOf(1, offsets[i]);
        if (first < 0 || first >= offsets[i + 1]) return;
        sums.set(group, (sums.get(group) ?? 0) + advantage[first]);
      });
      for (const sum of sums.values()) expect(sum).toBeCloseTo(0, 9);
      expect(advantage.every((a, t) => mask[t] === 1 || a === 0)).toBe(true);
    }),
  );
});

test("without tokens only the columns of steps are written", () => {
  const batch = assign(batchFromObjects([{ id: "a", reward: 1, steps: { prm: [0.2, 0.9] } }]), "clip-delta", {
    alpha: 1,
  });
  expect([...batch.numbers("steps.reward")]).toEqual([expect.closeTo(-0.3, 12), 1]);
  expect([...batch.numbers("steps.return")]).toEqual([expect.closeTo(0.7, 12), 1]);
  expect(batch.paths.filter((path) => path.startsWith("tokens."))).toEqual([]);
});

test("bad input is refused", () => {
  const good = { id: "a", reward: 1, tokens: { id: [1] }, steps: { end: [1], prm: [0.5] } };
  const run = (rollout: object, params = {}) => assign(batchFromObjects([rollout]), "clip-delta", params);
  expect(() => run(good, { estimator: "gae" })).toThrow(/"a".*tokens\.value/);
  expect(() => run({ id: "a", steps: { prm: [0.5] } }, { estimator: "gae" })).toThrow(/tokens\.value/);
  expect(() => run({ ...good, steps: { end: [1], prm: [null] } })).toThrow(/"a".*steps\.prm/);
  expect(() => run(good, { alpha: -1 })).toThrow(InputError);
  expect(() => clipDelta({ prm: [0.1], mode: "cut" as "clip" })).toThrow(InputError);
  expect(() => clipDeltaReturn({ prm: [Number.NaN] })).toThrow(InputError);
});

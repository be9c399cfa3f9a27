import fc from "fast-check";
import { expect, test } from "vitest";
import { assign } from "../../src/methods/assign.ts";
import { minFormValue, purePrmReward, pureTransform } from "../../src/methods/process/pure.ts";
import { batchFromObjects, InputError } from "../../src/rollouts/index.ts";

interface Step {
  prm: number;
  mask: number[];
}
interface Response {
  group: string;
  steps: Step[];
  reward: number | null;
}

const score = fc.double({ min: -1, max: 1, noNaN: true });
const step = fc.record({ prm: score, mask: fc.array(fc.constantFrom(1, 1, 0), { minLength: 1, maxLength: 4 }) });
const responses = fc.array(
  fc.record({
    group: fc.constantFrom("a", "b"),
    steps: fc.array(step, { maxLength: 4 }),
    reward: fc.constantFrom(0, 1, null),
  }),
  { minLength: 1, maxLength: 7 },
);

function objectsOf(list: readonly Response[]) {
  return list.map(({ group, steps, reward }, i) => {
    const mask = steps.flatMap((s) => s.mask);
    let end = 0;
    const ends = steps.map((s) => {
      end += s.mask.length;
      return end;
    });
    return { id: `r${i}`, group, reward, tokens: { mask }, steps: { end: ends, prm: steps.map((s) => s.prm) } };
  });
}

function transformed(rewards: number[], temperature: number): number[] {
  const weights = rewards.map((r) => Math.exp(-r / temperature));
  const total = weights.reduce((a, b) => a + b, 0);
  return rewards.map((r, k) => (weights[k] / total) * r);
}

const total = (list: readonly number[]) => list.reduce((a, b) => a + b, 0);
const count = (mask: readonly number[]) => mask.filter((m) => m === 1).length;

/** Discounted sum over all positions, then the mask. */
function backward(values: readonly number[], mask: readonly number[], gamma: number): number[] {
  return values.map((_, t) => (mask[t] === 0 ? 0 : total(values.slice(t).map((x, k) => gamma ** k * x))));
}

function whitened(lists: number[][], masks: number[][], scale: (squares: number, n: number) => number): number[][] {
  const all = lists.flatMap((list, i) => list.filter((_, t) => masks[i][t] === 1));
  const mean = total(all) / all.length;
  const divisor = scale(total(all.map((x) => (x - mean) ** 2)), all.length);
  return lists.map((list, i) => list.map((x, t) => (masks[i][t] === 0 || all.length < 2 ? 0 : (x - mean) / divisor)));
}

/** The verl rule as the card words it, with plain lists and loops over pairs. */
function verl(list: readonly Response[], p: { credit: string; vr_baseline: string; gamma: number; whiten: boolean }) {
  const masks = list.map(({ steps }) => steps.flatMap((s) => s.mask));
  const longest = Math.max(1, ...masks.map(count));
  const process = list.map(({ steps }, i) => {
    const scores = steps.map((s) => s.prm);
    if (p.credit === "strict") {
      return steps.flatMap((s, k) => s.mask.map((m) => (m === 0 ? 0 : Math.min(...scores.slice(k)))));
    }
    const paid = p.credit === "sum" ? scores : transformed(scores, 0.1);
    const placed = masks[i].map(() => 0);
    let end = 0;
    steps.forEach((s, k) => {
      end += s.mask.length;
      const slot = masks[i].slice(0, end).lastIndexOf(1);
      if (slot >= 0) placed[slot] += paid[k];
    });
    return backward(placed, masks[i], p.gamma);
  });
  const plain = list.map((own, i) => {
    const others = list.flatMap((other, j) => (j !== i && other.group === own.group ? [j] : []));
    const known = others.filter((j) => list[j].reward !== null);
    const worth = (j: number) =>
      total(process[j]) + (p.vr_baseline === "joint" ? (list[j].reward ?? 0) * count(masks[j]) : 0);
    const b = others.length === 0 ? 0 : total(others.map(worth)) / (others.length * longest);
    const mean = known.length === 0 ? 0 : total(known.map((j) => list[j].reward ?? 0)) / known.length;
    const outcome = own.reward === null ? 0 : p.vr_baseline === "joint" ? own.reward : own.reward - mean;
    return process[i].map((x, t) => (masks[i][t] === 0 ? 0 : x + outcome - b));
  });
  return p.whiten ? whitened(plain, masks, (squares, n) => Math.sqrt(squares / (n - 1) + 1e-8)) : plain;
}

/** The OpenRLHF rule as the card words it. */
function openrlhf(list: readonly Response[], p: { baseline: string; gamma: number; whiten: boolean }) {
  const masks = list.map(({ steps }) => steps.flatMap((s) => s.mask));
  const inner = masks.map((mask) => [...mask]);
  const slotsOf = list.map(({ steps }, i) => {
    let end = 0;
    return steps.map((s) => {
      end += s.mask.length;
      return masks[i].slice(0, end).lastIndexOf(1);
    });
  });
  const paid = list.map(({ steps }) =>
    transformed(
      steps.map((s) => s.prm),
      0.1,
    ),
  );
  const worth = paid.map((list_, i) => total(list_.filter((_, k) => slotsOf[i][k] >= 0)));
  const outcomes = list.map(({ reward }) => (reward === null ? 0 : reward - 1));
  const plain = list.map((own, i) => {
    const others = list.flatMap((other, j) => (j !== i && other.group === own.group ? [j] : []));
    const placed = masks[i].map(() => 0);
    own.steps.forEach((s, k) => {
      let base = 0;
      if (others.length > 0 && p.baseline === "step") {
        base = total(others.map((j) => worth[j] / Math.max(1, list[j].steps.length))) / others.length;
      } else if (p.baseline === "token") {
        const tokens = total(others.map((j) => count(masks[j])));
        base = tokens === 0 ? 0 : (Math.max(0, count(s.mask) - 1) * total(others.map((j) => worth[j]))) / tokens;
      }
      if (slotsOf[i][k] >= 0) placed[slotsOf[i][k]] += paid[i][k] - base;
    });
    const last = masks[i].lastIndexOf(1);
    const mean = others.length === 0 ? 0 : total(others.map((j) => outcomes[j])) / others.length;
    if (last >= 0) placed[last] += outcomes[i] - mean;
    const sums = backward(placed, masks[i], p.gamma);
    for (const slot of slotsOf[i]) {
      if (slot < 0) continue;
      sums[slot] = 0;
      inner[i][slot] = 0;
    }
    return sums;
  });
  if (!p.whiten) return plain;
  return whitened(plain, inner, (squares, n) => Math.sqrt(Math.max(squares / n, 1e-8)));
}

function advantageOf(list: readonly Response[], params: Record<string, unknown>): number[][] {
  const batch = assign(batchFromObjects(objectsOf(list)), "pure", params);
  const values = batch.numbers("tokens.advantage");
  const offsets = batch.offsets("token");
  return list.map((_, i) => [...values.subarray(offsets[i], offsets[i + 1])]);
}

function close(actual: number[][], expected: number[][], digits: number): void {
  actual.flat().forEach((x, t) => {
    expect(x).toBeCloseTo(expected.flat()[t], digits);
  });
}

const gamma = fc.constantFrom(1, 0.9);

test("variant verl is the definition worked out with plain lists", () => {
  const settings = fc.record({
    credit: fc.constantFrom("softmin", "strict", "sum"),
    vr_baseline: fc.constantFrom("joint", "rloo"),
    gamma,
  });
  fc.assert(
    fc.property(responses, settings, (list, params) => {
      close(advantageOf(list, { ...params, whiten_advantage: false }), verl(list, { ...params, whiten: false }), 9);
      close(advantageOf(list, params), verl(list, { ...params, whiten: true }), 5);
    }),
  );
});

test("variant openrlhf is the definition worked out with plain lists", () => {
  const settings = fc.record({ baseline: fc.constantFrom("token", "step", "none"), gamma });
  fc.assert(
    fc.property(responses, settings, (list, params) => {
      const chosen = { ...params, variant: "openrlhf" };
      close(advantageOf(list, { ...chosen, whiten_advantage: false }), openrlhf(list, { ...params, whiten: false }), 9);
      close(advantageOf(list, chosen), openrlhf(list, { ...params, whiten: true }), 5);
    }),
  );
});

test("the transform is a weighted mean that goes to the minimum as the temperature falls", () => {
  fc.assert(
    fc.property(fc.array(score, { minLength: 1, maxLength: 8 }), (reward) => {
      const least = Math.min(...reward);
      const soft = total(pureTransform({ reward, temperature: 0.1 }));
      expect(soft).toBeGreaterThanOrEqual(least - 1e-12);
      expect(soft).toBeLessThanOrEqual(total(reward) / reward.length + 1e-12);
      expect(total(pureTransform({ reward, temperature: 1e-9 }))).toBeCloseTo(least, 6);
      const value = minFormValue({ reward });
      expect(value).toEqual(reward.map((_, k) => Math.min(...reward.slice(k))));
    }),
  );
  expect(pureTransform({ reward: [0.3, 0.3, 0.3] })).toEqual([0.1, 0.1, 0.1].map((x) => expect.closeTo(x, 12)));
  expect(pureTransform({ reward: [] })).toEqual([]);
});

test("the score of a two-class model is the difference of its probabilities", () => {
  fc.assert(
    fc.property(
      fc.double({ min: -30, max: 30, noNaN: true }),
      fc.double({ min: -30, max: 30, noNaN: true }),
      (w, r) => {
        const right = 1 / (1 + Math.exp(w - r));
        expect(purePrmReward({ logits: [w, r] })).toBeCloseTo(right - (1 - right), 12);
      },
    ),
  );
  expect(
    purePrmReward({
      logits: [
        [0, 0],
        [-800, 800],
      ],
    }),
  ).toEqual([0, 1]);
});

test("without tokens a step counts as one token, and probabilities are scaled to the signed range", () => {
  const steps = [
    { id: "a", group: "p", reward: 1, steps: { prm: [0.5, -0.5] } },
    { id: "b", group: "p", reward: 0, steps: { prm: [0.25] } },
  ];
  const tokens = steps.map((rollout) => {
    const end = rollout.steps.prm.map((_, k) => k + 1);
    return { ...rollout, tokens: { id: end }, steps: { prm: rollout.steps.prm.map((r) => (r + 1) / 2), end } };
  });
  const plain = assign(batchFromObjects(steps), "pure");
  const placed = assign(batchFromObjects(tokens), "pure", { prm_range: "probability" });
  expect(plain.has("tokens.advantage")).toBe(false);
  const expected = [...placed.numbers("tokens.advantage")].map((x) => expect.closeTo(x, 9));
  expect([...plain.numbers("steps.advantage")]).toEqual(expected);
  expect([...placed.numbers("steps.advantage")]).toEqual(expected);
});

test("mode VR needs no steps; what a mode does not use is not read", () => {
  const rollouts = [
    { id: "a", group: "p", reward: 1, tokens: { id: [1, 2] } },
    { id: "b", group: "p", reward: 0, tokens: { id: [1, 2] } },
  ];
  const params = { mode: "VR", whiten_advantage: false };
  expect([...assign(batchFromObjects(rollouts), "pure", params).numbers("tokens.advantage")]).toEqual([1, 1, -1, -1]);
  const scored = rollouts.map((rollout) => ({ ...rollout, reward: null, steps: { end: [2], prm: [0.5] } }));
  const prm = assign(batchFromObjects(scored), "pure", { mode: "PRM", whiten_advantage: false });
  expect([...prm.numbers("tokens.advantage")]).toEqual([0, 0, 0, 0]);
});

test("bad input is refused", () => {
  const good = { id: "a", reward: 1, tokens: { id: [1] }, steps: { end: [1], prm: [0.5] } };
  const run = (rollout: object, params = {}) => assign(batchFromObjects([rollout]), "pure", params);
  expect(() => run({ ...good, steps: { end: [1] } })).toThrow(/"a".*steps\.prm/);
  expect(() => run({ ...good, steps: { end: [1], prm: [null] } })).toThrow(/"a".*steps\.prm/);
  expect(() => run(good, { temperature: 0 })).toThrow(InputError);
  expect(() => run(good, { baseline: "step" })).toThrow(InputError);
  expect(() => pureTransform({ reward: [Number.NaN] })).toThrow(InputError);
});

import fc from "fast-check";
import { expect, test } from "vitest";
import { assign, methodParams } from "../../src/methods/assign.ts";
import { findMethod } from "../../src/methods/registry.ts";
import { hiper } from "../../src/methods/turn/hiper.ts";
import { batchFromObjects, InputError, rolloutObject } from "../../src/rollouts/index.ts";

const value = fc.double({ min: -2, max: 2, noNaN: true });
const turn = fc.record({
  reward: value,
  switch: fc.constantFrom(0, 1),
  low: value,
  high: value,
  term: value,
  prob: fc.double({ min: 0, max: 1, noNaN: true }),
  valid: fc.constantFrom(0, 1),
  subgoal: fc.constantFrom("cup", "mug", "", null),
});
const episode = fc.record({
  turns: fc.array(turn, { minLength: 1, maxLength: 7 }),
  truncated: fc.constantFrom(0, 1),
  hasHigh: fc.boolean(),
  hasTerm: fc.boolean(),
  hasProb: fc.boolean(),
});
const episodes = fc.array(episode, { minLength: 1, maxLength: 4 });
type Episode = typeof episode extends fc.Arbitrary<infer T> ? T : never;

function objectOf({ turns, truncated, hasHigh, hasTerm, hasProb }: Episode, i: number) {
  const column = <K extends keyof (typeof turns)[number]>(name: K) => turns.map((t) => t[name]);
  return {
    id: `r${i}`,
    signals: { truncated },
    turns: {
      reward: column("reward"),
      switch: column("switch"),
      value_low: column("low"),
      valid: column("valid"),
      subgoal: column("subgoal"),
      ...(hasHigh ? { value_high: column("high") } : {}),
      ...(hasTerm ? { value_term: column("term") } : {}),
      ...(hasProb ? { switch_prob: column("prob") } : {}),
    },
  };
}

const params = fc.record({
  gamma: fc.constantFrom(1, 0.9, 0),
  lam: fc.constantFrom(1, 0.5),
  lam_seg: fc.constantFrom(0.95, 0.3),
  bootstrap_truncated: fc.boolean(),
  keep_penalty: fc.constantFrom(0, -0.5),
  keep_penalty_mode: fc.constantFrom("normalized", "fixed"),
  keep_consistency_penalty: fc.constantFrom(0, -0.3),
  invalid_penalty: fc.constantFrom(0, 0.1),
});
type Params = typeof params extends fc.Arbitrary<infer T> ? T : never;

/** The three levels of one episode, each turn by its recursion from the definition. */
function byDefinition({ turns, truncated, hasHigh, hasTerm }: Episode, p: Params) {
  const n = turns.length;
  const high = turns.map((t) => (hasHigh ? t.high : t.low));
  const keeps = turns.filter((t) => t.switch === 0).length;
  const reward = turns.map((t, k) => {
    let r = t.reward;
    if (t.switch === 0 && p.keep_penalty_mode === "fixed") r += p.keep_penalty;
    if (t.switch === 0 && p.keep_penalty_mode === "normalized" && n > 1) r += (p.keep_penalty * (keeps / n)) / keeps;
    r -= p.invalid_penalty * (1 - t.valid);
    const before = k > 0 ? turns[k - 1].subgoal : null;
    if (k > 0 && t.switch === 0 && t.subgoal && before && t.subgoal !== before) r += p.keep_consistency_penalty;
    return r;
  });
  const starts = turns.map((t, k) => k === 0 || t.switch === 1);
  const next = (k: number) => starts.indexOf(true, k + 1);
  const lastOf = (k: number) => (next(k) < 0 ? n : next(k)) - 1;
  const startOf = (k: number) => starts.lastIndexOf(true, k);
  const cut = truncated === 1;
  const boot = (k: number, cutValue: number) =>
    next(k) >= 0 ? high[next(k)] : cut && p.bootstrap_truncated ? cutValue : 0;
  const low = (t: number): number => {
    const end = lastOf(t);
    const goesOn = t < n - 1 || cut ? 1 : 0;
    const after = t < end ? turns[t + 1].low : boot(t, turns[end].low);
    const delta = reward[t] + p.gamma * goesOn * after - turns[t].low;
    return delta + (t < end ? p.gamma * p.lam * goesOn * low(t + 1) : 0);
  };
  const toEnd = (t: number): number => reward[t] + p.gamma * (t < lastOf(t) ? toEnd(t + 1) : boot(t, high[startOf(t)]));
  const highAt = (t: number): number => {
    const length = lastOf(t) - t + 1;
    const later = next(t) < 0 ? 0 : highAt(next(t));
    return toEnd(t) - high[t] + p.gamma ** length * p.lam_seg * later;
  };
  return turns.map((t, k) => ({
    low: low(k),
    high: starts[k] ? highAt(k) : 0,
    highReturn: starts[k] ? highAt(k) + high[k] : null,
    term: toEnd(k),
    head: hasTerm ? toEnd(k) - t.term : 0,
  }));
}

function expectNear(actual: unknown, expected: readonly (number | null)[]): void {
  const list = actual as (number | null)[];
  expect(list.length).toBe(expected.length);
  expected.forEach((x, k) => {
    if (x === null) expect(list[k]).toBeNull();
    else expect(list[k]).toBeCloseTo(x, 9);
  });
}

test("the three levels equal their recursions", () => {
  fc.assert(
    fc.property(episodes, params, (list, p) => {
      const out = assign(batchFromObjects(list.map(objectOf)), "hiper", { ...p, norm_adv: false });
      list.forEach((one, i) => {
        const turns = rolloutObject(out, i).turns as Record<string, unknown>;
        const expected = byDefinition(one, p);
        expectNear(
          turns.advantage_low,
          expected.map((t) => t.low),
        );
        expectNear(
          turns.advantage_high,
          expected.map((t) => t.high),
        );
        expectNear(
          turns.advantage_switch,
          expected.map((t) => t.head),
        );
        expectNear(
          turns.return_low,
          expected.map((t, k) => t.low + one.turns[k].low),
        );
        expectNear(
          turns.return_high,
          expected.map((t) => t.highReturn),
        );
        expectNear(
          turns.return_term,
          expected.map((t) => t.term),
        );
      });
    }),
    { numRuns: 300 },
  );
});

/** GAE over all turns of a finished episode, without segments. */
function flatGae(rewards: readonly number[], values: readonly number[], gamma: number, lam: number): number[] {
  let carry = 0;
  return rewards
    .map((_, k) => rewards.length - 1 - k)
    .map((t) => {
      carry = rewards[t] + gamma * (values[t + 1] ?? 0) - values[t] + gamma * lam * carry;
      return carry;
    })
    .reverse();
}

test("always switching with equal heads makes the high level the flat GAE; never switching makes the low level it", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(value, value), { minLength: 1, maxLength: 8 }), value, value, (rows, g, l) => {
      const [gamma, lam] = [Math.abs(g) / 2, Math.abs(l) / 2];
      const rewards = rows.map(([r]) => r);
      const values = rows.map(([, v]) => v);
      const run = (flag: number) => {
        const turns = { reward: rewards, value_low: values, value_high: values, switch: rows.map(() => flag) };
        const p = { gamma, lam, lam_seg: lam, norm_adv: false };
        return rolloutObject(assign(batchFromObjects([{ id: "r", turns }]), "hiper", p), 0).turns ?? {};
      };
      const expected = flatGae(rewards, values, gamma, lam);
      expectNear(run(1).advantage_high, expected);
      expectNear(run(0).advantage_low, expected);
    }),
  );
});

test("gap mode: switching away from the old subgoal is paid by what the new one is worth more", () => {
  const turns = { switch: [0, 1, 0], reward: [0, 0, 0], value_low: [0.1, 0.2, 0.3], switch_prob: [0.5, 0.25, 0.5] };
  const p = { switch_mode: "gap", norm_adv: false };
  const run = (more: object) =>
    rolloutObject(assign(batchFromObjects([{ id: "r", turns: { ...turns, ...more } }]), "hiper", p), 0).turns ?? {};
  // Turn 1 counts as switched whatever its flag: 0.5·(0.6 − 0.1), 0.75·(0.7 − 0.2), −0.5·(0.8 − 0.3).
  expectNear(run({ value_high: [0.6, 0.7, 0.8] }).advantage_switch, [0.25, 0.375, -0.25]);
  expectNear(run({ value_high: [0.6, 0.7, 0.8], value_keep: [0.6, 0.6, 0.6] }).advantage_switch, [0, 0.075, -0.1]);
  // Without a head of its own the high value is the low one: no gap.
  expectNear(run({}).advantage_switch, [0, 0, 0]);
  expect(run({}).return_term).toBeUndefined();
});

/** Two turns with the parts switch, subgoal, action; a turn without an action; a turn with no policy token. */
const marked = {
  id: "m",
  tokens: { mask: [1, 1, 1, 1, 1, 1, 0, 0], part: [1, 2, 3, 1, 2, 0, 3, 1] },
  turns: {
    end: [3, 6, 8],
    switch: [1, 1, 1],
    reward: [1, 2, 4],
    value_low: [0, 0, 0],
    value_high: [0.5, 0.25, 0],
    value_term: [1, 1, 1],
  },
};

test("tokens get the advantage of their part; a turn without an action acts with all of its tokens", () => {
  const p = { norm_adv: false, gamma: 0.5, lam_seg: 0 };
  const out = rolloutObject(assign(batchFromObjects([marked]), "hiper", p), 0);
  // Returns to the end of each one-turn segment: 1 + 0.5·0.25, 2 + 0.5·0, 4. The last turn is empty, its reward still flows.
  expectNear(out.turns?.advantage_low, [1.125, 2, 0]);
  expectNear(out.turns?.advantage_high, [0.625, 1.75, 0]);
  expectNear(out.turns?.advantage_switch, [0.125, 1, 0]);
  expectNear(out.turns?.return_low, [1.125, 2, 4]);
  expectNear(out.tokens?.advantage, [0.125, 0.625, 1.125, 2 + 1, 2 + 1.75, 2, 0, 0]);
});

test("normalisation runs over the turns of the call that have a token of the role", () => {
  const p = { gamma: 0.5, lam_seg: 0, eps: 0 };
  const plain = { id: "p", tokens: { id: [1] }, turns: { end: [1], switch: [1], reward: [5], value_low: [0] } };
  const out = assign(batchFromObjects([marked, plain]), "hiper", p);
  // Low: 1.125, 2, 5; high and switch of the rollout without marks and without a third value stay 0 and out of the pool.
  const mean = 8.125 / 3;
  const spread = Math.sqrt(((1.125 - mean) ** 2 + (2 - mean) ** 2 + (5 - mean) ** 2) / 3);
  const [m, q] = [rolloutObject(out, 0), rolloutObject(out, 1)];
  expectNear(m.turns?.advantage_low, [(1.125 - mean) / spread, (2 - mean) / spread, 0]);
  expectNear(q.turns?.advantage_low, [(5 - mean) / spread]);
  expectNear(m.turns?.advantage_high, [-1, 1, 0]);
  expectNear(q.turns?.advantage_high, [0]);
  expectNear(m.turns?.advantage_switch, [-1, 1, 0]);
  expectNear(q.turns?.advantage_switch, [0]);
  expectNear(q.tokens?.advantage, [(5 - mean) / spread]);
  expect(assign(batchFromObjects([plain]), "hiper").numbers("turns.advantage_low")[0]).toBe(0);
});

test("two passes over pieces give what one pass over the whole gives", () => {
  const { twoPass } = findMethod("hiper");
  fc.assert(
    fc.property(episodes, (list) => {
      const rollouts = list.map(objectOf);
      const p = methodParams(hiper, {});
      const whole = assign(batchFromObjects(rollouts), "hiper");
      const pieces = rollouts.map((rollout) => batchFromObjects([rollout]));
      const state = pieces.reduce<unknown>((known, piece) => twoPass?.collect(piece, p, known), null);
      const plain = JSON.parse(JSON.stringify(state));
      pieces.forEach((piece, i) => {
        const credited = twoPass?.apply(piece, p, plain);
        for (const path of ["turns.advantage_low", "turns.advantage_high", "turns.advantage_switch"]) {
          const name = path.slice("turns.".length);
          expectNear(credited?.cells(path), rolloutObject(whole, i).turns?.[name] as number[]);
        }
      });
    }),
    { numRuns: 100 },
  );
});

test("presets of the released scripts and what the card forbids", () => {
  expect(methodParams(hiper, {}, "alfworld")).toMatchObject({ bootstrap_truncated: true, keep_penalty: -0.3 });
  expect(methodParams(hiper, {}, "webshop")).toMatchObject({ bootstrap_truncated: false, keep_penalty: -3.5 });
  const turns = { reward: [1], switch: [1], value_low: [0] };
  const run =
    (more: object, p: object = {}) =>
    () =>
      assign(batchFromObjects([{ id: "bad", turns: { ...turns, ...more } }]), "hiper", { ...p });
  expect(run({})).not.toThrow();
  expect(run({ switch: [2] })).toThrow(/"bad".*turns\.switch/);
  expect(run({ switch: [null] })).toThrow(/"bad".*turns\.switch/);
  expect(run({ value_low: [null] })).toThrow(/"bad".*turns\.value_low/);
  expect(run({ reward: [null] })).toThrow(/"bad".*turns\.reward/);
  for (const name of ["reward", "switch", "value_low"]) {
    const rest = Object.fromEntries(Object.entries(turns).filter(([key]) => key !== name));
    expect(() => assign(batchFromObjects([{ id: "bad", turns: rest }]), "hiper")).toThrow(InputError);
  }
  const tokens = { tokens: { part: [4] }, turns: { ...turns, end: [1] } };
  expect(() => assign(batchFromObjects([{ id: "bad", ...tokens }]), "hiper")).toThrow(/"bad".*tokens\.part/);
  for (const p of [{ keep_penalty: 0.1 }, { invalid_penalty: -1 }, { lam: 2 }, { switch_mode: "both" }]) {
    expect(run({}, p)).toThrow(InputError);
  }
});

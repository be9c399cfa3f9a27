import fc from "fast-check";
import { expect, test } from "vitest";
import { turnGae } from "../../src/methods/turn/turn-ppo.ts";
import { turnRatio } from "../../src/methods/turn/turn-ratio.ts";
import { InputError, type RolloutObject } from "../../src/rollouts/index.ts";
import { credit, expectTwoPass } from "./credit.ts";

const value = fc.double({ min: -1, max: 1, noNaN: true });
const turn = fc.record({
  reward: value,
  value,
  tokens: fc.array(fc.record({ mask: fc.constantFrom(0, 1), value }), { maxLength: 3 }),
});
const rollouts = fc
  .array(fc.record({ bootstrap: value, turns: fc.array(turn, { minLength: 1, maxLength: 4 }) }), {
    minLength: 1,
    maxLength: 4,
  })
  .map((list) =>
    list.map(({ bootstrap, turns }, i) => {
      // Every turn starts with a policy token, so that it has a value at its tokens too.
      const tokens = turns.map((t) => [{ mask: 1, value: t.value }, ...t.tokens]);
      const ends = tokens.map((_, k) => tokens.slice(0, k + 1).flat().length);
      return {
        id: `r${i}`,
        reward: 0,
        signals: { bootstrap_value: bootstrap },
        tokens: { mask: tokens.flat().map((t) => t.mask), value: tokens.flat().map((t) => t.value) },
        turns: { end: ends, reward: turns.map((t) => t.reward), value: turns.map((t) => t.value) },
      } satisfies RolloutObject;
    }),
  );
const plain = { whiten_advantage: "none", gamma: 0.9, lam: 0.8 };

test("turn GAE is the sum of discounted errors; values at the first token are those of the turns", () => {
  fc.assert(
    fc.property(rollouts, (list) => {
      const out = credit("turn-ppo", list, plain, "turns.advantage");
      let row = 0;
      for (const { turns, signals } of list) {
        const { reward, value } = turns;
        const delta = reward.map((r, t) => r + 0.9 * (value[t + 1] ?? signals.bootstrap_value) - value[t]);
        const own = turnGae({ reward, value, bootstrap: signals.bootstrap_value, gamma: 0.9, lam: 0.8 });
        for (const t of delta.keys()) {
          const sum = delta.slice(t).reduce((total, d, k) => total + (0.9 * 0.8) ** k * d, 0);
          expect(out[row]).toBeCloseTo(sum, 9);
          expect(own[t]).toBeCloseTo(sum, 9);
          row++;
        }
      }
      const bare = list.map(({ turns: { value: _, ...turns }, ...rest }) => ({ ...rest, turns }));
      credit("turn-ppo", bare, plain, "turns.advantage").forEach((a, k) => {
        expect(a).toBeCloseTo(out[k], 9);
      });
    }),
  );
});

test("bi-level: inside a turn GAE runs down from the turn's advantage at its last policy token", () => {
  fc.assert(
    fc.property(rollouts, (list) => {
      const p = { ...plain, mode: "bi_level", token_gamma: 0.95, token_lam: 0.7 };
      const tokens = credit("turn-ppo", list, p, "tokens.advantage");
      const turns = credit("turn-ppo", list, p, "turns.advantage");
      const returns = credit("turn-ppo", list, p, "tokens.return");
      let first = 0;
      let row = 0;
      for (const rollout of list) {
        rollout.turns.end.forEach((end, k) => {
          const from = k === 0 ? 0 : rollout.turns.end[k - 1];
          const own = Array.from({ length: end - from }, (_, t) => from + t).filter(
            (t) => rollout.tokens.mask[t] === 1,
          );
          own.forEach((t, j) => {
            const v = rollout.tokens.value[t];
            const next = own[j + 1];
            const expected =
              next === undefined
                ? turns[row]
                : 0.95 * rollout.tokens.value[next] - v + 0.95 * 0.7 * tokens[first + next];
            expect(tokens[first + t]).toBeCloseTo(expected, 9);
            expect(returns[first + t]).toBeCloseTo(expected + v, 9);
          });
          row++;
        });
        first += rollout.tokens.mask.length;
      }
    }),
  );
});

test("whitening: mean 0 and spread 1 over turns with a policy token, or over policy tokens; two passes agree", () => {
  fc.assert(
    fc.property(
      rollouts,
      fc.constantFrom("turns", "tokens"),
      fc.constantFrom("turn", "bi_level"),
      (list, whiten_advantage, mode) => {
        const params = { whiten_advantage, mode };
        expectTwoPass(
          "turn-ppo",
          list,
          list.map((_, i) => [i]),
          params,
        );
        const perToken = whiten_advantage === "tokens" || mode === "bi_level";
        const mask = list.flatMap((r) => r.tokens.mask);
        const moments = (p: Record<string, unknown>) => {
          const all = credit("turn-ppo", list, p, perToken ? "tokens.advantage" : "turns.advantage");
          const set = perToken ? all.filter((_, t) => mask[t] === 1) : all;
          const mean = set.reduce((a, b) => a + b, 0) / set.length;
          const squares = set.reduce((a, x) => a + (x - mean) ** 2, 0);
          return { mean, variance: set.length < 2 ? 0 : squares / (set.length - 1) };
        };
        const { variance: raw } = moments({ mode, whiten_advantage: "none" });
        const { mean, variance } = moments(params);
        expect(mean).toBeCloseTo(0, 6);
        expect(variance).toBeCloseTo(raw / (raw + 1e-8), 6);
      },
    ),
  );
});

test("a turn without policy tokens counts in the recursion, not in the statistics; with token values it is refused", () => {
  const rollouts = (value: object) => [
    { id: "a", reward: 1, tokens: { mask: [1, 0, 1], value: [0, 0, 0] }, turns: { end: [1, 2, 3], ...value } },
  ];
  const given = rollouts({ value: [0.5, 0.2, 0.1] });
  const raw = credit("turn-ppo", given, plain, "turns.advantage");
  const mean = (raw[0] + raw[2]) / 2;
  const white = credit("turn-ppo", given, { gamma: 0.9, lam: 0.8, var_eps: 0 }, "turns.advantage");
  const spread = Math.abs(raw[0] - raw[2]) / Math.SQRT2;
  expect(white[1]).toBeCloseTo((raw[1] - mean) / spread, 9);
  expect(() => credit("turn-ppo", rollouts({}), plain, "turns.advantage")).toThrow(/policy token/);
  const bare = [{ id: "a", reward: 1, turns: { agent: ["x"] } }];
  expect(() => credit("turn-ppo", bare, {}, "turns.advantage")).toThrow(/turns\.value or tokens\.value/);
  expect(() => credit("turn-ppo", bare, { mode: "bi_level" }, "turns.advantage")).toThrow(/no tokens/);
  const single = [{ id: "a", reward: 1, turns: { value: [0.2] } }];
  expect(credit("turn-ppo", single, {}, "turns.advantage")).toEqual([0]);
});

test("forms of the turn ratio, and what is refused", () => {
  const args = { logprob: [-1, -2, -3], old_logprob: [-1.5, -2.5, -2], end: [2, 3], mask: [1, 1, 1] as (0 | 1)[] };
  expect(turnRatio({ ...args, form: "token" })[2]).toBeCloseTo(Math.exp(-1), 12);
  expect(turnRatio({ ...args, form: "product" })[0]).toBeCloseTo(Math.exp(1), 12);
  expect(turnRatio(args)[0]).toBeCloseTo(Math.exp(0.5), 12);
  for (const wrong of [
    { end: [3, 2] },
    { end: [2] },
    { mask: [1 as const] },
    { logprob: [3000, 0, 0] },
    { end: [0, 3] },
  ])
    expect(() => turnRatio({ ...args, ...wrong })).toThrow(InputError);
});

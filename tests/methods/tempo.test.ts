import fc from "fast-check";
import { expect, test } from "vitest";
import { assign } from "../../src/methods/assign.ts";
import { batchFromObjects } from "../../src/rollouts/index.ts";

interface Response {
  group: string;
  tokens: [id: number, mask: number][];
  reward: number;
}

const responses = fc.array(
  fc.record({
    group: fc.constantFrom("a", "b"),
    tokens: fc.array(fc.tuple(fc.constantFrom(1, 2, 3), fc.constantFrom(1, 1, 1, 0)), { maxLength: 7 }),
    reward: fc.constantFrom(0, 1, 0.5, 0.1, -2),
  }),
  { minLength: 1, maxLength: 12 },
);

type Params = { norm_by_std?: boolean; td_weight?: number; mask_gap?: "continue" | "stop"; eps?: number };
const settings = fc.record({
  norm_by_std: fc.boolean(),
  td_weight: fc.constantFrom(0, 1, 2.5),
  mask_gap: fc.constantFrom("continue" as const, "stop" as const),
});

function batchOf(list: readonly Response[]) {
  return batchFromObjects(
    list.map(({ group, tokens, reward }, i) => ({
      id: `r${i}`,
      group,
      reward,
      tokens: { id: tokens.map(([id]) => id), mask: tokens.map(([, m]) => m) },
    })),
  );
}

/** One list per rollout of a token column. */
function lists(list: readonly Response[], params: Params, path: string): number[][] {
  const batch = assign(batchOf(list), "tempo", params);
  const values = batch.numbers(path);
  const offsets = batch.offsets("token");
  return list.map((_, i) => [...values.subarray(offsets[i], offsets[i + 1])]);
}

/** Rollouts of i's group that agree with it on the first t tokens. */
function sharing(list: readonly Response[], i: number, t: number): number[] {
  const own = list[i];
  return list.flatMap(({ group, tokens }, k) =>
    group === own.group && tokens.length >= t && own.tokens.slice(0, t).every(([id], s) => tokens[s][0] === id)
      ? [k]
      : [],
  );
}

function meanReward(list: readonly Response[], members: readonly number[]): number {
  return members.reduce((sum, k) => sum + list[k].reward, 0) / members.length;
}

test("advantage, value and branch are those of the definition, worked out by comparing all pairs", () => {
  fc.assert(
    fc.property(responses, settings, (list, params) => {
      const advantage = lists(list, params, "tokens.advantage");
      const value = lists(list, params, "tokens.value");
      const branch = lists(list, params, "tokens.branch");
      list.forEach(({ tokens, reward }, i) => {
        const group = sharing(list, i, 0);
        const rewards = group.map((k) => list[k].reward);
        const flat = Math.max(...rewards) === Math.min(...rewards);
        const mu = meanReward(list, group);
        const sigma = Math.sqrt(rewards.reduce((sum: number, r) => sum + (r - mu) ** 2, 0) / (group.length - 1));
        const firstMasked = tokens.findIndex(([, m]) => m === 0);
        tokens.forEach(([, mask], t) => {
          const before = sharing(list, i, t);
          const after = sharing(list, i, t + 1);
          const delta = meanReward(list, after) - meanReward(list, before);
          const counted = params.mask_gap === "continue" || firstMasked < 0 || t < firstMasked;
          const numerator = reward - mu + (counted ? params.td_weight * delta : 0);
          const expected = flat || mask === 0 ? 0 : params.norm_by_std ? numerator / (sigma + 1e-6) : numerator;
          expect(advantage[i][t]).toBeCloseTo(expected, 9);
          expect(value[i][t]).toBeCloseTo(meanReward(list, after), 9);
          expect(branch[i][t]).toBe(after.length < before.length ? 1 : 0);
        });
      });
    }),
  );
});

test("through a node the jumps add up to its rollouts times the step of value; outcomes of a group add up to 0", () => {
  fc.assert(
    fc.property(responses, (given) => {
      const list = given.map((response) => ({
        ...response,
        tokens: response.tokens.map(([id]): [number, number] => [id, 1]),
      }));
      const full = lists(list, { norm_by_std: false }, "tokens.advantage");
      const outcome = lists(list, { norm_by_std: false, td_weight: 0 }, "tokens.advantage");
      const value = lists(list, {}, "tokens.value");
      list.forEach(({ tokens }, i) => {
        const group = sharing(list, i, 0);
        if (new Set(group.map((k) => list[k].reward)).size === 1) return;
        tokens.forEach((_, t) => {
          const members = sharing(list, i, t + 1);
          const td = members.reduce((sum, k) => sum + full[k][t] - outcome[k][t], 0);
          const above = t === 0 ? meanReward(list, group) : value[i][t - 1];
          expect(td).toBeCloseTo(members.length * (value[i][t] - above), 9);
        });
        if (group.some((k) => list[k].tokens.length === 0)) return;
        expect(group.reduce((sum, k) => sum + outcome[k][0], 0)).toBeCloseTo(0, 9);
      });
    }),
  );
});

test("without the branch term it is GRPO", () => {
  fc.assert(
    fc.property(responses, fc.boolean(), (list, norm_by_std) => {
      const plain = assign(batchOf(list), "grpo", { norm_by_std }).numbers("tokens.advantage");
      const own = lists(list, { td_weight: 0, norm_by_std }, "tokens.advantage").flat();
      own.forEach((a, t) => {
        expect(a).toBeCloseTo(plain[t], 9);
      });
    }),
  );
});

test("groups of equal rewards, and of one, get exact zeros", () => {
  fc.assert(
    fc.property(responses, fc.constantFrom(0.1, 1 / 3, -7), (list, reward) => {
      const equal = list.map((response) => ({ ...response, reward }));
      expect(
        lists(equal, {}, "tokens.advantage")
          .flat()
          .every((a) => a === 0),
      ).toBe(true);
      expect(
        lists(list.slice(0, 1), {}, "tokens.advantage")
          .flat()
          .every((a) => a === 0),
      ).toBe(true);
    }),
  );
});

test("a response alone from its first token on has value and branch of its own", () => {
  const batch = batchFromObjects([{ id: "solo", reward: 0.25, tokens: { id: [4, 4, 5] } }]);
  const result = assign(batch, "tempo");
  expect([...result.numbers("tokens.value")]).toEqual([0.25, 0.25, 0.25]);
  expect([...result.numbers("tokens.branch")]).toEqual([0, 0, 0]);
});

test("a missing reward or missing ids stop it, naming the rollout", () => {
  const good = { id: "a", group: "p", reward: 1, tokens: { id: [1] } };
  expect(() => assign(batchFromObjects([good, { ...good, id: "b", reward: null }]), "tempo")).toThrow(/"b"/);
  expect(() => assign(batchFromObjects([good, { ...good, id: "c", tokens: { mask: [1] } }]), "tempo")).toThrow(
    /"c".*tokens\.id/,
  );
});

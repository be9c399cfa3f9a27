import fc from "fast-check";
import { expect, test } from "vitest";
import { assign } from "../../src/methods/assign.ts";
import { infoGain } from "../../src/methods/turn/igpo.ts";
import { batchFromObjects, InputError, rolloutObject } from "../../src/rollouts/index.ts";

const belief = fc.double({ min: -6, max: 0, noNaN: true });
const rollouts = fc
  .array(
    fc.record({
      group: fc.constantFrom("a", "b"),
      reward: fc.constantFrom(0, 0.5, 1),
      first: fc.option(belief),
      logprob: fc.array(fc.option(belief, { freq: 4 }), { minLength: 1, maxLength: 5 }),
    }),
    { minLength: 1, maxLength: 7 },
  )
  .map((list) =>
    list.map(({ group, reward, first, logprob }, i) => ({
      id: `r${i}`,
      group,
      reward,
      signals: { gt_logprob_0: first },
      turns: { gt_logprob: logprob },
    })),
  );
const params = fc.record({
  info_gain: fc.constantFrom("log_prob", "prob"),
  norm: fc.constantFrom("separate", "joint"),
  gamma: fc.constantFrom(1, 0.5),
  eps: fc.constantFrom(1e-6, 0.1),
  var_eps: fc.constantFrom(1e-8, 0.1),
  norm_by_std: fc.boolean(),
  ig_weight: fc.constantFrom(0, 1, 2),
  outcome_weight: fc.constantFrom(0.5, 1),
});

/** Centres and scales a pool by the definition; a pool of fewer than two has spread 1. */
function normalized(
  x: number,
  pool: readonly number[],
  p: { eps: number; var_eps: number; norm_by_std: boolean },
): number {
  const mean = pool.reduce((a, b) => a + b, 0) / pool.length;
  if (pool.every((y) => y === pool[0])) return 0;
  const variance = pool.reduce((sum, y) => sum + (y - mean) ** 2, 0) / pool.length;
  return (x - mean) / (p.norm_by_std ? Math.sqrt(variance + p.var_eps) + p.eps : 1);
}

test("credit equals the definition, written with plain lists", () => {
  fc.assert(
    fc.property(rollouts, params, (list, p) => {
      const gains = list.map(({ signals, turns }) =>
        infoGain({ gt_logprob: turns.gt_logprob, gt_logprob_0: signals.gt_logprob_0, kind: p.info_gain as "prob" }),
      );
      const out = assign(batchFromObjects(list), "igpo", p);
      list.forEach(({ group, reward, turns }, i) => {
        const mates = list.flatMap((other, k) => (other.group === group ? [k] : []));
        const ofGains = mates.flatMap((k) => gains[k].flatMap((g) => (g === null ? [] : [p.ig_weight * g])));
        const ofOutcomes = mates.map((k) => p.outcome_weight * list[k].reward);
        const joint = [...ofGains, ...ofOutcomes];
        const last = turns.gt_logprob.length - 1;
        const rewards = gains[i].map((gain, t) => {
          if (t === last) return normalized(p.outcome_weight * reward, p.norm === "joint" ? joint : ofOutcomes, p);
          return gain === null ? 0 : normalized(p.ig_weight * gain, p.norm === "joint" ? joint : ofGains, p);
        });
        const { info_gain, advantage } = rolloutObject(out, i).turns as Record<string, (number | null)[]>;
        expect(info_gain).toEqual(gains[i]);
        rewards.forEach((_, t) => {
          const wanted = rewards.slice(t).reduce((sum, r, k) => sum + p.gamma ** k * r, 0);
          expect(advantage[t]).toBeCloseTo(wanted, 6);
        });
      });
    }),
    { numRuns: 300 },
  );
});

test("gains telescope: their sum is the last measured belief minus the first", () => {
  fc.assert(
    fc.property(fc.array(fc.option(belief), { minLength: 1, maxLength: 8 }), fc.option(belief), (logprob, first) => {
      const gains = infoGain({ gt_logprob: logprob, gt_logprob_0: first });
      const measured = [first, ...logprob.slice(0, -1)].filter((x) => x !== null);
      const expected = measured.length < 2 ? 0 : measured[measured.length - 1] - measured[0];
      expect(gains.reduce((sum: number, g) => sum + (g ?? 0), 0)).toBeCloseTo(expected, 10);
      expect(gains[gains.length - 1]).toBeNull();
    }),
  );
});

test("a turn that lowers the belief and one that restores it cancel for gamma 1", () => {
  const detour = {
    id: "d",
    group: "g",
    reward: 1,
    signals: { gt_logprob_0: -2 },
    turns: { gt_logprob: [-3, -2, null] },
  };
  const still = {
    id: "s",
    group: "g",
    reward: 1,
    signals: { gt_logprob_0: -2 },
    turns: { gt_logprob: [-2, -2, null] },
  };
  const out = assign(batchFromObjects([detour, still]), "igpo", { norm_by_std: false });
  expect(rolloutObject(out, 0).turns?.advantage).toEqual([0, 1, 0]);
  expect(rolloutObject(out, 1).turns?.advantage).toEqual([0, 0, 0]);
});

test("constant weights cancel with separate pools and count with a joint one", () => {
  const list = [
    { id: "a", group: "g", reward: 1, turns: { info_gain: [0.5, 0.1, 9] } },
    { id: "b", group: "g", reward: 0, turns: { info_gain: [-0.5, null] } },
  ];
  const run = (p: object) =>
    assign(batchFromObjects(list), "igpo", { eps: 0, var_eps: 0, ...p }).cells("turns.advantage");
  const near = (a: readonly unknown[], b: readonly unknown[]) =>
    a.every((x, k) => Math.abs((x as number) - (b[k] as number)) < 1e-9);
  expect(near(run({}), run({ ig_weight: 3, outcome_weight: 7 }))).toBe(true);
  expect(near(run({ norm: "joint" }), run({ norm: "joint", ig_weight: 3 }))).toBe(false);
});

test("given gains win over beliefs, and the entry of the last turn is ignored", () => {
  const list = [
    {
      id: "a",
      reward: 1,
      turns: { info_gain: [0.5, null, 4], gt_logprob: [-1, -2, -3] },
      signals: { gt_logprob_0: -9 },
    },
    { id: "b", reward: 1, turns: { gt_logprob: [-1, -2, -3] }, signals: { gt_logprob_0: -9 } },
  ];
  const out = assign(batchFromObjects(list), "igpo");
  expect(rolloutObject(out, 0).turns?.info_gain).toEqual([0.5, null, null]);
  expect(rolloutObject(out, 1).turns?.info_gain).toEqual([8, -1, null]);
});

test("tokens: policy tokens of the turn, and none at all for a rollout without a response", () => {
  const list = [
    { id: "a", group: "g", reward: 1, tokens: { mask: [1, 0, 0, 1] }, turns: { end: [1, 4], info_gain: [1, null] } },
    { id: "b", group: "g", reward: 0, tokens: { mask: [0, 1] }, turns: { end: [1, 2], info_gain: [1, null] } },
  ];
  const out = assign(batchFromObjects(list), "igpo", { var_eps: 0, eps: 0 });
  expect(rolloutObject(out, 0).tokens?.advantage).toEqual([1, 0, 0, 1]);
  expect(rolloutObject(out, 1).tokens?.advantage).toEqual([0, -1]);
  const without = list.map(({ tokens, turns, ...rest }) => ({ ...rest, turns: { info_gain: turns.info_gain } }));
  expect(assign(batchFromObjects(without), "igpo").has("tokens.advantage")).toBe(false);
});

test("what the card forbids is refused, naming the rollout", () => {
  const good = { id: "good", reward: 1, turns: { gt_logprob: [-1, null] } };
  const refuse = (bad: object, message: RegExp) => {
    const batch = batchFromObjects([good, { id: "bad", reward: 1, ...bad }]);
    expect(() => assign(batch, "igpo")).toThrow(InputError);
    expect(() => assign(batch, "igpo")).toThrow(message);
  };
  refuse({}, /"bad".*turns/);
  refuse({ turns: { gt_logprob: [] } }, /"bad".*turns/);
  refuse({ turns: { reward: [1] } }, /"bad".*gt_logprob/);
  refuse({ turns: { gt_logprob: ["x", null] } }, /gt_logprob/);
  refuse({ reward: null, turns: { gt_logprob: [-1, null] } }, /"bad".*rollout\.reward/);
  const unplaced = { id: "bad", reward: 1, tokens: { id: [1] }, turns: { gt_logprob: [null] } };
  expect(() => assign(batchFromObjects([unplaced]), "igpo")).toThrow(/"bad".*turns\.end/);
  expect(() => infoGain({ gt_logprob: [Number.NaN] })).toThrow(InputError);
  expect(() => infoGain({ gt_logprob: [800, 900, 0], gt_logprob_0: 1, kind: "prob" })).toThrow(InputError);
  expect(() => infoGain({ gt_logprob: [-1], kind: "odds" as "prob" })).toThrow(InputError);
  for (const bad of [{ gamma: 0 }, { gamma: 1.1 }, { eps: -1 }, { ig_weight: -1 }, { norm: "both" }]) {
    expect(() => assign(batchFromObjects([good]), "igpo", bad)).toThrow(InputError);
  }
});

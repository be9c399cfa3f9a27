import fc from "fast-check";
import { expect, test } from "vitest";
import { flowInput, flowScore } from "../../src/methods/shaping/rlfr.ts";
import { expectNear } from "../operators/arbitraries.ts";
import { credit, warningsOf } from "./credit.ts";
import { groupNormalised, mean, sum } from "./plain.ts";

const score = fc.constantFrom(0, 0.5, 1, 2, 2.5, 4);
const response = fc.record({
  reward: fc.constantFrom(0, 1),
  group: fc.constantFrom("p", "q"),
  tokens: fc.array(fc.tuple(score, fc.constantFrom(0, 1, 1)), { minLength: 1, maxLength: 7 }),
});

test("fines the worst tokens and pays the outcome at the end", () => {
  fc.assert(
    fc.property(fc.array(response, { minLength: 1, maxLength: 5 }), fc.constantFrom(0, 1, 3), (list, topk) => {
      const rollouts = list.map(({ reward, group, tokens }, i) => {
        return {
          id: `r${i}`,
          reward,
          group,
          tokens: { flow_score: tokens.map(([s]) => s), mask: tokens.map(([, m]) => m) },
        };
      });
      const outcome = groupNormalised(
        list.map(({ reward }) => reward),
        list.map(({ group }) => group),
        1e-9,
        () => 0,
      );
      const fines: number[] = [];
      const returns: number[] = [];
      list.forEach(({ tokens }, i) => {
        const own = tokens.flatMap(([s, m], t) => (m === 1 ? [{ s, t }] : []));
        const [low, high] = [Math.min(...own.map(({ s }) => s)), Math.max(...own.map(({ s }) => s))];
        const scaled = own.map(({ s, t }) => ({ x: high > low ? (s - low) / (high - low) : 0, t }));
        let kept = scaled.filter(({ x }) => x > 0.6);
        if (topk > 0 && kept.length >= topk) kept = kept.sort((a, b) => b.x - a.x || a.t - b.t).slice(0, topk);
        const fine = tokens.map((_, t) => -0.01 * (kept.find((one) => one.t === t)?.x ?? 0));
        const last = own.at(-1)?.t ?? -1;
        fines.push(...fine);
        returns.push(...tokens.map(([, m], t) => (m === 0 ? 0 : sum(fine.slice(t)) + (t <= last ? outcome[i] : 0))));
      });
      expectNear(credit("rlfr", rollouts, { topk }, "tokens.flow_reward"), fines);
      expectNear(credit("rlfr", rollouts, { topk }, "tokens.advantage"), returns);
    }),
  );
});

test("the second smallest value as origin leaves the smallest below 0", () => {
  const rollout = [{ id: "a", reward: 1, tokens: { flow_score: [1, 3, 2] } }];
  const params = { min_mode: "second_distinct", threshold: 0, flow_coef: 1 };
  expectNear(credit("rlfr", rollout, params, "tokens.flow_reward"), [1, -1, 0]);
  expectNear(credit("rlfr", rollout, { ...params, threshold: 0.5 }, "tokens.flow_reward"), [0, -1, 0]);
});

test("a KL term and a discount count policy tokens only", () => {
  const tokens = { flow_score: [0, 0, 0], mask: [1, 0, 1], logprob: [-1, null, -2], ref_logprob: [-2, null, -2] };
  const rollouts = [
    { id: "a", group: "g", reward: 1, tokens },
    { id: "b", group: "g", reward: 0, tokens },
  ];
  const last = Math.SQRT1_2;
  const found = credit("rlfr", rollouts, { kl_coef: 0.5, gamma: 0.5 }, "tokens.advantage");
  expectNear(found, [last / 2 - 0.5, 0, last, -last / 2 - 0.5, 0, -last], 1e-8);
});

test("the score is 0 for the right velocity and grows with the time", () => {
  const vectors = fc.array(
    fc.tuple(fc.double({ min: -2, max: 2, noNaN: true }), fc.double({ min: -2, max: 2, noNaN: true })),
    {
      minLength: 1,
      maxLength: 4,
    },
  );
  fc.assert(
    fc.property(vectors, fc.double({ min: 0.05, max: 0.95, noNaN: true }), (list, t) => {
      const [latent, noise] = [list.map(([h]) => h), list.map(([, e]) => e)];
      const { x, velocity } = flowInput({ latent, noise, t });
      expectNear(
        x.map((at, k) => at + (1 - t) * velocity[k]),
        latent,
      );
      expect(flowScore({ latent, noise, predicted: velocity, t })).toBe(0);
      const off = velocity.map((v, k) => v + k + 1);
      const deviation = mean(off.map((_, k) => (k + 1) ** 2));
      expectNear([flowScore({ latent, noise, predicted: off, t, debias: false })], [deviation]);
      expectNear([flowScore({ latent, noise, predicted: off, t })], [(deviation * t) / (1 - t)]);
    }),
  );
});

test("says when an outcome has nowhere to go", () => {
  const rollout = [{ id: "a", reward: 1, tokens: { flow_score: [1], mask: [0] } }];
  expect(warningsOf("rlfr", rollout)).toHaveLength(1);
  expect(credit("rlfr", rollout, {}, "tokens.advantage")).toEqual([0]);
});

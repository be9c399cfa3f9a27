import fc from "fast-check";
import { expect, test } from "vitest";
import { assign } from "../../src/methods/assign.ts";
import { logitGradientProxy, sumPiSquared } from "../../src/methods/group/optimal-token-baseline.ts";
import { batchFromObjects, rolloutObject } from "../../src/rollouts/index.ts";
import { credit } from "./credit.ts";

const token = fc.record({
  mask: fc.constantFrom(0, 1, 1),
  logprob: fc.double({ min: -3, max: 0, noNaN: true }),
  sum_pi_squared: fc.double({ min: 0, max: 1, noNaN: true }),
  is_weight: fc.double({ min: 0, max: 2, noNaN: true }),
  reward: fc.constantFrom(0, 0, 0.5, 1),
});
const rollouts = fc.array(fc.record({ group: fc.constantFrom("a", "b"), tokens: fc.array(token, { maxLength: 5 }) }), {
  minLength: 1,
  maxLength: 5,
});

test("credit equals the definition, written with plain lists", () => {
  const params = fc.record({
    variant: fc.constantFrom("multi_turn", "single_turn"),
    zero_tail: fc.boolean(),
    singleton: fc.constantFrom("zero", "reward"),
  });
  fc.assert(
    fc.property(rollouts, params, (list, p) => {
      const batch = batchFromObjects(
        list.map(({ group, tokens }, i) => ({
          id: `r${i}`,
          group,
          tokens: Object.fromEntries(
            (["mask", "logprob", "sum_pi_squared", "is_weight", "reward"] as const).map((k) => [
              k,
              tokens.map((t) => t[k]),
            ]),
          ),
        })),
      );
      const out = assign(batch, "optimal-token-baseline", p);
      // Policy tokens with their aligned position, return to go and realised energy.
      const rows = list.map(({ tokens }) => {
        let energy = 0;
        let k = -1;
        return tokens.flatMap((t, at) => {
          if (t.mask === 0) return [];
          k++;
          energy += Math.max(0, 1 - 2 * Math.exp(t.logprob) + t.sum_pi_squared) * t.is_weight ** 2;
          const toGo = tokens.slice(at).reduce((sum, u) => sum + u.mask * u.reward, 0);
          return [{ at, k: p.variant === "multi_turn" ? k : at, energy, toGo }];
        });
      });
      list.forEach(({ group, tokens }, i) => {
        const mates = list.flatMap((other, j) =>
          other.group === group && (p.variant === "single_turn" || rows[j].length > 0) ? [j] : [],
        );
        const counts = mates.map((j) => rows[j].length).sort((a, b) => b - a);
        const sole = rows[i].length === counts[0] && counts[0] > counts[1];
        const advantage = tokens.map(() => 0);
        for (const row of rows[i]) {
          if (mates.length === 1) {
            advantage[row.at] = p.singleton === "zero" ? 0 : row.toGo;
            continue;
          }
          const there = mates.flatMap((j) => rows[j].filter((other) => other.k === row.k));
          const total = there.reduce((sum, x) => sum + x.energy, 0) + 1e-8;
          const baseline = there.reduce((sum, x) => sum + x.toGo * x.energy, 0) / total;
          advantage[row.at] = row.toGo - (p.zero_tail && sole && row.k >= counts[1] ? 0 : baseline);
        }
        const actual = (rolloutObject(out, i).tokens as Record<string, number[]>).advantage;
        advantage.forEach((a, t) => {
          expect(actual[t]).toBeCloseTo(a, 9);
        });
      });
    }),
    { numRuns: 300 },
  );
});

test("the proxy is the squared norm of the gradient of log softmax by the logits", () => {
  fc.assert(
    fc.property(fc.array(fc.double({ min: -3, max: 3, noNaN: true }), { minLength: 1, maxLength: 5 }), (z) => {
      const norm = z.reduce((sum, x) => sum + Math.exp(x), 0);
      const pi = z.map((x) => Math.exp(x) / norm);
      const [squared] = sumPiSquared({ logits: [z] });
      const [proxy] = logitGradientProxy({ logprob: [Math.log(pi[0])], sum_pi_squared: [squared] });
      const gradient = pi.map((p, v) => (v === 0 ? 1 : 0) - p);
      expect(proxy).toBeCloseTo(
        gradient.reduce((sum, x) => sum + x * x, 0),
        9,
      );
    }),
  );
});

test("missing energies and log-probabilities are refused", () => {
  expect(() => credit("optimal-token-baseline", [{ id: "a", reward: 1, tokens: { logprob: [-1] } }])).toThrow(
    /sum_pi_squared/,
  );
  expect(() => credit("optimal-token-baseline", [{ id: "a", reward: 1, tokens: { sum_pi_squared: [1] } }])).toThrow(
    /logprob/,
  );
  expect(() => sumPiSquared({ logits: [[]] })).toThrow(/logits/);
});

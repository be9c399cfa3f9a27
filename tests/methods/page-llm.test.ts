import fc from "fast-check";
import { expect, test } from "vitest";
import { bradleyTerryLoss, itemSwapPairs, ndcg, pagePairs } from "../../src/methods/preference/page-llm.ts";
import type { RolloutObject } from "../../src/rollouts/index.ts";
import { expectNear } from "../operators/arbitraries.ts";
import { credit } from "./credit.ts";
import { mean, sum } from "./plain.ts";

const value = fc.double({ min: -2, max: 2, noNaN: true });
const item = fc.record({
  reward: fc.option(value),
  tokens: fc.array(fc.tuple(fc.constantFrom(0, 1), value, value), { minLength: 1, maxLength: 3 }),
});
const page = fc.record({ page: fc.option(value), items: fc.array(item, { minLength: 1, maxLength: 4 }) });

/** Items one after another as a rollout. */
function rolloutOf({ page, items }: { page: number | null; items: { reward: number | null; tokens: number[][] }[] }) {
  const all = items.flatMap(({ tokens }) => tokens);
  let end = 0;
  const ends = items.map(({ tokens }) => {
    end += tokens.length;
    return end;
  });
  return {
    id: "a",
    rewards: { page },
    steps: { end: ends, item_reward: items.map(({ reward }) => reward) },
    tokens: { mask: all.map(([m]) => m), logprob: all.map(([, x]) => x - 5), value: all.map(([, , v]) => v) },
  } satisfies RolloutObject;
}

test("items are paid where they end, the page at the end, and lam = 1 sums it all up", () => {
  fc.assert(
    fc.property(page, fc.boolean(), (given, center_items) => {
      const rollout = rolloutOf(given);
      const { mask, value } = rollout.tokens;
      const rewards = mask.map(() => 0);
      const raw = given.items.map(({ reward }) => reward ?? 0);
      const items = raw.map((g) => (center_items ? g - mean(raw) : g));
      rollout.steps.end.forEach((end, k) => {
        const from = k === 0 ? 0 : rollout.steps.end[k - 1];
        const at = mask.lastIndexOf(1, end - 1);
        if (at >= from) rewards[at] += 0.5 * items[k];
      });
      const last = mask.lastIndexOf(1);
      if (last >= 0) rewards[last] += 2 * (given.page ?? 0);
      const params = { center_items, item_weight: 0.5, page_weight: 2, lam: 1 };
      const column = (path: string) => credit("page-llm", [rollout], params, path);
      expectNear(column("tokens.reward"), rewards);
      const toGo = mask.map((m, t) => (m === 0 ? 0 : sum(rewards.slice(t))));
      expectNear(column("tokens.return"), toGo);
      expectNear(
        column("tokens.advantage"),
        toGo.map((g, t) => (mask[t] === 0 ? 0 : g - value[t])),
      );
      expectNear(column("rollout.reward"), [2 * (given.page ?? 0) + 0.5 * sum(items)]);
    }),
  );
});

test("the KL is charged only where both log-probabilities are there", () => {
  const tokens = { logprob: [-1, -2], ref_logprob: [-2, -4] };
  const reward = (table: Record<string, number[]>) =>
    credit("page-llm", [{ id: "a", rewards: { page: 0 }, tokens: table }], {}, "tokens.reward");
  expectNear(reward(tokens), [-0.05, -0.1]);
  expectNear(reward({ logprob: tokens.logprob }), [0, 0]);
  expect(() => credit("page-llm", [{ id: "a", tokens }])).toThrow(/rewards\.page or steps\.item_reward/);
});

test("a swap costs what NDCG loses by it, up to the best order", () => {
  const engaged = fc.array(fc.constantFrom(0 as const, 1 as const), { minLength: 2, maxLength: 6 });
  fc.assert(
    fc.property(engaged, (bits) => {
      const pairs = itemSwapPairs({ engaged: bits });
      expect(pairs).toHaveLength(sum(bits.map((b, i) => (b === 1 ? bits.slice(i).filter((x) => x === 0).length : 0))));
      const ideal = sum(bits.filter((b) => b === 1).map((_, k) => 1 / Math.log2(k + 2)));
      for (const { i, j, weight } of pairs) {
        const swapped = bits.with(i, bits[j]).with(j, bits[i]);
        expectNear([(ndcg({ relevance: bits }) - ndcg({ relevance: swapped })) * ideal], [weight]);
      }
    }),
  );
  expectNear([ndcg({ relevance: [2, 0, 3], k: 1 })], [3 / 7]);
  expectNear([bradleyTerryLoss({ chosen: [1, 0], rejected: [0, 0], weights: [0, 2] })], [Math.log(2)]);
});

test("rejected pages differ from the logged one by what their family says", () => {
  const items = ["a", "b", "c", "d"];
  const category = { a: "x", b: "y", c: "x", d: "y", e: "x", f: "y", g: "x" };
  const logged = fc.record({
    order: fc.shuffledSubarray(items, { minLength: 1 }),
    bits: fc.array(fc.constantFrom(0 as const, 1 as const), { minLength: 4, maxLength: 4 }),
    pick: fc.record({ engaged: fc.nat(9), pool: fc.nat(9), slot: fc.nat(9), source: fc.nat(9) }),
  });
  fc.assert(
    fc.property(logged, ({ order, bits, pick }) => {
      const engaged = bits.slice(0, order.length);
      const rejected = pagePairs({ page: order, engaged, category, pool: ["e", "f", "g"], pick });
      const changed = (list: string[]) => list.flatMap((x, k) => (x === order[k] ? [] : [k]));
      for (const { family, rejected: worse } of rejected) {
        expect(worse).toHaveLength(order.length);
        if (family === "ranking") {
          const after = worse.map((x) => engaged[order.indexOf(x)]);
          expect(after).toEqual(after.toSorted());
          continue;
        }
        const [k, ...more] = changed(worse);
        expect(more).toEqual([]);
        expect(engaged[k]).toBe(family === "relevance" ? 1 : 0);
        if (family === "redundancy") expect(order).toContain(worse[k]);
        else expect(order).not.toContain(worse[k]);
      }
      expect(rejected.some(({ family }) => family === "relevance")).toBe(engaged.includes(1));
      expect(rejected.some(({ family }) => family === "redundancy")).toBe(engaged.includes(0) && order.length > 1);
    }),
  );
});

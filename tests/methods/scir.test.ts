import fc from "fast-check";
import { expect, test } from "vitest";
import {
  scirGenerative,
  scirImplicit,
  scirLoss,
  scirPenalty,
  scirPenaltyGradient,
  scirSelect,
} from "../../src/methods/preference/scir.ts";
import { expectNear } from "../operators/arbitraries.ts";
import { credit } from "./credit.ts";
import { mean, sigma, slopes } from "./plain.ts";

const probability = fc.double({ min: 0.01, max: 0.99, noNaN: true });
const models = fc.array(probability, { minLength: 1, maxLength: 4 });
const kl = (p: number, q: number) => p * Math.log(p / q) + (1 - p) * Math.log((1 - p) / (1 - q));

test("the penalty is the mean symmetric KL plus the weighted entropy, with its gradient", () => {
  fc.assert(
    fc.property(models, (probs) => {
      const pairs = probs.flatMap((p, k) => probs.slice(k + 1).map((q) => (kl(p, q) + kl(q, p)) / 2));
      const { consistency, entropy, penalty } = scirPenalty({ probs, entropyWeight: 0.3 });
      expectNear([consistency], [pairs.length === 0 ? 0 : mean(pairs)]);
      expectNear([entropy], [mean(probs.map((p) => -p * Math.log(p) - (1 - p) * Math.log(1 - p)))]);
      expectNear([penalty], [consistency + 0.3 * entropy]);
      const value = (at: readonly number[]) => scirPenalty({ probs: [...at], entropyWeight: 0.3 }).penalty;
      expectNear(scirPenaltyGradient({ probs, entropyWeight: 0.3 }), slopes(value, probs, 1e-6), 1e-5);
    }),
  );
  expect(scirPenalty({ probs: [0, 1] }).penalty).toBeLessThan(20);
});

test("a pair is chosen only by agreement beyond the margin", () => {
  expect(
    [
      [0.6, 0.9],
      [0.4, 0.1],
      [0.4, 0.6],
      [0.5, 0.9],
    ].map((probs) => scirSelect({ probs })),
  ).toEqual([1, -1, 0, 0]);
  expect(scirSelect({ probs: [0.6, 0.9], margin: 0.2 })).toBe(0);
});

test("showing the responses in the other order turns the verdict round", () => {
  const logits = fc.tuple(fc.integer({ min: -3, max: 3 }), fc.integer({ min: -3, max: 3 }));
  fc.assert(
    fc.property(logits, logits, (forward, swapped) => {
      const turned = scirGenerative({ forward: swapped, swapped: forward });
      expectNear([scirGenerative({ forward, swapped })], [1 - turned]);
    }),
  );
  expectNear([scirImplicit({ logprob: [-1, -4], ref: [-3, -3], lengths: [2, 0], beta: 0.5 })], [sigma(0.5)]);
});

test("the loss is DPO on agreed pairs plus the mean penalty, and lengths count where asked", () => {
  const pair = { logprob: [-2, -9], ref: [-6, -6], lengths: [4, 1], forward: [1, 0], swapped: [0, 1] } as const;
  const given = { ...pair, logprob: [...pair.logprob], ref: [...pair.ref], lengths: [4, 1] } as never;
  const plain = scirLoss({ pairs: [given], beta: 0.5, alpha: 2 });
  expectNear([plain.dpo], [Math.log(1 + Math.exp(-3.5))]);
  expectNear([plain.penalty], [scirPenalty({ probs: [sigma(3.5), sigma(1)] }).penalty]);
  expectNear([plain.total], [plain.dpo + 2 * plain.penalty]);
  const normed = scirLoss({ pairs: [given], beta: 0.5, lengthNorm: true });
  expectNear([normed.dpo, normed.penalty], [plain.dpo, scirPenalty({ probs: [sigma(2), sigma(1)] }).penalty]);
  expect(() => scirLoss({ pairs: [{ ...(given as object), lengths: undefined } as never], lengthNorm: true })).toThrow(
    /lengths/,
  );
});

test("recorded pairs: the partner has the opposite probability and label", () => {
  const rollout = fc.record({
    group: fc.constantFrom("p", "q"),
    ratio: fc.double({ min: -3, max: 3, noNaN: true }),
    judge: fc.option(fc.double({ min: 0, max: 1, noNaN: true })),
  });
  fc.assert(
    fc.property(fc.array(rollout, { minLength: 1, maxLength: 7 }), (list) => {
      const rollouts = list.map(({ group, ratio, judge }, i) => {
        const tokens = { logprob: [ratio, -1], ref_logprob: [0, -1] };
        return { id: `r${i}`, group, signals: judge === null ? {} : { judge_prob: judge }, tokens };
      });
      const column = (path: string) => credit("scir", rollouts, { beta: 1 }, path);
      const [prob, label, apart] = [
        column("rollout.implicit_prob"),
        column("rollout.preference"),
        column("rollout.inconsistency"),
      ];
      for (const name of ["p", "q"]) {
        const members = list.flatMap(({ group }, i) => (group === name ? [i] : []));
        for (let k = 0; k < members.length; k += 2) {
          const [i, j] = [members[k], members[k + 1]];
          if (j === undefined) {
            expect([prob[i], label[i], apart[i]]).toEqual([0.5, 0, 0]);
            continue;
          }
          expectNear([prob[i], prob[j]], [sigma(list[i].ratio - list[j].ratio), 1 - prob[i]]);
          const [own, other] = [list[i].judge, list[j].judge];
          const said = [...(own === null ? [] : [own]), ...(other === null ? [] : [1 - other])];
          expect(label[j] + 0).toBe(0 - label[i] + 0);
          expect(label[i]).toBe(said.length === 0 ? 0 : scirSelect({ probs: [prob[i], mean(said)] }));
          expectNear([apart[i]], [said.length === 0 ? 0 : scirPenalty({ probs: [prob[i], mean(said)] }).penalty]);
          expect(apart[j]).toBe(apart[i]);
        }
      }
    }),
  );
});

import fc from "fast-check";
import { expect, test } from "vitest";
import type { PolicyRows, TokenCredit } from "../../src/lab/training/credit.ts";
import { credit, policyRows, tokenCredit } from "../../src/lab/training/credit.ts";
import { stepWeights } from "../../src/lab/training/policy-gradient.ts";
import { settleTraining } from "../../src/lab/training/settings.ts";
import { methodParams } from "../../src/methods/assign.ts";
import { policyLoss } from "../../src/methods/loss/policy-losses.ts";
import { findMethod } from "../../src/methods/registry.ts";
import { batchFromObjects } from "../../src/rollouts/index.ts";

/** Three rollouts of 2, 1 and 3 policy tokens, the last with one token of the environment more. */
const rows: PolicyRows = {
  offsets: Int32Array.of(0, 2, 3, 6),
  tokens: Int32Array.of(0, 1, 2, 3, 4, 6),
  lengths: Int32Array.of(2, 1, 4),
};
const everyone = [0, 1, 2];
const plain = { weight: null, average: null, clipLow: null, clipHigh: null };
const six = (least: number, greatest: number) =>
  fc.array(fc.double({ min: least, max: greatest, noNaN: true }), { minLength: 6, maxLength: 6 });
const floats = (values: readonly number[]) => Float64Array.from(values);

/** Loss as a function of the log-probabilities alone. */
function lossAt(
  logprob: Float64Array,
  credited: TokenCredit,
  old: Float64Array,
  reference: Float64Array,
  given: object,
) {
  return stepWeights(rows, credited, { logprob, old, reference }, everyone, settleTraining(given));
}

test.each([
  { loss: "vanilla", agg: "seq-mean-token-sum" },
  { loss: "vanilla", kl_coef: 0.3, kl_kind: "k3" },
  { loss: "vanilla", kl_coef: 0.3, kl_kind: "k2", agg: "seq-mean-token-mean" },
  { loss: "dro", agg: "token-sum", kl_coef: 0.1, kl_kind: "k1" },
  { loss: "sapo" },
  { loss: "vanilla", weighted: true, agg: "seq-mean-token-mean" },
  { loss: "vanilla", weighted: true, agg: "method" },
])("weights are minus the derivative of the loss: %j", ({ weighted, ...given }: Record<string, unknown>) => {
  fc.assert(
    fc.property(six(-2, -0.2), six(-0.15, 0.15), six(-2, 2), six(0, 2), (old, d, advantage, weight) => {
      const logprob = floats(old.map((l, t) => l + d[t]));
      const own = weighted === true ? floats(weight) : null;
      const credited = { ...plain, advantage: floats(advantage), weight: own, average: own };
      const reference = floats(old.map((l) => l - 0.1));
      const at = lossAt(logprob, credited, floats(old), reference, given);
      for (let t = 0; t < 6; t++) {
        const h = 1e-6;
        const [up, down] = [h, -h].map((step) => {
          const moved = logprob.slice();
          moved[t] += step;
          return lossAt(moved, credited, floats(old), reference, given).loss;
        });
        expect(at.weight[t]).toBeCloseTo(-(up - down) / (2 * h), 5);
      }
    }),
    { numRuns: 25 },
  );
});

test("weights are those of the card", () => {
  const logprob = [-1, -0.5, -0.7, -0.2, -1.5, -0.3];
  const old = [-1.4, -0.5, -0.6, -0.9, -1, -0.3];
  const advantage = [1, 1, -2, 0.5, 0.5, -1];
  const cut = (values: readonly number[]) => [values.slice(0, 2), values.slice(2, 3), values.slice(3)];
  for (const loss of ["vanilla", "gspo", "cispo", "gpg", "sapo", "geo_mean", "dppo_tv", "dppo_kl"] as const) {
    const card = policyLoss({ loss, logprob: cut(logprob), old_logprob: cut(old), advantage: cut(advantage) });
    const credited = { ...plain, advantage: floats(advantage) };
    const made = lossAt(floats(logprob), credited, floats(old), floats(old), { loss });
    card.weight.flat().forEach((w, t) => {
      expect(made.weight[t]).toBeCloseTo(w, 12);
    });
    expect(made.loss).toBeCloseTo(card.loss, 12);
    expect(made.clipFraction).toBeCloseTo(card.clip_fraction, 12);
  }
});

test("clip ranges of single tokens win over the settings, and one range for all is the same as the setting", () => {
  const logprob = floats([-1, -1, -1, -1, -1, -1]);
  const old = floats([-1.3, -1.3, -1.3, -1.3, -1.3, -1.3]); // ratio 1.35
  const advantage = floats([1, 1, 1, 1, 1, 1]);
  const range = (values: readonly number[]) => ({ clipLow: floats(values), clipHigh: floats(values) });
  const wide = { ...plain, advantage, ...range([0.2, 0.5, 0.2, 0.5, 0.2, 0.5]) };
  const made = lossAt(logprob, wide, old, old, { loss: "vanilla" });
  expect(Array.from(made.weight, (w) => w > 0)).toEqual([false, true, false, true, false, true]);
  expect(made.clipFraction).toBe(0.5);
  const even = { ...plain, advantage, ...range([0.5, 0.5, 0.5, 0.5, 0.5, 0.5]) };
  const asSetting = lossAt(logprob, { ...plain, advantage }, old, old, { loss: "gspo", clip_low: 0.5, clip_high: 0.5 });
  expect(lossAt(logprob, even, old, old, { loss: "gspo" })).toEqual(asSetting);
  expect(() => lossAt(logprob, wide, old, old, { loss: "gspo" })).toThrow(/gspo.*clip_columns/);
  expect(lossAt(logprob, wide, old, old, { loss: "vanilla", clip_columns: false }).clipFraction).toBe(1);
});

const four = batchFromObjects(
  [1, 0, 1, 1].map((reward, i) => ({
    id: `r${i}`,
    group: i < 2 ? "differs" : "alike",
    reward,
    tokens: { id: [1, 2, 3], mask: [1, 0, 1], logprob: [-1, 0, -1], entropy: [0.1, 0, 0.5 + i] },
  })),
);
const creditOf = (id: string, given: Record<string, unknown> = {}) => {
  const method = findMethod(id);
  const calls = [{ method, params: methodParams(method, given) }];
  return tokenCredit(four, credit(four, calls), policyRows(four), calls);
};

test("groups that a method drops are not trained, and bounds it writes are read", () => {
  const dapo = creditOf("dapo");
  expect([...(dapo.weight ?? [])]).toEqual([1, 1, 1, 1, 0, 0, 0, 0]);
  expect(new Set(dapo.clipHigh)).toEqual(new Set([0.28]));
  // Left out of the mean as well: half of the tokens weigh twice as much.
  const lone = { logprob: new Float64Array(8), old: new Float64Array(8), reference: null };
  const all = [0, 1, 2, 3];
  const made = stepWeights(policyRows(four), dapo, lone, all, settleTraining({}));
  const kept = stepWeights(policyRows(four), { ...dapo, weight: null }, lone, [0, 1], settleTraining({}));
  expect([...made.weight]).toEqual([...kept.weight, 0, 0, 0, 0]);
});

test("an average that a method writes is used when it is asked for", () => {
  const grpo = creditOf("grpo");
  expect(grpo.weight).toBeNull();
  expect([...(grpo.average ?? [])]).toEqual(new Array(8).fill(0.5));
  const rowsOfFour = policyRows(four);
  const lone = { logprob: new Float64Array(8), old: new Float64Array(8), reference: null };
  const by = (agg: "method" | "seq-mean-token-mean") =>
    stepWeights(rowsOfFour, grpo, lone, [0, 1, 2, 3], settleTraining({ agg })).weight;
  expect([...by("method")]).toEqual([...by("seq-mean-token-mean")]);
});

test("tokens that a method does not select have no weight", () => {
  const { weight } = creditOf("entropy-critical", { keep: 0.5 });
  expect([...(weight ?? [])]).toEqual([0, 1, 0, 1, 0, 1, 0, 1]);
});

import fc from "fast-check";
import { expect, test } from "vitest";
import { assign } from "../../src/methods/assign.ts";
import { hybridRolloutValue } from "../../src/methods/tree/grounded-prm.ts";
import { batchFromObjects, InputError, rolloutObject } from "../../src/rollouts/index.ts";

type Verdict = 1 | -1 | 0 | null;
interface Simulation {
  real: string[];
  virtual: number;
  verify: Verdict[];
  reward: number;
}

const verdict = fc.constantFrom<Verdict>(1, 1, -1, -1, 0, null);
const simulations = fc.array(
  fc
    .record({
      way: fc.array(fc.constantFrom("a", "b"), { minLength: 1, maxLength: 3 }),
      virtual: fc.nat(4),
      verdicts: fc.array(verdict, { minLength: 7, maxLength: 7 }),
      reward: fc.constantFrom(0, 1),
    })
    .map(({ way, virtual, verdicts, reward }): Simulation => {
      const real = way.map((_, k) => way.slice(0, k + 1).join(""));
      return { real, virtual, verify: verdicts.slice(0, real.length + virtual), reward };
    }),
  { minLength: 1, maxLength: 6 },
);

interface Settings {
  gamma: number;
  outcome_weight: "inverse_n" | number;
  include_self: boolean;
  filter: string;
}

/** The rules of the card with plain lists. */
function oracle(list: readonly Simulation[], p: Settings) {
  const u = list.map(({ real, verify, reward }) => {
    const e = real.length - 1;
    const between = verify.slice(e + 1, -1).map((v) => v ?? 0);
    const n = between.length;
    const beta = p.outcome_weight === "inverse_n" ? 1 / Math.max(n, 1) : p.outcome_weight;
    const mixed = between.reduce<number>((sum, v, k) => sum + (v * (n - k)) / n / n, 0);
    return mixed + beta * (reward > 0 ? 1 : -1) + (p.include_self ? (verify[e] ?? 0) : 0);
  });
  const q = (name: string) =>
    list.reduce((sum, { real }, i) => {
      const at = real.indexOf(name);
      return at < 0 ? sum : sum + p.gamma ** (real.length - 1 - at) * u[i];
    }, 0);
  const rounded = (x: number) => (Math.abs(x) < 1e-9 ? 0 : x);
  return list.map(({ real, verify, reward }, i) => {
    const score = verify.map((v, k) => (k < real.length ? rounded(q(real[k])) : (v ?? 0)));
    const ok = verify.every((v, k) => {
      if (p.filter === "none") return true;
      if (p.filter === "strict") return score[k] * (v ?? 0) > 0;
      return score[k] > 0 ? v === 1 : score[k] < 0 && (v ?? 0) !== 0;
    });
    let cut = score.length;
    const wrong = score.findIndex((x) => x <= 0);
    const again = wrong < 0 ? -1 : score.findIndex((x, k) => k > wrong && x >= 0);
    if (reward <= 0 && again >= 0) cut = again;
    return { value: u[i], score, keep: ok ? 1 : 0, steps: score.map((_, k) => (ok && k < cut ? 1 : 0)) };
  });
}

test("scores, labels and what is kept are those of the rules worked out with plain lists", () => {
  const settings = fc.record({
    gamma: fc.constantFrom(1, 0.5),
    outcome_weight: fc.constantFrom<"inverse_n" | number>("inverse_n", 0.25),
    include_self: fc.boolean(),
    filter: fc.constantFrom("strict", "official", "none"),
  });
  fc.assert(
    fc.property(simulations, settings, (list, params) => {
      // Inner nodes of one simulation may be the expanded node of another, but never simulated.
      const rollouts = list.map(({ real, virtual, verify, reward }, i) => ({
        id: `s${i}`,
        group: "q",
        reward,
        signals: { expand_step: real.length - 1 },
        steps: { node: [...real, ...Array.from({ length: virtual }, (_, k) => `v${i}.${k}`)], verify },
      }));
      const result = assign(batchFromObjects(rollouts), "grounded-prm", params);
      const expected = oracle(list, params);
      expected.forEach(({ value, score, keep, steps }, i) => {
        const out = rolloutObject(result, i) as unknown as {
          value: number;
          keep: number;
          steps: Record<string, number[]>;
        };
        expect(out.value).toBeCloseTo(value, 12);
        expect(out.steps.q).toEqual(score.map((x) => expect.closeTo(x, 12)));
        expect(out.steps.label).toEqual(score.map((x) => (x > 0 ? 1 : -1)));
        expect(out.keep).toBe(keep);
        expect(out.steps.keep).toEqual(steps);
      });
    }),
  );
});

test("an empty path is worth its outcome", () => {
  const run = (params: object) =>
    assign(batchFromObjects([{ id: "a", reward: 1, steps: {} }]), "grounded-prm", { ...params }).numbers(
      "rollout.value",
    );
  expect([...run({})]).toEqual([1]);
  expect([...run({ outcome_weight: 0.25, include_self: true })]).toEqual([0.25]);
  expect(hybridRolloutValue({ verify: [null, 1], outcome: 1, outcome_weight: 0 })).toBeCloseTo(0.25, 12);
});

test("bad input is refused", () => {
  const run = (...rollouts: object[]) =>
    assign(batchFromObjects(rollouts.map((x, i) => ({ id: `r${i}`, group: "q", reward: 1, ...x }))), "grounded-prm");
  const path = { node: ["a", "b"], verify: [1, 1] };
  const expand = (expand_step: number) => ({ signals: { expand_step } });
  expect(() => run({ steps: { node: ["a"], verify: [0.5] } })).toThrow(/"r0".*steps\.verify/);
  expect(() => run({ steps: { node: ["a"] } })).toThrow(/steps\.verify.*column is missing/);
  expect(() => run({ steps: path, ...expand(2) })).toThrow(/"r0".*expand_step/);
  expect(() => run({ steps: path, ...expand(0.5) })).toThrow(/a whole number/);
  expect(() => run({ steps: path, ...expand(1) }, { steps: path, ...expand(0) })).toThrow(/"r1".*simulated in another/);
  expect(() => hybridRolloutValue({ verify: [], outcome: 0 as 1 })).toThrow(InputError);
});

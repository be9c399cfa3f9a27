import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { exactGradient } from "../../src/lab/exact/gradient.ts";
import { exactModel, tableOf } from "../../src/lab/exact/model.ts";
import { trajectories } from "../../src/lab/exact/trajectories.ts";
import { exactValue } from "../../src/lab/exact/values.ts";
import { Distribution } from "../../src/lab/policies/distribution.ts";
import { wordFeatures } from "../../src/lab/policies/features.ts";
import { MlpPolicy } from "../../src/lab/policies/mlp.ts";
import type { Coefficients, Policy, Request, Trace } from "../../src/lab/policies/policy.ts";
import { TabularPolicy } from "../../src/lab/policies/tabular.ts";
import { Random } from "../../src/lab/random.ts";
import { InputError } from "../../src/rollouts/index.ts";
import { differences, objective } from "./finite-differences.ts";
import { randomTask } from "./random-task.ts";

const actions = ["wait", "open(1)", "open(2)", "leave"];
const views = ["door shut", "door open", "key in hand, door shut"];
const legal = [actions, actions.slice(0, 2), ["open(2)", "leave"]];

/** Some policy away from its start. */
function shaken<P extends Policy>(policy: P, seed: number): P {
  const random = new Random(seed);
  for (const values of Object.values(policy.parameters())) {
    for (let k = 0; k < values.length; k++) values[k] += random.uniform() - 0.5;
  }
  policy.changed();
  return policy;
}

function episodes(policy: Policy, count: number, seed: number): Trace[] {
  const session = policy.session({ temperature: 1.5, topP: 0.95, hidden: true });
  return Array.from({ length: count }, (_, i) => {
    const random = new Random(seed + i);
    const slot = session.open("");
    for (let k = 0; k <= i % 3; k++) {
      session.choose([{ slot, view: views[(i + k) % 3], actions: legal[(i + k) % 3], random }]);
      session.observe(slot, "nothing happens");
    }
    return session.trace(slot);
  });
}

function coefficientsFor(traces: readonly Trace[], seed: number): Required<Coefficients> {
  const random = new Random(seed);
  const row = () =>
    Float64Array.from(
      traces.flatMap(({ tokens }) => [...tokens]),
      () => random.uniform() - 0.5,
    );
  return { logprob: row(), entropy: row(), value: row() };
}

const makers: Record<string, (seed: number) => Policy> = {
  tabular: (seed) => shaken(new TabularPolicy({ actions, views, value: true }), seed),
  mlp: (seed) =>
    shaken(new MlpPolicy({ actions, hidden: [8, 6], value: true, seed, features: wordFeatures(12) }), seed),
};

describe.each(Object.entries(makers))("%s policy", (_, make) => {
  test("records what evaluating gives again", () => {
    const policy = make(1);
    const traces = episodes(policy, 12, 7);
    const again = policy.evaluate(traces, { hidden: true });
    let t = 0;
    for (const trace of traces) {
      trace.tokens.forEach((_token, k) => {
        expect(again.logprob[t]).toBeCloseTo(trace.logprob[k], 5);
        expect(again.entropy[t]).toBeCloseTo(trace.entropy[k], 5);
        expect(again.value?.[t]).toBeCloseTo(trace.value?.[k] as number, 5);
        expect(trace.mask[k]).toBe(1);
        t++;
      });
      expect(trace.tokens.length).toBeGreaterThan(0);
    }
    if (policy.width > 0) {
      const recorded = traces.flatMap(({ hidden }) => [...(hidden as Float32Array)]);
      expect(recorded.length).toBe(t * policy.width);
      recorded.forEach((x, k) => {
        expect(again.hidden?.[k]).toBeCloseTo(x, 5);
      });
    }
  });

  test("takes legal actions only, as often as their probabilities say", () => {
    const policy = make(2);
    const session = policy.session();
    const random = new Random(5);
    const slot = session.open("");
    const request: Request = { slot, view: views[2], actions: legal[2], random };
    const counts = new Map<string, number>();
    const rounds = 4000;
    for (let k = 0; k < rounds; k++) {
      const [{ action, from, to }] = session.choose([request]);
      expect(to - from).toBe(1);
      counts.set(action, (counts.get(action) ?? 0) + 1);
    }
    expect([...counts.keys()].sort()).toEqual([...legal[2]].sort());
    let total = 0;
    for (const action of legal[2]) {
      const p = Math.exp(session.score(request, action));
      total += p;
      expect(Math.abs((counts.get(action) ?? 0) / rounds - p)).toBeLessThan(0.03);
    }
    expect(total).toBeCloseTo(1, 12);
    expect(() => session.score(request, "wait")).toThrow(InputError);
    expect(() => session.score(request, "fly")).toThrow(InputError);
  });

  test("gradient agrees with finite differences", () => {
    const policy = make(3);
    const traces = episodes(policy, 9, 3);
    const given = coefficientsFor(traces, 4);
    const { gradient } = policy.gradient(traces, given);
    const entries = Object.fromEntries(
      Object.entries(policy.parameters()).map(([name, values]) => [
        name,
        Array.from({ length: Math.min(6, values.length) }, (_, k) => (k * 7) % values.length),
      ]),
    );
    const isDouble = policy.kind === "tabular";
    const expected = differences(policy, entries, isDouble ? 1e-5 : 2e-2, () => objective(policy, traces, given));
    for (const [name, places] of Object.entries(entries)) {
      places.forEach((place, k) => {
        expect(Math.abs(gradient[name][place] - expected[name][k])).toBeLessThan(isDouble ? 1e-8 : 1e-3);
      });
    }
  });

  test("an episode does not depend on what is sampled beside it, and forks share their past", () => {
    const policy = make(4);
    const run = (others: number): string[] => {
      const session = policy.session();
      const randoms = Array.from({ length: 1 + others }, (_, k) => new Random(k));
      const slots = randoms.map(() => session.open(""));
      const taken: string[] = [];
      for (let k = 0; k < 20; k++) {
        const requests = slots.map((slot, i) => ({ slot, view: views[k % 3], actions, random: randoms[i] }));
        taken.push(session.choose(requests)[0].action);
      }
      const fork = session.fork(slots[0]);
      session.choose([{ slot: fork, view: views[0], actions, random: randoms[0] }]);
      expect(session.length(fork)).toBe(21);
      expect(session.length(slots[0])).toBe(20);
      expect([...session.trace(fork).tokens.subarray(0, 20)]).toEqual([...session.trace(slots[0]).tokens]);
      session.close(fork);
      expect(() => session.length(fork)).toThrow();
      return taken;
    };
    expect(run(3)).toEqual(run(0));
  });

  test("traces of another policy are refused", () => {
    const policy = make(5);
    const [trace] = episodes(policy, 3, 1).slice(2);
    const wrong = [
      { ...trace, tokens: trace.tokens.map(() => 4) },
      { ...trace, tokens: trace.tokens.map(() => -1) },
      { ...trace, mask: trace.mask.map(() => 0) },
      { ...trace, mask: trace.mask.slice(1) },
      { ...trace, views: [] },
      { ...trace, allowed: [] },
      { ...trace, prompt: Int32Array.of(0) },
    ];
    for (const one of wrong) expect(() => policy.evaluate([trace, one])).toThrow(/trace 1 was not made/);
  });

  test("copies and loaded parameters are the same policy, and apart from the first", () => {
    const policy = make(5);
    const traces = episodes(policy, 6, 1);
    const before = policy.evaluate(traces);
    const copy = policy.copy();
    const loaded = make(6);
    loaded.load(policy.parameters(), policy.facts());
    for (const values of Object.values(policy.parameters())) values.fill(0);
    policy.changed();
    expect(copy.evaluate(traces)).toEqual(before);
    expect(loaded.evaluate(traces)).toEqual(before);
    expect(policy.evaluate(traces)).not.toEqual(before);
    const [name, values] = Object.entries(policy.parameters())[0];
    expect(() => policy.load({ ...policy.parameters(), [name]: values.slice(1) })).toThrow(/wrong size/);
    expect(() => policy.load({ ...policy.parameters(), other: values })).toThrow(/other.*unknown/);
    expect(() => policy.load({})).toThrow(/missing/);
    for (const fact of ["kind", "actions"]) {
      expect(() => policy.load(policy.parameters(), { ...policy.facts(), [fact]: "other" })).toThrow(/another policy/);
    }
    expect(Object.values(policy.shapes()).map((shape) => shape.reduce((a, b) => a * b, 1))).toEqual(
      Object.values(policy.parameters()).map(({ length }) => length),
    );
  });
});

describe("the policy gradient of a task", () => {
  const model = exactModel(randomTask(11));
  const rows = model.rows.map((row) => JSON.stringify(row));
  const allowed = rows.map((_, row) => {
    const open = tableOf(model).probabilities(row);
    return Uint8Array.from(open, (p) => (p > 0 ? 1 : 0));
  });
  const actionNames = model.actions;

  /** The tabular policy that chooses as another one does. */
  function tableLike(policy: TabularPolicy | MlpPolicy) {
    const table = tableOf(model);
    rows.forEach((view, row) => {
      const { logits, from } = policy.look(view);
      allowed[row].forEach((isOpen, a) => {
        if (isOpen) table.logits[row * actionNames.length + a] = logits[from + a];
      });
    });
    table.changed();
    return table;
  }

  /** Σ over all trajectories of probability · reward to go · ∂ log π: what a trainer would sample. */
  function gradientOf(policy: TabularPolicy | MlpPolicy) {
    const traces: Trace[] = [];
    const weights: number[] = [];
    for (const { probability, rows: visited, actions: taken, rewards } of trajectories(model, tableLike(policy))) {
      const zeros = new Float64Array(taken.length);
      traces.push({
        prompt: new Int32Array(0),
        tokens: Int32Array.from(taken),
        mask: new Uint8Array(taken.length).fill(1),
        views: visited.map((row) => rows[row]),
        allowed: visited.map((row) => allowed[row]),
        ...{ logprob: zeros, samplingLogprob: zeros, entropy: zeros, value: null, hidden: null },
      });
      for (let t = 0; t < taken.length; t++) {
        weights.push(probability * rewards.slice(t).reduce((sum, r) => sum + r, 0));
      }
    }
    return policy.gradient(traces, { logprob: weights }).gradient;
  }

  test("of a table is the exact one", () => {
    const policy = shaken(new TabularPolicy({ actions: actionNames, views: rows }), 8);
    const expected = exactGradient(model, tableLike(policy));
    const { logits } = gradientOf(policy);
    expect(Math.max(...expected.map(Math.abs))).toBeGreaterThan(0.01);
    for (let k = 0; k < expected.length; k++) expect(logits[k]).toBeCloseTo(expected[k], 12);
  });

  test("of an MLP is that of the exact value", () => {
    const policy = shaken(new MlpPolicy({ actions: actionNames, hidden: [8], seed: 8, features: wordFeatures(16) }), 9);
    const entries = { "layer0.weight": [3, 40, 77], "layer0.bias": [2], "logits.weight": [0, 9], "logits.bias": [1] };
    const expected = differences(policy, entries, 1e-2, () => exactValue(model, tableLike(policy)));
    const gradient = gradientOf(policy);
    for (const [name, places] of Object.entries(entries)) {
      places.forEach((place, k) => {
        expect(Math.abs(gradient[name][place] - expected[name][k])).toBeLessThan(1e-4);
      });
    }
    expect(Math.max(...Object.values(expected).flatMap((values) => [...values].map(Math.abs)))).toBeGreaterThan(0.01);
  });
});

test("coefficients that do not fit are refused", () => {
  const policy = new TabularPolicy({ actions });
  const traces = episodes(policy, 3, 1);
  expect(() => policy.gradient(traces, { logprob: [1] })).toThrow(/one per token/);
  const given = coefficientsFor(traces, 1);
  expect(() => policy.gradient(traces, given)).toThrow(/value head/);
});

test("equal seeds give equal MLPs, other seeds others", () => {
  const made = (seed: number) => new MlpPolicy({ actions, seed }).parameters();
  expect(made(3)).toEqual(made(3));
  expect(made(3)["layer0.weight"]).not.toEqual(made(4)["layer0.weight"]);
});

test("rows of a tabular policy come in the order in which views are met", () => {
  const policy = new TabularPolicy({ actions, views: ["b"] });
  const session = policy.session();
  const slot = session.open("");
  for (const view of ["a", "b", "c"]) session.choose([{ slot, view, actions, random: new Random(0) }]);
  expect(policy.views()).toEqual(["b", "a", "c"]);
  expect(policy.parameters().logits.length).toBe(12);
});

test("many views are told apart by their words and the order of these", () => {
  const features = wordFeatures(64);
  const seen = ["key at 1, door at 2", "key at 2, door at 1", "door at 1, key at 2", ""].map((view) =>
    features.of(view),
  );
  expect(new Set(seen.map((row) => Array.from(row).join())).size).toBe(4);
  expect(features.of("key at 1, door at 2")).toBe(seen[0]);
});

describe("distribution", () => {
  const of = (logits: number[], allowed: Uint8Array | null = null) => {
    const made = new Distribution(logits.length);
    made.of(logits, 0, allowed);
    return made;
  };
  const drawn = (logits: number[], sampling: object, allowed: Uint8Array | null = null) => {
    const made = of(logits, allowed);
    made.draw(new Random(1), sampling);
    return [...made.probabilities];
  };

  test("is a softmax over the allowed entries, huge logits too", () => {
    const { probabilities, entropy } = of([1000, 1000 + Math.log(3), -1e6], Uint8Array.of(1, 1, 0));
    expect(probabilities[0]).toBeCloseTo(0.25, 12);
    expect(probabilities[1]).toBeCloseTo(0.75, 12);
    expect(probabilities[2]).toBe(0);
    expect(entropy).toBeCloseTo(-(0.25 * Math.log(0.25) + 0.75 * Math.log(0.75)), 12);
  });

  test("temperature sharpens, zero takes the first of the likeliest", () => {
    const logits = [0, Math.log(2), Math.log(2)];
    expect(drawn(logits, { temperature: 0.5 })).toEqual([1 / 9, 4 / 9, 4 / 9].map((p) => expect.closeTo(p, 12)));
    expect(drawn(logits, { temperature: 0 })).toEqual([0, 1, 0]);
  });

  test("top-p keeps the fewest likeliest that reach it, the earlier one among equals", () => {
    const logits = [0.1, 0.4, 0.1, 0.4].map(Math.log);
    expect(drawn(logits, { topP: 0.4 })).toEqual([0, 1, 0, 0]);
    expect(drawn(logits, { topP: 0.41 })).toEqual([0, 0.5, 0, 0.5].map((p) => expect.closeTo(p, 12)));
    expect(drawn(logits, { topP: 0.85 })).toEqual([1 / 9, 4 / 9, 0, 4 / 9].map((p) => expect.closeTo(p, 12)));
    expect(drawn(logits, { topP: 1e-9 })).toEqual([0, 1, 0, 0]);
  });

  test("any logits, temperature and top-p give probabilities that sum to one", () => {
    const logit = fc.double({ min: -1e4, max: 1e4, noNaN: true });
    fc.assert(
      fc.property(
        fc.array(fc.tuple(logit, fc.boolean()), { minLength: 1, maxLength: 12 }),
        fc.double({ min: 0, max: 10, noNaN: true }),
        fc.double({ min: 0.01, max: 1, noNaN: true }),
        (entries, temperature, topP) => {
          const allowed = Uint8Array.from(entries, ([, isAllowed]) => (isAllowed ? 1 : 0));
          allowed[0] = 1;
          const made = of(
            entries.map(([z]) => z),
            allowed,
          );
          const k = made.draw(new Random(3), { temperature, topP });
          expect(allowed[k]).toBe(1);
          expect(made.logprob(k)).toBeLessThanOrEqual(0);
          expect(made.entropy).toBeLessThanOrEqual(Math.log(entries.length) + 1e-9);
          expect(made.probabilities[k]).toBeGreaterThan(0);
          expect(made.probabilities.reduce((sum, p) => sum + p, 0)).toBeCloseTo(1, 9);
        },
      ),
    );
  });

  test("options out of range are refused", () => {
    const policy = new TabularPolicy({ actions });
    for (const sampling of [{ temperature: -1 }, { topP: 0 }, { topP: 1.1 }, { maxTokens: 0 }, { temperature: NaN }]) {
      expect(() => policy.session(sampling)).toThrow(InputError);
    }
  });
});

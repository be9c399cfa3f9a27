import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { environments, makeEnvironment } from "../../src/lab/environments/registry.ts";
import { AdamW } from "../../src/lab/optimisers/adamw.ts";
import { schedule } from "../../src/lab/optimisers/schedule.ts";
import { bucket, lengthBucket } from "../../src/lab/policies/buckets.ts";
import { Distribution } from "../../src/lab/policies/distribution.ts";
import type { Choice, Coefficients, Recorded, Sampling, Trace } from "../../src/lab/policies/policy.ts";
import { readSafetensors, writeSafetensors } from "../../src/lab/policies/safetensors.ts";
import { padded } from "../../src/lab/policies/transformer/batches.ts";
import { Cache, type Input } from "../../src/lab/policies/transformer/decoder.ts";
import { multiply, transposed } from "../../src/lab/policies/transformer/multiply.ts";
import { fullShape } from "../../src/lab/policies/transformer/shape.ts";
import { type TransformerOptions, TransformerPolicy } from "../../src/lab/policies/transformer/transformer.ts";
import { Random } from "../../src/lab/random.ts";
import { InputError } from "../../src/rollouts/index.ts";
import { differences } from "./finite-differences.ts";

const words = ["open", "(", "1", "2", "3", ")", "wait", "The", " door", " is", " shut", ".", " The", " open"];
const actions = ["open(1)", "open(2)", "open(3)", "wait"];
const small = { words, width: 16, heads: 2, context: 64 };
const variants: Record<string, TransformerOptions> = {
  "learned positions, root mean square, value head": { ...small, value: true, seed: 1 },
  "rotary positions, layer norm, legal actions only": {
    ...small,
    positions: "rotary",
    norm: "layer",
    constrained: true,
    heads: 4,
    expansion: 3,
    seed: 2,
  },
};

/** A policy away from its start. */
function shaken(options: TransformerOptions): TransformerPolicy {
  const policy = new TransformerPolicy(options);
  const random = new Random(options.seed + 100);
  for (const [name, values] of Object.entries(policy.parameters())) {
    const size = name.endsWith("head") ? 0.5 : 0.3;
    for (let k = 0; k < values.length; k++) values[k] += size * (2 * random.uniform() - 1);
  }
  policy.changed();
  return policy;
}

const prompt = (i: number) =>
  "The door is shut. The key is gone."
    .split(" ")
    .slice(0, i % 5)
    .join(" ");
const answer = (i: number) => ["The door is shut.", "", "The door is open."][i % 3];

/** Episodes of several turns, sampled together, that end at different times. */
function episodes(policy: TransformerPolicy, numbers: readonly number[], sampling: Sampling = {}): Trace[] {
  const session = policy.session({ maxTokens: 6, hidden: true, ...sampling });
  const running = numbers.map((i) => ({ i, slot: session.open(prompt(i)), random: new Random(1000 + i) }));
  const texts = new Map<number, string[]>();
  for (let turn = 0; turn < 4; turn++) {
    const open = running.filter(({ i }) => turn <= i % 4);
    const requests = open.map(({ slot, random, i }) => ({ slot, view: "", actions: actions.slice(i % 2), random }));
    const choices: Choice[] = session.choose(requests);
    choices.forEach(({ action }, k) => {
      const { slot, i } = open[k];
      texts.set(i, [...(texts.get(i) ?? []), action]);
      session.observe(slot, answer(i + turn));
    });
  }
  return running.map(({ slot }) => session.trace(slot));
}

const upTo = (count: number) => Array.from({ length: count }, (_, i) => i);

/** What the plain loops give for the chosen tokens of a trace, read at once. */
function replay(policy: TransformerPolicy, trace: Recorded) {
  const decoder = policy.decoder();
  const { layers, choices } = policy.shape;
  const cache = new Cache(layers);
  const ids = [policy.words.start, ...trace.prompt, ...trace.tokens].slice(0, -1);
  const skip = trace.prompt.length;
  decoder.read(ids.map((token, k): Input => ({ cache, token, into: k < skip ? -1 : k - skip })));
  const distribution = new Distribution(choices);
  return Array.from(trace.tokens, (token, k) => {
    if (trace.mask[k] === 0) return { logprob: 0, entropy: 0, value: 0 };
    distribution.of(decoder.logits, k * choices, trace.allowed[k]);
    return { logprob: distribution.logprob(token), entropy: distribution.entropy, value: decoder.value[k] };
  });
}

function coefficientsFor(traces: readonly Trace[], withValue: boolean): Coefficients {
  const random = new Random(5);
  const row = () =>
    Float64Array.from(
      traces.flatMap(({ tokens }) => [...tokens]),
      () => random.uniform() - 0.5,
    );
  return withValue ? { logprob: row(), entropy: row(), value: row() } : { logprob: row(), entropy: row() };
}

describe.each(Object.entries(variants))("transformer with %s", (_, options) => {
  test("sampling with a cache records what the compiled network gives", () => {
    const policy = shaken(options);
    const traces = episodes(policy, upTo(11), { temperature: 1.3, topP: 0.9 });
    const again = policy.evaluate(traces, { hidden: true });
    let t = 0;
    let chosen = 0;
    for (const { tokens, mask, logprob, entropy, value, hidden } of traces) {
      tokens.forEach((_token, k) => {
        chosen += mask[k];
        expect(Math.abs(again.logprob[t] - logprob[k])).toBeLessThan(1e-4);
        expect(Math.abs(again.entropy[t] - entropy[k])).toBeLessThan(1e-4);
        if (mask[k] === 1 && value !== null)
          expect(Math.abs((again.value?.[t] as number) - value[k])).toBeLessThan(1e-4);
        for (let j = 0; j < policy.width; j++) {
          const there = again.hidden?.[t * policy.width + j] as number;
          expect(Math.abs(there - (hidden?.[k * policy.width + j] as number))).toBeLessThan(1e-4);
        }
        t++;
      });
    }
    expect(chosen).toBeGreaterThan(40);
    expect(chosen).toBeLessThan(t);
    expect(again.value === null).toBe(!policy.hasValue);
  });

  test("the gradient agrees with finite differences of the plain loops in double precision", () => {
    const policy = shaken(options);
    const traces = episodes(policy, upTo(7));
    const given = coefficientsFor(traces, policy.hasValue);
    const { gradient } = policy.gradient(traces, given);
    const names = Object.keys(policy.parameters()).filter(
      (name) => !name.startsWith("layer1") || name.endsWith("query"),
    );
    const entries = Object.fromEntries(
      names.map((name) => {
        const { length } = policy.parameters()[name];
        return [name, [...new Set([length - 1, 7 % length, 40 % length])]];
      }),
    );
    const measure = () => {
      let t = 0;
      let sum = 0;
      for (const trace of traces) {
        for (const { logprob, entropy, value } of replay(policy, trace)) {
          sum += given.logprob[t] * logprob + (given.entropy?.[t] ?? 0) * entropy + (given.value?.[t] ?? 0) * value;
          t++;
        }
      }
      return sum;
    };
    const expected = differences(policy, entries, 1e-5, measure);
    let largest = 0;
    for (const [name, places] of Object.entries(entries)) {
      places.forEach((place, k) => {
        const right = expected[name][k];
        largest = Math.max(largest, Math.abs(right));
        const wrong = Math.abs(gradient[name][place] - right);
        if (wrong > 3e-5 * Math.max(1, Math.abs(right)))
          expect.fail(`${name}[${place}]: ${gradient[name][place]}, not ${right}`);
      });
    }
    expect(largest).toBeGreaterThan(0.1);
  });

  test("a beginning that all episodes share is worked out once, and changes nothing", () => {
    const policy = shaken(options);
    const tails = ["", "The door is open.", "open(1)", "The"];
    const session = policy.session({ maxTokens: 6 });
    const slots = tails.map((tail) => session.open(`${"The door is shut. The door is open. ".repeat(2)}${tail}`));
    const ask = (some: readonly number[]) =>
      session.choose(some.map((slot) => ({ slot, view: "", actions, random: new Random(slot) })));
    ask(slots);
    session.observe(slots[1], "The door is shut.");
    ask([slots[1], slots[3]]);
    const traces = slots.map((slot) => session.trace(slot));
    const prefixes = (of: Trace[]) =>
      [...padded(of, policy.shape, policy.words.start, false)].map(
        ({ decisions }) => decisions.inputs.prefix?.shape[1],
      );
    expect(prefixes(traces)).toEqual([16]);
    const again = policy.evaluate(traces);
    traces
      .flatMap(({ logprob }) => [...logprob])
      .forEach((logprob, t) => {
        expect(Math.abs(again.logprob[t] - logprob)).toBeLessThan(1e-4);
      });
    const apart = [...traces, ...episodes(policy, [0])];
    expect(prefixes(apart)).toEqual([undefined]);
    const given = coefficientsFor(traces, policy.hasValue);
    const zeros = Array.from(apart[4].tokens, () => 0);
    const padding = Object.entries(given).map(([name, values]) => [
      name,
      [...Array.from(values as number[]), ...zeros],
    ]);
    const once = policy.gradient(traces, given).gradient;
    const expected = policy.gradient(apart, Object.fromEntries(padding)).gradient;
    for (const [name, values] of Object.entries(expected)) {
      const top = Math.max(1e-3, ...values.map(Math.abs));
      values.forEach((x, k) => {
        expect(Math.abs(once[name][k] - x)).toBeLessThan(1e-4 * top);
      });
    }
  });

  test("an episode does not depend on what is sampled beside it", () => {
    const policy = shaken(options);
    const together = episodes(policy, upTo(9));
    for (const i of [0, 3, 7]) expect(episodes(policy, [i])[0]).toEqual(together[i]);
  });

  test("reading all tokens at once or one by one gives the same bits", () => {
    const policy = shaken(options);
    const decoder = policy.decoder();
    const random = new Random(3);
    const tokens = Array.from({ length: 40 }, () => random.below(policy.words.size));
    const at = { once: new Cache(2), single: new Cache(2) };
    decoder.read(tokens.map((token, k) => ({ cache: at.once, token, into: k })));
    const expected = decoder.logits.slice();
    const { choices } = policy.shape;
    tokens.forEach((token, k) => {
      decoder.read([{ cache: at.single, token, into: 0 }]);
      expect(decoder.logits.slice(0, choices)).toEqual(expected.slice(k * choices, (k + 1) * choices));
    });
  });

  test("a fork goes on from the same past, apart from the first", () => {
    const policy = shaken(options);
    const session = policy.session({ maxTokens: 6 });
    const slot = session.open(prompt(3));
    const ask = (of: number, seed: number) =>
      session.choose([{ slot: of, view: "", actions, random: new Random(seed) }])[0];
    ask(slot, 1);
    session.observe(slot, "The door is shut.");
    const forks = [session.fork(slot), session.fork(slot)];
    const firsts = forks.map((fork) => ask(fork, 9).action);
    expect(firsts[0]).toBe(firsts[1]);
    session.observe(forks[0], "The door is open.");
    ask(forks[0], 4);
    expect(ask(slot, 9).action).toBe(firsts[0]);
    expect(session.trace(slot)).toEqual(session.trace(forks[1]));
    session.close(forks[1]);
    expect(session.open("")).toBe(forks[1]);
  });
});

describe("what is written", () => {
  test("is a legal action with the probability that `score` gives, where nothing else can be", () => {
    const policy = shaken({ ...small, constrained: true, seed: 4 });
    const session = policy.session();
    const slot = session.open("The door is shut.");
    const moment = { slot, view: "", actions };
    const p = actions.map((action) => Math.exp(session.score(moment, action)));
    expect(p.reduce((sum, x) => sum + x, 0)).toBeCloseTo(1, 12);
    const counts = new Map(actions.map((action) => [action, 0]));
    const random = new Random(1);
    const rounds = 1500;
    for (let k = 0; k < rounds; k++) {
      const fork = session.fork(slot);
      const [{ action, from, to }] = session.choose([{ ...moment, slot: fork, random }]);
      counts.set(action, (counts.get(action) as number) + 1);
      const { logprob } = session.trace(fork);
      const total = logprob.slice(from, to).reduce((sum, x) => sum + x, 0);
      expect(total).toBeCloseTo(session.score(moment, action), 12);
      session.close(fork);
    }
    actions.forEach((action, k) => {
      expect(Math.abs((counts.get(action) as number) / rounds - p[k])).toBeLessThan(0.05);
    });
    expect(session.length(slot)).toBe(0);
    expect(() => session.score({ ...moment, actions: ["wait"] }, "open(1)")).toThrow(InputError);
  });

  test("ends with the end, or after as many tokens as allowed", () => {
    const policy = shaken({ ...small, seed: 4 });
    const [trace] = episodes(policy, [3], { maxTokens: 3 });
    const end = policy.words.end as number;
    let run = 0;
    trace.tokens.forEach((token, k) => {
      if (trace.mask[k] === 0) {
        run = 0;
        return;
      }
      run = run === 3 ? 1 : run + 1;
      if (token === end) run = 0;
      expect(run).toBeLessThanOrEqual(3);
    });
    expect(trace.tokens.every((token, k) => trace.mask[k] === 0 || token < policy.words.choices)).toBe(true);
    expect(policy.text(end)).toBe("<end>");
    const session = policy.session();
    expect(session.score({ slot: session.open(""), view: "", actions: [] }, "wait")).toBeLessThan(0);
  });

  test("is drawn with temperature and top-p, and both log-probabilities are kept", () => {
    const policy = shaken({ ...small, level: "token", seed: 6 });
    const { choices } = policy.shape;
    const sampling = { temperature: 0.7, topP: 0.8 };
    const session = policy.session(sampling);
    const first = session.open("The door");
    const random = new Random(2);
    const counts = new Float64Array(choices);
    const seen = new Map<number, [number, number]>();
    const rounds = 3000;
    for (let k = 0; k < rounds; k++) {
      const slot = session.fork(first);
      session.choose([{ slot, view: "", actions: [], random }]);
      const { tokens, logprob, samplingLogprob } = session.trace(slot);
      counts[tokens[0]]++;
      seen.set(tokens[0], [logprob[0], samplingLogprob[0]]);
      session.close(slot);
    }
    const p = words.map((word) => Math.exp(session.score({ slot: first, view: "", actions: [] }, word)));
    expect(p.reduce((sum, x) => sum + x, 0)).toBeCloseTo(1, 12);
    const sharp = p.map((x) => x ** (1 / 0.7));
    const total = sharp.reduce((sum, x) => sum + x, 0);
    const order = upTo(choices).sort((a, b) => p[b] - p[a]);
    let reached = 0;
    const kept = order.filter((k) => {
      const isKept = reached < 0.8;
      reached += sharp[k] / total;
      return isKept;
    });
    const mass = kept.reduce((sum, k) => sum + sharp[k], 0);
    expect([...seen.keys()].sort()).toEqual(kept.sort());
    expect(kept.length).toBeGreaterThan(2);
    expect(kept.length).toBeLessThan(choices);
    for (const k of kept) {
      const [logprob, samplingLogprob] = seen.get(k) as [number, number];
      expect(logprob).toBeCloseTo(Math.log(p[k]), 12);
      expect(samplingLogprob).toBeCloseTo(Math.log(sharp[k] / mass), 10);
      expect(Math.abs(counts[k] / rounds - sharp[k] / mass)).toBeLessThan(0.04);
    }
  });
});

test.each(Object.keys(environments))("%s can be read and played word by word", (id) => {
  const environment = makeEnvironment(id);
  const { level } = environment.facts;
  const more = { width: 8, heads: 2, layers: 1, context: 2048, constrained: true };
  const policy = new TransformerPolicy({ ...more, words: environment.words(), level, seed: 1 });
  for (const seed of [1, 2, 3]) {
    const random = new Random(seed);
    const session = policy.session({ maxTokens: 256 });
    environment.reset(seed);
    const slot = session.open(environment.prompt);
    for (let step = 0, done = false; step < 20 && !done; step++) {
      const legal = environment.actions();
      const [{ action }] = session.choose([{ slot, view: environment.view(), actions: legal, random }]);
      expect(legal).toContain(action);
      const result = environment.step(action);
      session.observe(slot, result.observation);
      done = result.done;
    }
    const { prompt: read, tokens } = session.trace(slot);
    expect(tokens.length).toBeGreaterThan(0);
    const unknown = [...read, ...tokens].filter((token) => token === policy.words.unknown);
    expect(unknown.length).toBe(0);
  }
});

test("equal seeds give the same bits on every machine, other seeds others", () => {
  const made = (seed: number) => new TransformerPolicy({ ...small, seed }).parameters();
  expect(made(3)).toEqual(made(3));
  expect(made(3).embedding).not.toEqual(made(4).embedding);
  expect([...made(3)["layer0.query"].subarray(0, 3)]).toMatchInlineSnapshot(`
    [
      0.15340887010097504,
      -0.27022621035575867,
      0.35029858350753784,
    ]
  `);
});

test("saved as safetensors and loaded, it gives the same numbers", () => {
  const policy = shaken({ ...small, value: true, seed: 7 });
  const traces = episodes(policy, upTo(4));
  const shapes = policy.shapes();
  const tensors = Object.fromEntries(
    Object.entries(policy.parameters()).map(([name, data]) => [name, { data, shape: shapes[name] }]),
  );
  const read = readSafetensors(writeSafetensors({ tensors, metadata: policy.facts() }));
  const other = new TransformerPolicy({ ...small, value: true, seed: 8 });
  const before = episodes(other, upTo(4));
  other.load(Object.fromEntries(Object.entries(read.tensors).map(([name, { data }]) => [name, data as Float32Array])));
  expect(episodes(other, upTo(4))).toEqual(traces);
  expect(before).not.toEqual(traces);
  expect(() => other.load(policy.parameters(), { ...policy.facts(), words: "[]" })).toThrow(/another policy/);
  expect(episodes(policy.copy(), upTo(4))).toEqual(traces);
  expect(JSON.parse(read.metadata.words)).toEqual(words);
});

test("many episodes of different lengths give the sum of their gradients", () => {
  const policy = shaken({ ...small, seed: 1, value: true });
  const traces = episodes(policy, upTo(70));
  const given = coefficientsFor(traces, true);
  const whole = policy.gradient(traces, given).gradient;
  const cut = traces.slice(0, 30).reduce((sum, { tokens }) => sum + tokens.length, 0);
  const part = (from: number, to?: number): Coefficients => ({
    logprob: Array.from(given.logprob).slice(from, to),
    entropy: Array.from(given.entropy ?? []).slice(from, to),
    value: Array.from(given.value ?? []).slice(from, to),
  });
  const first = policy.gradient(traces.slice(0, 30), part(0, cut)).gradient;
  const second = policy.gradient(traces.slice(30), part(cut)).gradient;
  for (const [name, values] of Object.entries(whole)) {
    const top = Math.max(...values.map(Math.abs));
    values.forEach((x, k) => {
      expect(Math.abs(x - first[name][k] - second[name][k])).toBeLessThan(1e-4 * Math.max(1, top));
    });
  }
});

/** Rewards one action for a few updates; how likely it became, and the policy. */
function rewardOpening(): [number, TransformerPolicy] {
  const policy = new TransformerPolicy({ ...small, constrained: true, seed: 1 });
  const optimiser = new AdamW({ schedule: schedule({ rate: 0.01 }), maxNorm: 1 });
  for (let update = 0; update < 12; update++) {
    const session = policy.session();
    const slots = upTo(8).map(() => session.open("The door"));
    const requests = slots.map((slot, i) => ({ slot, view: "", actions, random: new Random(100 * update + i) }));
    const choices = session.choose(requests);
    const traces = slots.map((slot) => session.trace(slot));
    const mean = choices.filter(({ action }) => action === "open(2)").length / 8;
    const logprob = choices.flatMap(({ action, from, to }) =>
      Array.from({ length: to - from }, () => -((action === "open(2)" ? 1 : 0) - mean) / 8),
    );
    optimiser.update(policy.parameters(), policy.gradient(traces, { logprob }).gradient);
    policy.changed();
    expect(() => session.choose(requests)).toThrow(/parameters changed/);
  }
  const session = policy.session();
  const moment = { slot: session.open("The door"), view: "", actions };
  return [Math.exp(session.score(moment, "open(2)")), policy];
}

test("a few steps of AdamW make what was rewarded more likely, to the same bits every time", () => {
  const [probability, policy] = rewardOpening();
  expect(probability).toBeGreaterThan(0.8);
  expect(rewardOpening()[1].parameters()).toEqual(policy.parameters());
});

test("what does not fit is refused", () => {
  const policy = new TransformerPolicy({ ...small, context: 8, seed: 1 });
  const session = policy.session();
  const ask = (slot: number) => session.choose([{ slot, view: "", actions, random: new Random(1) }]);
  expect(() => ask(session.open("The door is shut. The door is open."))).toThrow(/longer than the context/);
  const none = new Float64Array(0);
  const trace = { prompt: new Int32Array(0), tokens: Int32Array.of(14, 2), mask: Uint8Array.of(1, 0), views: [] };
  const known = { ...trace, allowed: [null, null], ...{ logprob: none, samplingLogprob: none, entropy: none } };
  expect(policy.evaluate([{ ...known }]).logprob.length).toBe(2);
  expect(() => policy.evaluate([{ ...known, tokens: Int32Array.of(15, 2) }])).toThrow(/ids below 15/);
  expect(() => policy.evaluate([{ ...known, tokens: Int32Array.of(0, 17) }])).toThrow(/ids below 17/);
  expect(() => policy.evaluate([{ ...known, prompt: Int32Array.of(1, 17) }])).toThrow(/prompt/);
  expect(() => policy.evaluate([{ ...known, prompt: new Int32Array(8) }])).toThrow(/longer than the context/);
  expect(policy.evaluate([{ ...known, prompt: new Int32Array(7) }]).logprob[0]).toBeLessThan(0);
  expect(() => session.score({ slot: session.open(""), view: "", actions }, "fly")).toThrow(/cannot write/);
  expect(() => new TransformerPolicy({ ...small, heads: 3, seed: 1 })).toThrow(/heads/);
  expect(() => new TransformerPolicy({ ...small, positions: "rotary", heads: 16, seed: 1 })).toThrow(/heads/);
  expect(() => new TransformerPolicy({ ...small, width: 0, seed: 1 })).toThrow(/width/);
  expect(() => new TransformerPolicy({ words: [], seed: 1 })).toThrow(/words/);
  const token = new TransformerPolicy({ ...small, level: "token", constrained: true, seed: 1 }).session();
  expect(() => token.choose([{ slot: token.open(""), view: "", actions, random: new Random(1) }])).toThrow(/one word/);
});

describe("the parts", () => {
  test("products of matrices are right for any number of rows and columns", () => {
    const size = fc.integer({ min: 1, max: 11 });
    fc.assert(
      fc.property(size, size, size, fc.boolean(), (rows, inner, outer, add) => {
        const random = new Random(rows * 1000 + inner * 100 + outer);
        const x = Float64Array.from({ length: rows * inner }, () => random.uniform());
        const w = Float64Array.from({ length: inner * outer }, () => random.uniform());
        const out = new Float64Array(rows * outer).fill(2);
        multiply(out, x, transposed(w, inner, outer), { rows, inner, outer }, add);
        for (let r = 0; r < rows; r++) {
          for (let j = 0; j < outer; j++) {
            let sum = 0;
            for (let i = 0; i < inner; i++) sum += x[r * inner + i] * w[i * outer + j];
            expect(out[r * outer + j]).toBe(sum + (add ? 2 : 0));
          }
        }
      }),
    );
  });

  test("every chosen token has one row of one padded call, with what came before it", () => {
    const shape = fullShape({ context: 80 }, 5, 7);
    const trace = fc
      .tuple(fc.array(fc.nat(6), { maxLength: 9 }), fc.array(fc.tuple(fc.nat(4), fc.boolean()), { maxLength: 40 }))
      .map(
        ([before, after]): Recorded => ({
          prompt: Int32Array.from(before),
          tokens: Int32Array.from(after, ([token]) => token),
          mask: Uint8Array.from(after, ([, isChosen]) => (isChosen ? 1 : 0)),
          views: [],
          allowed: after.map(([token, isChosen]) =>
            isChosen ? Uint8Array.from({ length: 5 }, (_, k) => (k === token ? 1 : 0)) : null,
          ),
        }),
      );
    const same = fc.array(fc.nat(6), { maxLength: 20 });
    fc.assert(
      fc.property(fc.array(trace, { maxLength: 90 }), same, (parts, begin) => {
        const traces = parts.map((part) => ({ ...part, prompt: Int32Array.of(...begin, ...part.prompt) }));
        const places = new Set<number>();
        const tokens = traces.flatMap(({ prompt: before, tokens: after }) =>
          Array.from(after, (token, k) => ({ token, past: [5, ...before, ...after.slice(0, k)] })),
        );
        for (const { decisions, rows, places: here } of padded(traces, shape, 5, true)) {
          const {
            data,
            shape: [size, length],
          } = decisions.inputs.ids;
          expect(size * length).toBeLessThanOrEqual(4096);
          rows.forEach((row, k) => {
            const { token, past } = tokens[here[k]];
            expect(places.has(here[k])).toBe(false);
            places.add(here[k]);
            expect(decisions.taken[row]).toBe(token);
            const shared = decisions.inputs.prefix?.data ?? [];
            expect([...shared, ...data.subarray(row - (row % length), row + 1)]).toEqual(past);
            const blocked = [...(decisions.blocked as Float32Array).subarray(row * 8, row * 8 + 5)];
            expect(blocked.map((x) => x === 0)).toEqual(upTo(5).map((c) => c === token));
          });
        }
        expect(places.size).toBe(traces.reduce((sum, { mask }) => sum + mask.reduce((a, b) => a + b, 0), 0));
      }),
      { numRuns: 30 },
    );
  });

  test("shapes are few and never too small", () => {
    for (let n = 1; n <= 1000; n++) {
      const size = lengthBucket(n);
      expect(size).toBeGreaterThanOrEqual(n);
      if (n > 8) expect(size).toBeLessThan(1.5 * n);
      expect(bucket(n, 8, 2048)).toBeGreaterThanOrEqual(n);
    }
    expect(new Set(upTo(1000).map((n) => lengthBucket(n + 1))).size).toBeLessThan(16);
    expect([1, 8, 9, 64, 100].map((n) => bucket(n, 8, 64))).toEqual([8, 8, 16, 64, 64]);
  });
});

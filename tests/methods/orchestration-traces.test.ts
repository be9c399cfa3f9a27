import fc from "fast-check";
import { expect, test } from "vitest";
import {
  aggregationQuality,
  parlReward,
  splitCorrectness,
  stoppingAdvantage,
} from "../../src/methods/multi-agent/orchestration-rewards.ts";
import { criticalPath, masMetrics, validateTrace } from "../../src/methods/multi-agent/trace-metrics.ts";
import { InputError } from "../../src/rollouts/index.ts";
import { credit } from "./credit.ts";

const event = (id: string, more: Record<string, unknown> = {}) => ({ id, t: 0, type: "message", agent: "a", ...more });
const traceOf = (events: unknown[], edges: unknown[] = [], costs: Record<string, unknown> = {}) => ({
  trace_id: "t",
  task_id: "k",
  events,
  edges,
  rewards: {},
  costs,
});
const link = (src: string, dst: string) => ({ src, dst, type: "causal" });

test("validation names every fault, in order, and a cycle only when nothing else is wrong", () => {
  expect(validateTrace({ trace: { trace_id: "t", events: [] } })).toEqual([
    "missing:task_id",
    "missing:edges",
    "missing:rewards",
    "missing:costs",
  ]);
  expect(validateTrace({ trace: null })).toHaveLength(6);
  expect(validateTrace({ trace: traceOf([]) })).toEqual(["events:empty"]);
  const faulty = traceOf(
    [event("x", { type: "dance" }), event("x", { t: -1 }), { id: "y", t: 0, type: "return" }],
    [
      { src: "x", dst: "z", type: "causal" },
      { src: "q", dst: "x", type: "odd" },
    ],
    { tokens: -1, wall_clock_s: 3 },
  );
  expect(validateTrace({ trace: faulty })).toEqual([
    "event:type:x",
    "event:duplicate:x",
    "event:time:x",
    "event:missing:agent",
    "edge:dst:z",
    "edge:type:q>x",
    "edge:src:q",
    "cost:negative:tokens",
  ]);
  const circle = traceOf([event("x"), event("y")], [link("x", "y"), link("y", "x")]);
  expect(validateTrace({ trace: circle })).toEqual(["edges:cycle"]);
  expect(() => criticalPath({ trace: circle })).toThrow(InputError);
});

const graphs = fc
  .record({
    durations: fc.array(fc.integer({ min: 0, max: 5 }), { minLength: 1, maxLength: 7 }),
    pairs: fc.array(fc.tuple(fc.nat(6), fc.nat(6)), { maxLength: 10 }),
    shift: fc.nat(6),
  })
  .map(({ durations, pairs, shift }) => {
    const n = durations.length;
    // Edges run from a smaller to a larger rank; ranks are a rotation of the numbers, so that files are out of order too.
    const rank = (k: number) => (k + shift) % n;
    const edges = pairs.filter(([a, b]) => a < n && b < n && rank(a) < rank(b));
    return { durations, edges };
  });

test("the parallel time is that of the longest chain, and the path is such a chain", () => {
  fc.assert(
    fc.property(graphs, ({ durations, edges }) => {
      const events = durations.map((duration, k) => event(`e${k}`, { duration }));
      const { serial, parallel, path } = criticalPath({
        trace: traceOf(
          events,
          edges.map(([a, b]) => link(`e${a}`, `e${b}`)),
        ),
      });
      const longest = (k: number): number =>
        durations[k] + Math.max(0, ...edges.filter(([, b]) => b === k).map(([a]) => longest(a)));
      expect(parallel).toBe(Math.max(...durations.map((_, k) => longest(k))));
      expect(serial).toBe(durations.reduce((a, b) => a + b, 0));
      const numbers = path.map((id) => Number(id.slice(1)));
      expect(numbers.reduce((sum, k) => sum + durations[k], 0)).toBe(parallel);
      for (const [k, to] of numbers.slice(1).entries()) {
        expect(edges.some(([a, b]) => a === numbers[k] && b === to)).toBe(true);
      }
    }),
  );
});

test("metrics of a run with a failing worker", () => {
  const events = [
    event("s", { type: "spawn", to: "w", tokens: 10 }),
    event("m1", { content_ref: "c", tokens: 5, corrupted: true, corrupted_origin: true }),
    event("w1", { type: "tool_call", agent: "w", tokens: 30, corrupted: true, duration: 2 }),
    event("w2", { type: "tool_call", agent: "w", useful: false, tokens: 30, corrupted: true }),
    event("m2", { content_ref: "c", tokens: 5 }),
    event("m3", { tokens: 0, corrupted: true }),
  ];
  const edges = [link("s", "m1"), link("m1", "w1"), link("w1", "w2"), link("w2", "m2"), link("m2", "m3")];
  expect(masMetrics({ trace: traceOf(events, edges, { serial_s: 6, wall_clock_s: 4 }) })).toEqual({
    parallelismEfficiency: 1.5,
    usefulAgentUtilisation: 0.5,
    protocolOverhead: 0.25,
    messageRedundancy: 1 / 3,
    errorAmplification: 2,
  });
  expect(masMetrics({ trace: traceOf([event("x", { type: "tool_call" })]) })).toEqual({
    parallelismEfficiency: 1,
    usefulAgentUtilisation: null,
    protocolOverhead: null,
    messageRedundancy: null,
    errorAmplification: null,
  });
});

test("auxiliary rewards fade out, and no spawn earns none", () => {
  const events = [{ type: "spawn", agent: "o", to: "w" } as const, { type: "return", agent: "w" } as const];
  const total = (progress: number, schedule: "linear" | "cosine" | "constant") =>
    parlReward({ perf: 1, events, lambda_parallel: 1, lambda_finish: 1, n_cap: 1, progress, schedule }).total;
  expect([total(0, "linear"), total(1, "linear"), total(9, "linear")]).toEqual([3, 1, 1]);
  expect(total(0.5, "cosine")).toBeCloseTo(2, 12);
  expect(total(1, "constant")).toBe(3);
  expect(parlReward({ perf: 0, events: [] })).toMatchObject({ r_parallel: 0, r_finish: 0, total: 0 });
  const saved = (speedup: number | null) => parlReward({ perf: 0, events, parallel: "speedup", speedup }).r_parallel;
  expect([saved(2), saved(0.5), saved(null)]).toEqual([0.5, 0, 0]);
});

test("splits and aggregations at their edges", () => {
  expect(splitCorrectness({ required: [], subtasks: [] })).toEqual({
    coverage: 1,
    precision: 1,
    redundancy: 0,
    score: 1,
  });
  expect(splitCorrectness({ required: ["a"], subtasks: [[]] }).score).toBe(0);
  expect(splitCorrectness({ required: [], subtasks: [["x", "x"]] })).toEqual({
    coverage: 1,
    precision: 0,
    redundancy: 0,
    score: 0,
  });
  expect(
    splitCorrectness({
      required: ["a", "b"],
      subtasks: [
        ["a", "b"],
        ["b", "a"],
      ],
    }).score,
  ).toBe(0.5);
  const quality = (returns: string[][], final: string[]) => aggregationQuality({ returns, final, correct: ["a", "b"] });
  expect(quality([["a"], ["b"]], ["a", "b"])).toEqual({
    retention: 1,
    purity: 1,
    quality: 1,
    gain: expect.closeTo(1 / 3, 12),
  });
  expect(quality([], [])).toEqual({ retention: 1, purity: 1, quality: 1, gain: 0 });
  expect(quality([["a"]], [])).toMatchObject({ retention: 0, purity: 0, quality: 0 });
});

test("continuing gains what the best later stop is worth more", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.integer({ min: 0, max: 9 }), fc.integer({ min: 0, max: 3 })), {
        minLength: 1,
        maxLength: 8,
      }),
      (steps) => {
        const { net, optimalStop, continueGain } = stoppingAdvantage({
          quality: steps.map(([q]) => q),
          cost: steps.map(([, c]) => c),
        });
        expect(net[optimalStop]).toBe(Math.max(...net));
        continueGain.forEach((gain, t) => {
          expect(gain).toBe(t === net.length - 1 ? null : Math.max(...net.slice(t + 1)) - net[t]);
        });
      },
    ),
  );
});

test("all turns are trained on request, and equal rewards give nothing", () => {
  const turns = { agent: ["o", "w"], role: ["orchestrator", "worker"], event: ["spawn", "return"], to: ["w", null] };
  const rollouts = [
    { id: "a", group: "g", reward: 1, turns },
    { id: "b", group: "g", reward: 0, turns },
  ];
  const p = { scale: false };
  expect(credit("orchestration-traces", rollouts, p, "turns.advantage")).toEqual([0.5, 0, -0.5, 0]);
  expect(credit("orchestration-traces", rollouts, { ...p, target: "all" }, "turns.advantage")).toEqual([
    0.5, 0.5, -0.5, -0.5,
  ]);
  const equal = rollouts.map((one) => ({ ...one, reward: 0.1 }));
  expect(credit("orchestration-traces", equal)).toEqual([0, 0]);
  expect(() => credit("orchestration-traces", [{ id: "x", reward: 1, turns: { event: [] } }])).toThrow(InputError);
});

test("an event without a type is refused", () => {
  const turns = { end: [1, 2], agent: ["lead", "w"], role: ["orchestrator", "worker"], event: ["spawn", null] };
  expect(() => credit("orchestration-traces", [{ id: "a", reward: 1, tokens: { id: [1, 2] }, turns }])).toThrow(/type/);
});

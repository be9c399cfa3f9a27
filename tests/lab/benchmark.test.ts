import fc from "fast-check";
import { expect, test } from "vitest";
import { Bench, creditGradient } from "../../src/lab/benchmark/apply.ts";
import { allEntries, entryOf, labelOf } from "../../src/lab/benchmark/entries.ts";
import { fidelityOf } from "../../src/lab/benchmark/fidelity.ts";
import { type Fitness, fitnessOf } from "../../src/lab/benchmark/fitness.ts";
import { gradientQuality } from "../../src/lab/benchmark/gradients.ts";
import { hindsightOdds } from "../../src/lab/benchmark/hindsight-odds.ts";
import { type Job, type JobResult, runJob } from "../../src/lab/benchmark/job.ts";
import { learn } from "../../src/lab/benchmark/learning.ts";
import { trueAdvantage, trueLuck } from "../../src/lab/benchmark/signals.ts";
import { intervalOf, summarize } from "../../src/lab/benchmark/summary.ts";
import { benchTasks, settingOf } from "../../src/lab/benchmark/tasks.ts";
import { exactGradient } from "../../src/lab/exact/gradient.ts";
import { exactModel, tableOf } from "../../src/lab/exact/model.ts";
import { trajectories } from "../../src/lab/exact/trajectories.ts";
import { exactValues } from "../../src/lab/exact/values.ts";
import { Random } from "../../src/lab/random.ts";
import { randomTask } from "./random-task.ts";

const taskIds = Object.keys(benchTasks);
const settingFor = (id: string) => settingOf(benchTasks[id]);

function sampled(id: string, method: string, groups: number, seed = 1, params = {}) {
  const setting = settingFor(id);
  const bench = new Bench(entryOf(method, params), setting, seed);
  const feed = bench.sample(setting.start, bench.oracles(setting.start), groups, 8, new Random(seed));
  return { setting, bench, feed };
}

test.each(taskIds)("%s: the outcome splits exactly into value, skill and luck", (id) => {
  const { setting, feed } = sampled(id, "true advantage", 20);
  const { turns, rows, count } = feed.episodes;
  const [skill, luck] = [trueAdvantage(feed), trueLuck(feed)];
  const { rowValues, value } = feed.oracles.values;
  let mean = 0;
  for (let i = 0; i < count; i++) {
    let sum = rowValues[rows[turns[i]]];
    for (let t = turns[i]; t < turns[i + 1]; t++) sum += skill[t] + luck[t];
    expect(sum).toBeCloseTo(feed.rewards[i], 10);
    mean += feed.rewards[i] / count;
  }
  expect(Math.abs(mean - value)).toBeLessThan(0.15);
  expect(setting.optimalValue).toBeGreaterThan(setting.startValue);
});

test("the pair of search tasks has the same values and the same optimum", () => {
  const [fixed, stop] = ["search-fixed", "search-stop"].map(settingFor);
  expect(fixed.startValue).toBeCloseTo(stop.startValue, 12);
  expect(fixed.optimalValue).toBeCloseTo(stop.optimalValue, 12);
  const lengths = (id: string) => {
    const { feed } = sampled(id, "true advantage", 20);
    const { turns, count } = feed.episodes;
    return new Set(Array.from({ length: count }, (_, i) => turns[i + 1] - turns[i]));
  };
  expect([...lengths("search-fixed")]).toEqual([4]);
  expect(lengths("search-stop").size).toBeGreaterThan(2);
});

test("the probability in hindsight is that of all trajectories that end so", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 1e6 }), (seed) => {
      const model = exactModel(randomTask(seed));
      const random = new Random(seed);
      const policy = tableOf(model, () => 2 * random.uniform());
      const odds = hindsightOdds(model, policy, exactValues(model, policy).occupancy);
      const all = [...trajectories(model, policy)];
      const { rows, actions, rewards } = all[random.below(all.length)];
      const t = random.below(rows.length);
      const toGo = rewards.slice(t).reduce((sum, r) => sum + r, 0);
      let [part, whole] = [0, 0];
      for (const one of all) {
        one.rows.forEach((row, k) => {
          const rest = one.rewards.slice(k).reduce((sum, r) => sum + r, 0);
          if (row !== rows[t] || Math.abs(rest - toGo) > 1e-9) return;
          whole += one.probability;
          if (one.actions[k] === actions[t]) part += one.probability;
        });
      }
      expect(odds(rows[t], actions[t], toGo)).toBeCloseTo(part / whole, 9);
    }),
    { numRuns: 15 },
  );
});

test("bias, scale and noise of gradients are found as they were put in", () => {
  const random = new Random(3);
  const exact = Float64Array.of(1, 2, 0);
  const draws = (mean: number[], spread: number) =>
    Array.from({ length: 4000 }, () => Float64Array.from(mean, (m) => m + spread * (random.uniform() - 0.5)));
  const same = gradientQuality(draws([1, 2, 0], 4), exact);
  expect(Math.abs(same.bias2)).toBeLessThan(0.01);
  expect(Math.abs(same.skew2)).toBeLessThan(0.01);
  expect(same.noise).toBeCloseTo((3 * 16) / 12 / 5, 1);
  const scaled = gradientQuality(draws([3, 6, 0], 4), exact);
  expect(scaled.scale).toBeCloseTo(3, 1);
  expect(scaled.bias2).toBeCloseTo(4, 0);
  expect(Math.abs(scaled.skew2)).toBeLessThan(0.01);
  const leaning = gradientQuality(draws([1, 2, Math.sqrt(5)], 1), exact);
  expect(leaning.skew2).toBeCloseTo(0.5, 1);
  expect(gradientQuality(draws([-1, -2, 0], 1), exact).scale).toBeCloseTo(-1, 1);
  const nothing = gradientQuality([new Float64Array(3), new Float64Array(3)], exact);
  expect(nothing).toEqual({ cosine: 0, bias2: 1, skew2: 0, scale: 0, noise: 0, size: 0 });
});

function qualityOf(id: string, method: string, params = {}) {
  const setting = settingFor(id);
  const bench = new Bench(entryOf(method, params), setting, 1);
  const oracles = bench.oracles(setting.start);
  const random = new Random(5);
  const samples = Array.from({ length: 1500 }, () => {
    const feed = bench.sample(setting.start, oracles, 1, 8, random);
    return creditGradient(setting.start, feed, bench.credit(feed));
  });
  return gradientQuality(samples, exactGradient(setting.model, setting.start));
}

test("the baseline by turn index is biased only when the policy decides when to stop; leave-one-out never is", () => {
  const sum = { baseline: "turn_index_sum" };
  expect(qualityOf("search-fixed", "mt-grpo", sum).skew2).toBeLessThan(0.1);
  expect(qualityOf("search-stop", "mt-grpo", sum).skew2).toBeGreaterThan(0.5);
  for (const id of ["search-fixed", "search-stop"]) {
    const { skew2, scale } = qualityOf(id, "rloo");
    expect(skew2).toBeLessThan(0.1);
    expect(Math.abs(scale - 1)).toBeLessThan(0.15);
  }
});

test("the truth scores perfectly, the bare outcome follows luck as well", () => {
  const truth = sampled("luck", "true advantage", 20);
  const perfect = fidelityOf(truth.feed, truth.bench.credit(truth.feed), "turn");
  expect(perfect.pearson).toBeCloseTo(1, 12);
  expect([perfect.sign, perfect.top]).toEqual([1, 1]);
  const outcome = sampled("luck", "rloo", 20);
  const blunt = fidelityOf(outcome.feed, outcome.bench.credit(outcome.feed), "rollout");
  expect(blunt.pearson).toBeLessThan(0.5);
  expect(blunt.own).toBeGreaterThan(blunt.pearson);
  expect(blunt.luck).toBeGreaterThan(0.1);
});

test("every method runs or says why not, and takes no costly column that it does not use", () => {
  const found = new Map<string, Fitness>(allEntries().map((entry) => [entry.label, fitnessOf(entry, "key-door")]));
  const runs = [...found.values()].filter((one) => one.runs);
  expect(runs.length).toBeGreaterThan(55);
  for (const one of found.values()) if (!one.runs) expect(one.reason).toMatch(/needs|writes no|gives|column/);
  const sources = (id: string) => {
    const one = found.get(id);
    return one?.runs === true ? one.sources : null;
  };
  expect(sources("rloo")).toEqual([]);
  expect(sources("gae")).toEqual(["critic"]);
  expect(sources("clip-delta")).toEqual(["process model"]);
  expect(sources("vineppo")).toEqual(["samples"]);
  expect(sources("igpo")).toEqual(["answer"]);
  expect(found.get("carl-driving")).toEqual({ runs: false, reason: "needs steps.route_completion" });
  expect(found.get("dno")).toMatchObject({ runs: false });
});

test("equal jobs give equal numbers, other seeds others; a fingerprint changes with the credit", () => {
  const fitness = fitnessOf(entryOf("grpo", {}), "team");
  const other = fitnessOf(entryOf("grpo", { norm_by_std: false }), "team");
  if (!fitness.runs || !other.runs) throw new Error("grpo runs on this task");
  expect(fitness.fingerprint).not.toBe(other.fingerprint);
  const job: Job = { entry: fitness.entry, columns: fitness.columns, task: "team", seed: 1, scale: "quick" };
  const numbers = (one: Job) => ({ ...runJob(one).measures, nanoseconds: 0 });
  expect(numbers(job)).toEqual(numbers(job));
  expect(numbers({ ...job, seed: 2 })).not.toEqual(numbers(job));
  for (const value of Object.values(numbers(job))) expect(value === null || Number.isFinite(value)).toBe(true);
});

test("with the true advantage a policy learns, against it it does not", () => {
  const { bench, setting } = sampled("gates", "true advantage", 1);
  const options = { updates: 100, groups: 1, size: 8, seed: 1, until: 0.9 * setting.optimalValue };
  const up = learn(bench, { ...options, rate: 20 });
  expect(up.episodes).toBeLessThan(400);
  expect(up.curve[up.curve.length - 1]).toBeGreaterThanOrEqual(0.9 * setting.optimalValue);
  const down = learn(bench, { ...options, rate: -20 });
  expect(down.episodes).toBeNull();
  expect(down.curve[down.curve.length - 1]).toBeLessThan(setting.startValue);
});

test("a summary takes the best pace, counts who got there, and keeps bias back until there are three seeds", () => {
  const fitness = fitnessOf(entryOf("rloo", {}), "chain");
  if (!fitness.runs) throw new Error("rloo runs on this task");
  const { entry, columns, sources, credit } = fitness;
  const results = [1, 2].map((seed): JobResult => {
    const { measures, curves } = runJob({ entry, columns, task: "chain", seed, scale: "quick" });
    const episodes = { "episodes at 0.2": null, "episodes at 0.6": 80 * seed, "episodes at 1.8": 40 };
    return { measures: { ...measures, ...episodes, "episodes at 5.4": seed === 1 ? 8 : null }, curves };
  });
  const finished = [{ entry, task: "chain", sources, credit, results }];
  const summary = summarize(finished, [], { scale: "quick", seeds: [1, 2], tasks: ["chain"] });
  const [row] = summary.entries;
  expect(row.tasks[0].episodes).toMatchObject({ mean: 40, margin: 0, pace: 1.8, reached: 2 });
  expect(row.episodes?.mean).toBeCloseTo(40, 9);
  expect(row).toMatchObject({ label: "rloo", bias: null, partial: null, gap: null, reached: { runs: 2, of: 2 } });
  const three = { ...finished[0], results: [...results, results[0]] };
  expect(summarize([three], [], { scale: "quick", seeds: [1, 2, 3], tasks: ["chain"] }).entries[0].bias).not.toBeNull();
});

test("intervals are Student's, labels name what differs", () => {
  expect(intervalOf([1, 2, 3])).toEqual({ mean: 2, margin: expect.closeTo(4.303 / Math.sqrt(3), 6) });
  expect(intervalOf([4])).toEqual({ mean: 4, margin: 0 });
  expect(labelOf("mt-grpo", { baseline: "fixed" })).toBe("mt-grpo baseline=fixed");
});

import { expect, test } from "vitest";
import {
  type BifurcationFamily,
  bifurcationFamilies,
  bifurcationTask,
} from "../../src/lab/environments/bifurcation-families.ts";
import { playBifurcation, sampleBifurcation } from "../../src/lab/environments/bifurcation-rollouts.ts";
import { Random } from "../../src/lab/random.ts";
import { bifurcationValues, criticalities, episodeCredit } from "../../src/mechanisms/bifurcation.ts";
import { scoreCredit } from "../../src/mechanisms/credit-scores.ts";
import { assign } from "../../src/methods/assign.ts";
import { batchFromObjects } from "../../src/rollouts/index.ts";

const families = Object.keys(bifurcationFamilies) as BifurcationFamily[];

test.each(families)("%s: rollouts add up, agree with the exact value, and come again with their seed", (family) => {
  const task = bifurcationTask(family, new Random(3));
  expect(criticalities(bifurcationValues(task, null)).some((x) => x > 1e-3)).toBe(true);
  const options = { task, group: family, size: 2000, seed: 5 };
  const rollouts = [...sampleBifurcation(options)];
  expect([...sampleBifurcation({ ...options, size: 2000 })]).toEqual(rollouts);
  const [start] = bifurcationValues(task, null).values;
  const mean = rollouts.reduce((sum, { reward }) => sum + (reward as number), 0) / rollouts.length;
  expect(Math.abs(mean - start)).toBeLessThan(4 * Math.sqrt((start * (1 - start)) / rollouts.length));
  for (const { reward, turns, signals } of rollouts.slice(0, 50)) {
    const columns = turns as Record<string, number[]>;
    const sum = [...columns.true_advantage, ...columns.luck].reduce((all, x) => all + x, 0);
    expect(start + sum + (signals as { residual: number }).residual).toBeCloseTo(reward as number, 9);
  }
});

test("gates stand where the family says", () => {
  const kinds = (family: BifurcationFamily, options = {}) =>
    bifurcationTask(family, new Random(1), { horizon: 9, ...options }).steps.map(({ kind }) => kind);
  expect(kinds("early-gate").indexOf("gate")).toBe(0);
  expect(kinds("late-gate").lastIndexOf("gate")).toBe(8);
  expect(kinds("and-gates", { gates: 5 }).filter((kind) => kind === "gate").length).toBe(5);
  for (let seed = 0; seed < 20; seed++) {
    const { steps } = bifurcationTask("gate-repair", new Random(seed), { horizon: 9, window: 2 });
    const apart = steps.findIndex(({ kind }) => kind === "repair") - steps.findIndex(({ kind }) => kind === "gate");
    expect([1, 2]).toContain(apart);
  }
  expect(() => kinds("and-gates", { gates: 10 })).toThrow(/gates/);
  expect(() => kinds("noisy", { slip: 2 })).toThrow(/slip/);
});

test("a hidden status leaves nothing that tells it", () => {
  const task = bifurcationTask("and-gates", new Random(1));
  const [{ turns, tokens }] = sampleBifurcation({ task, group: "g", size: 1, seed: 1, hidden: true });
  expect(Object.keys(turns as object).sort()).toEqual(["action", "end", "luck", "true_advantage"]);
  expect(Object.keys(tokens as object)).not.toContain("value");
});

test("credit of whole episodes drowns as they get longer; continuations from restored states hold out longer", () => {
  const scores = [8, 32].map((horizon) => {
    const task = bifurcationTask("and-gates", new Random(horizon), { horizon, actions: 4 });
    const rollouts = [...sampleBifurcation({ task, group: "g", size: 64, seed: 2 })];
    const truth = rollouts.map(({ turns }) => (turns as Record<string, number[]>).true_advantage);
    const batch = assign(batchFromObjects(rollouts), "ca-survey");
    const flat = batch.numbers("tokens.advantage");
    const episode = truth.map((_, i) => [...flat.subarray(i * horizon, (i + 1) * horizon)]);
    const random = new Random(9);
    const value = (step: number, status: number) => {
      let sum = 0;
      for (let k = 0; k < 32; k++) sum += playBifurcation(task, null, random, { step, status }).reward;
      return sum / 32;
    };
    const restored = rollouts.map(({ turns, reward }) => {
      const { status } = turns as Record<string, number[]>;
      const values = [...status.map((m, t) => value(t, m)), reward as number];
      return status.map((_, t) => values[t + 1] - values[t]);
    });
    return { episode: scoreCredit(episode, truth), restored: scoreCredit(restored, truth) };
  });
  for (const { episode, restored } of scores) expect(restored.pearson).toBeGreaterThan(1.5 * episode.pearson);
  expect(scores[1].episode.pearson).toBeLessThan(scores[0].episode.pearson);
  expect(scores[1].restored.pearson).toBeLessThan(scores[0].restored.pearson);
});

test("a policy that always takes a right action has only luck to thank", () => {
  const task = bifurcationTask("and-gates", new Random(4), { horizon: 6, pOn: 1, pOff: 0 });
  const policy = new Float64Array(2 * 6 * 2);
  task.steps.forEach(({ correct }, t) => {
    for (const m of [0, 1]) policy[(2 * t + m) * 2 + (correct[0] ?? 0)] = 1;
  });
  const episode = playBifurcation(task, policy, new Random(1));
  const { advantage, luck } = episodeCredit(bifurcationValues(task, policy), 2, episode);
  expect(episode.reward).toBe(1);
  expect([...advantage, ...luck].every((x) => x === 0)).toBe(true);
});

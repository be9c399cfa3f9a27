import fc from "fast-check";
import { expect, test } from "vitest";
import { exactGradient } from "../../src/lab/exact/gradient.ts";
import { type ExactModel, exactModel, tableOf } from "../../src/lab/exact/model.ts";
import { type Trajectory, trajectories } from "../../src/lab/exact/trajectories.ts";
import { advantageOf, exactValue, exactValues, optimum } from "../../src/lab/exact/values.ts";
import { Random } from "../../src/lab/random.ts";
import type { SoftmaxTable } from "../../src/lab/softmax-table.ts";
import { plainTask, randomTask } from "./random-task.ts";

const seeds = fc.integer({ min: 0, max: 1e6 });

function setting(seed: number): { model: ExactModel; policy: SoftmaxTable } {
  const model = exactModel(randomTask(seed));
  const random = new Random(~seed);
  return { model, policy: tableOf(model, () => 4 * random.uniform() - 2) };
}

/** Mean over trajectories through a row (and action) of what was still to be won, visit by visit. */
function toGo(all: readonly Trajectory[], row: number, action: number | null): number {
  let weight = 0;
  let sum = 0;
  for (const { probability, rows, actions, rewards } of all) {
    rows.forEach((r, t) => {
      if (r !== row || (action !== null && actions[t] !== action)) return;
      weight += probability;
      sum += probability * rewards.slice(t).reduce((total, x) => total + x, 0);
    });
  }
  return weight === 0 ? 0 : sum / weight;
}

test("values, occupancy and advantages are those of brute force over all trajectories", () => {
  fc.assert(
    fc.property(seeds, (seed) => {
      const { model, policy } = setting(seed);
      const all = [...trajectories(model, policy)];
      const mean = (of: (one: Trajectory) => number) => all.reduce((sum, one) => sum + one.probability * of(one), 0);
      expect(mean(() => 1)).toBeCloseTo(1, 12);
      const values = exactValues(model, policy);
      expect(values.value).toBeCloseTo(
        mean(({ reward }) => reward),
        12,
      );
      expect(exactValue(model, policy, "verified")).toBeCloseTo(
        mean(({ verified }) => verified),
        12,
      );
      for (let s = 0; s < model.states; s++) {
        expect(values.occupancy[s]).toBeCloseTo(
          mean(({ states }) => (states.includes(s) ? 1 : 0)),
          12,
        );
      }
      model.rows.forEach((_, row) => {
        expect(values.visits[row]).toBeCloseTo(
          mean(({ rows }) => rows.filter((r) => r === row).length),
          12,
        );
        expect(values.rowValues[row]).toBeCloseTo(toGo(all, row, null), 11);
        model.actions.forEach((_, a) => {
          if (policy.probability(row, a) === 0 || values.visits[row] === 0) return;
          const truth = toGo(all, row, a) - toGo(all, row, null);
          expect(advantageOf(values, model.actions.length, row, a)).toBeCloseTo(truth, 11);
        });
      });
    }),
    { numRuns: 25 },
  );
});

test("the gradient is that of finite differences, and of the score function over all trajectories", () => {
  fc.assert(
    fc.property(seeds, (seed) => {
      const { model, policy } = setting(seed);
      const gradient = exactGradient(model, policy);
      const h = 1e-5;
      policy.logits.forEach((logit, k) => {
        if (logit === Number.NEGATIVE_INFINITY) {
          expect(gradient[k]).toBe(0);
          return;
        }
        const moved = (by: number) => {
          const other = policy.copy();
          other.logits[k] = logit + by;
          return exactValue(model, other);
        };
        expect(gradient[k]).toBeCloseTo((moved(h) - moved(-h)) / (2 * h), 7);
      });
      for (const { probability, rows, actions, reward } of trajectories(model, policy)) {
        rows.forEach((row, t) => {
          policy.accumulate(row, actions[t], probability * reward);
        });
      }
      policy.gradient.forEach((g, k) => {
        expect(g).toBeCloseTo(gradient[k], 11);
      });
    }),
    { numRuns: 25 },
  );
});

/** All deterministic policies, tried one after another. */
function bestOfAll(model: ExactModel, objective: "reward" | "verified"): number {
  let best = Number.NEGATIVE_INFINITY;
  const columns = model.actions.length;
  const uniform = tableOf(model);
  const open = model.rows.map((_, row) =>
    model.actions.flatMap((_, a) => (uniform.probability(row, a) > 0 ? [a] : [])),
  );
  const choose = (row: number, chosen: number[]): void => {
    if (row < open.length) {
      for (const a of open[row]) choose(row + 1, [...chosen, a]);
      return;
    }
    const policy = tableOf(model);
    chosen.forEach((a, r) => {
      for (let b = 0; b < columns; b++) if (b !== a) policy.logits[r * columns + b] = Number.NEGATIVE_INFINITY;
    });
    policy.changed();
    best = Math.max(best, exactValue(model, policy, objective));
  };
  choose(0, []);
  return best;
}

test("the optimum is the best of all deterministic policies, for either reward", () => {
  fc.assert(
    fc.property(seeds, (seed) => {
      const model = exactModel(plainTask(seed));
      expect(optimum(model).value).toBeCloseTo(bestOfAll(model, "reward"), 10);
      expect(optimum(model, "verified").value).toBeCloseTo(bestOfAll(model, "verified"), 10);
    }),
    { numRuns: 10 },
  );
});

test("an environment that runs in circles or is too large is refused", () => {
  const circle = randomTask(1);
  circle.outcomes = () => [
    { probability: 1, snapshot: circle.snapshot(), result: { observation: "", reward: 0, done: false } },
  ];
  expect(() => exactModel(circle)).toThrow(/circles/);
  expect(() => exactModel(randomTask(1), 3)).toThrow(/too large/);
});

import { expect, test } from "vitest";
import { Summary, verdictOf } from "../../src/lab/experiments/experiment.ts";
import { experiments } from "../../src/lab/experiments/registry.ts";

test.each(Object.keys(experiments))("%s: a slice of the experiment runs, twice the same", async (id) => {
  const { experiment } = await experiments[id]();
  expect(experiment.id).toBe(id);
  expect(experiment.seeds).toBeGreaterThanOrEqual(3);
  const trial = await experiment.trial(1, "slice");
  expect(Object.values(trial.measures).every(Number.isFinite)).toBe(true);
  expect(await experiment.trial(1, "slice")).toEqual(trial);
});

test("the verdict is decided by the claims alone", () => {
  const finding = (kind: "claim" | "limit", holds: boolean) => ({ kind, holds, expected: "", measured: "" });
  expect(verdictOf([finding("claim", true), finding("limit", false)])).toBe("shown");
  expect(verdictOf([finding("claim", true), finding("claim", false)])).toBe("mixed");
  expect(verdictOf([finding("claim", false), finding("limit", true)])).toBe("not shown");
});

test("margins are those of Student's t", () => {
  const of = (...values: number[]) => new Summary(values.map((x) => ({ measures: { x } })));
  expect(of(1).margin("x")).toBe(0);
  expect(of(1, 2, 3).margin("x")).toBeCloseTo((4.303 * 1) / Math.sqrt(3), 3);
  expect(of(1, 2, 3, 4, 5).margin("x")).toBeCloseTo(2.776 * Math.sqrt(2.5 / 5), 2);
  expect(() => of(Number.NaN).values("x")).toThrow("measure x");
});

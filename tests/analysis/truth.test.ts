import { expect, test } from "vitest";
import { seriesOfColumn } from "../../src/analysis/series.ts";
import { tellingPair, truthCorrelations } from "../../src/analysis/truth.ts";
import { batchFromObjects } from "../../src/rollouts/index.ts";

const batch = batchFromObjects([
  { id: "won", group: "g", reward: 1, turns: { true_advantage: [0.1, -0.3, 0.4], x: [1, 0, 2] } },
  { id: "lost", group: "g", reward: 0, turns: { true_advantage: [0.2, -0.1, 0.9], x: [1.5, 0.5, 3] } },
  { id: "short", group: "g", reward: 0, turns: { true_advantage: [0.9, -0.9], x: [2.5, -1] } },
  { id: "other", group: "h", reward: 1, turns: { true_advantage: [-0.9, 0, 0], x: [-2, 0.7, 0.7] } },
]);

test("the telling pair is a success with a turn that hurt and a failure with one that helped, of one group", () => {
  expect(tellingPair(batch)).toEqual({ success: 0, failure: 1, lowered: 1, raised: 0 });
  expect(tellingPair(batch, 2, 2)).toBeNull();
});

test("credit in the order of the truth correlates fully with it", () => {
  const series = ["turns.x", "turns.true_advantage"].flatMap((path) => seriesOfColumn(batch, path) ?? []);
  const [given, exact] = truthCorrelations(batch, series, "turn");
  expect(exact).toBeCloseTo(1, 12);
  expect(given).toBeGreaterThan(0.5);
  expect(given).toBeLessThan(1);
  expect(truthCorrelations(batch, series, "token")).toEqual([null, null]);
});

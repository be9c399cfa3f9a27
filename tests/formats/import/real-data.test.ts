import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { type Batch, concatBatches } from "../../../src/rollouts/index.ts";
import { importAll } from "./try-import.ts";

const data = fileURLToPath(new URL("../../../../shared/data", import.meta.url));
const there = existsSync(data);
if (!there) console.log(`real data is not there (${data}): its imports are not tried`);

function mean(values: ArrayLike<number>): number {
  return Array.from(values).reduce((sum, x) => sum + x, 0) / values.length;
}

/** Members of each (group, state). */
function anchors(batch: Batch): Map<string, Set<number>> {
  const states = batch.strings("turns.state");
  const offsets = batch.offsets("turn");
  const found = new Map<string, Set<number>>();
  for (let i = 0; i < batch.size; i++) {
    for (let row = offsets[i]; row < offsets[i + 1]; row++) {
      const key = `${batch.groupOf[i]} ${states[row]}`;
      found.set(key, (found.get(key) ?? new Set()).add(i));
    }
  }
  return found;
}

test.skipIf(!there)(
  "tau-bench: 120 rollouts in 30 groups, 0.30 of them solved, states shared between trials",
  async () => {
    const batch = concatBatches(await importAll([`${data}/tau-bench`], "auto"));
    expect(batch.size).toBe(120);
    expect(batch.groupCount).toBe(30);
    expect(mean(batch.numbers("rollout.reward"))).toBeCloseTo(0.3, 12);
    expect(batch.count("turn")).toBe(1698);
    const calls = batch.cells("turns.tool_calls") as unknown[][];
    expect(calls.reduce((sum, list) => sum + list.length, 0)).toBe(810);
    const gold = batch.cells("meta.gold_calls") as { name: string; arguments: object }[][];
    expect(gold.every((list) => list.every((call) => call.name !== "" && typeof call.arguments === "object"))).toBe(
      true,
    );
    const found = anchors(batch);
    expect(found.size).toBe(867);
    expect([...found.values()].filter((trials) => trials.size > 1)).toHaveLength(339);
  },
);

test.skipIf(!there)("who-and-when: 100 failed runs whose label names an agent of the run, 86 questions", async () => {
  const batch = concatBatches(await importAll([`${data}/who-and-when`], "auto"));
  expect(batch.size).toBe(100);
  expect(batch.groupCount).toBe(86);
  expect(batch.ids).toContain("hand-crafted/1");
  expect(mean(batch.numbers("rollout.reward"))).toBe(0);
  expect(batch.count("turn")).toBe(560 + 2069);
  expect(batch.count("edge")).toBe(560 + 2069 - 100);
  const agents = batch.strings("turns.agent");
  const offsets = batch.offsets("turn");
  const steps = batch.cells("meta.mistake_step") as number[];
  const blamed = batch.cells("meta.mistake_agent") as string[];
  const agree = blamed.filter((name, i) => agents[offsets[i] + steps[i]] === name);
  expect(agree).toHaveLength(98);
});

test.skipIf(!there)("gsm8k: 900 groups of four, words and lines of every solution", async () => {
  const batch = concatBatches(await importAll([`${data}/gsm8k`], "auto"));
  expect(batch.size).toBe(3600);
  expect(batch.groupCount).toBe(900);
  const { offsets } = batch.groups();
  expect(new Set(offsets.slice(1).map((end, g) => end - offsets[g]))).toEqual(new Set([4]));
  expect(mean(batch.numbers("rollout.reward")) * batch.size).toBeCloseTo(200 + 361 + 315 + 516, 9);
  const tokens = batch.offsets("token");
  const text = batch.strings("tokens.text").slice(tokens[5], tokens[6]).join("");
  expect((batch.cells("messages")[5] as { content: string }[])[1].content).toBe(text);
  expect(batch.strings("signals.answer").filter((answer) => answer === null).length).toBeLessThan(30);
});

import fc from "fast-check";
import { expect, test } from "vitest";
import { methods } from "../../src/methods/registry.ts";
import { applyCalls, type SettledCall, settleCalls } from "../../src/pipeline/calls.ts";
import { answerOf, divide, packBatch, reunite } from "../../src/pipeline/transfer.ts";
import {
  Batch,
  type BatchParts,
  batchFromObjects,
  type NumericColumn,
  rolloutObjects,
  sliceRollouts,
} from "../../src/rollouts/index.ts";
import { rolloutsArbitrary } from "../formats/arbitrary-rollouts.ts";
import { creditCases } from "../methods/samples.ts";

/** What a worker gets of a message: the very algorithm that posts it. */
function posted<T>(value: T, buffers: ArrayBuffer[]): T {
  return structuredClone(value, { transfer: buffers });
}

function sent(parts: BatchParts): Batch {
  const packed = packBatch(parts);
  return new Batch(posted(packed.parts, packed.buffers));
}

const objects = (batch: Batch) => [...rolloutObjects(batch)];

/** A batch through a worker and back, without the thread. */
function throughWorker(batch: Batch, calls: readonly SettledCall[]): Batch {
  const { paths } = batch;
  const reads = calls.flatMap(({ method }) => method.reads);
  const { parts, stayed } = divide(batch, reads);
  const { answer, buffers } = answerOf(applyCalls(sent(parts), calls, {}));
  return reunite(posted(answer, buffers), stayed, paths).batch;
}

test("a batch of any kind arrives as it was", () => {
  fc.assert(
    fc.property(rolloutsArbitrary, (rollouts) => {
      const before = objects(batchFromObjects(rollouts));
      expect(objects(sent(batchFromObjects(rollouts).parts))).toEqual(before);
    }),
  );
});

test("numbers are handed over, not copied; what only views a part of a buffer leaves the rest alone", () => {
  const make = () => batchFromObjects([0, 1, 2].map((k) => ({ id: `r${k}`, tokens: { value: [k, k + 0.5] } })));
  const whole = make();
  const values = (whole.column("tokens.value") as NumericColumn).values;
  const { buffer } = values;
  sent(whole.parts);
  expect(buffer.byteLength).toBe(0);

  const viewed = make();
  const slice = sliceRollouts(viewed, 1, 2);
  expect(objects(sent(slice.parts))).toEqual([objects(make())[1]]);
  expect(objects(viewed)).toEqual(objects(make()));
});

test("an array that stands in two columns travels once", () => {
  const batch = batchFromObjects([{ id: "a", tokens: { value: [1, 2] } }]);
  const shared = Float64Array.of(3, 4);
  const arrived = sent(batch.with({ "tokens.a": shared, "tokens.b": shared }).parts);
  const of = (path: string) => (arrived.column(path) as NumericColumn).values;
  expect(of("tokens.a")).toBe(of("tokens.b"));
  expect([...of("tokens.b")]).toEqual([3, 4]);
});

test("conversations and metadata stay at home unless a method reads them", () => {
  const rollout = {
    id: "a",
    reward: 1,
    turns: { agent: ["x"] },
    messages: [{ role: "user" }],
    meta: { gold_calls: [] },
  };
  const paths = (reads: string[]) => [...divide(batchFromObjects([rollout]), reads).parts.columns.keys()].sort();
  expect(paths(["rollout.reward"])).toEqual(["rollout.reward", "turns.agent"]);
  expect(paths(["meta.gold_calls?"])).toEqual(["meta", "rollout.reward", "turns.agent"]);
  expect(paths(["messages"])).toEqual(["messages", "rollout.reward", "turns.agent"]);
});

const cases = [...methods.keys()].flatMap((id) => creditCases(id).map((one) => [id, one.name, one] as const));

test.each(cases)("%s gives the same in a worker: %s", (id, _, { params, rollouts }) => {
  const calls = settleCalls([{ method: id, params }]);
  const here = applyCalls(batchFromObjects(rollouts ?? []), calls, {}).batch;
  const there = throughWorker(batchFromObjects(rollouts ?? []), calls);
  expect(there.paths).toEqual(here.paths);
  expect(objects(there)).toEqual(objects(here));
});

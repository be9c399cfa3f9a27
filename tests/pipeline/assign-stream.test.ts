import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { assign, methodParams } from "../../src/methods/assign.ts";
import type { Method } from "../../src/methods/method.ts";
import { findMethod, methods } from "../../src/methods/registry.ts";
import { localChange } from "../../src/pipeline/advice.ts";
import { type AssignStreamOptions, assignStream } from "../../src/pipeline/assign-stream.ts";
import { onlyColumns } from "../../src/pipeline/calls.ts";
import type { BatchSource } from "../../src/pipeline/pieces.ts";
import {
  type Batch,
  batchFromObjects,
  concatBatches,
  InputError,
  type RolloutObject,
  rolloutObjects,
} from "../../src/rollouts/index.ts";
import { creditCases } from "../methods/samples.ts";
import { expectNear } from "../operators/arbitraries.ts";

const objects = (batch: Batch) => [...rolloutObjects(batch)];
/** Enough for the smallest pieces, not for a whole input of some megabytes. */
const little = 162 * 2 ** 20;

function rollout(i: number, group: string | undefined, tokens = 3): RolloutObject {
  const number = (k: number) => Math.sin(12.9898 * (i + 1) * (k + 1)) * 2;
  const list = (shift: number) => Array.from({ length: tokens }, (_, t) => number(t + shift));
  return {
    id: `r${i}`,
    ...(group === undefined ? {} : { group }),
    reward: Math.round(Math.abs(number(0))),
    tokens: {
      value: list(1),
      logprob: list(2),
      mask: list(3).map((x) => (x > -1 ? 1 : 0)),
      id: list(4).map((_, t) => t),
    },
    turns: { end: tokens === 0 ? [] : [tokens], agent: tokens === 0 ? [] : ["a"] },
  };
}

/** Rollouts in groups of up to four, neighbours or not, and where to cut them into batches. */
const inputs = fc
  .record({
    groups: fc.array(fc.constantFrom("p", "q", "s", undefined), { minLength: 1, maxLength: 12 }),
    cuts: fc.array(fc.nat(11), { maxLength: 4 }),
  })
  .map(({ groups, cuts }) => {
    const rollouts = groups.map((group, i) => rollout(i, group, i % 4));
    const at = [...new Set([0, ...cuts.filter((cut) => cut < rollouts.length), rollouts.length])].sort((a, b) => a - b);
    return { rollouts, pieces: at.slice(1).map((to, k) => rollouts.slice(at[k], to)) };
  });

async function* given(pieces: readonly (readonly RolloutObject[])[]): AsyncGenerator<Batch> {
  for (const piece of pieces) yield batchFromObjects(piece);
}

async function streamed(
  source: BatchSource,
  method: string | Method,
  params: Record<string, unknown> = {},
  options: AssignStreamOptions = {},
): Promise<Batch> {
  const batches: Batch[] = [];
  for await (const batch of assignStream(source, [{ method, params }], { threads: 1, ...options })) batches.push(batch);
  return concatBatches(batches);
}

const tokensOf = (rollouts: RolloutObject[], column: string) =>
  rollouts.flatMap(({ tokens }) => (tokens?.[column] ?? []) as number[]);

test.each([
  ["rollout-local", "gae", { whiten_advantage: false }],
  ["group-local", "grpo", {}],
  ["at once", "grpo", { std_scope: "batch" }],
])("%s: pieces give what the whole gives", async (_, method, params) => {
  await fc.assert(
    fc.asyncProperty(inputs, async ({ rollouts, pieces }) => {
      const whole = objects(assign(batchFromObjects(rollouts), method, params));
      expect(objects(await streamed(given(pieces), method, params))).toEqual(whole);
    }),
  );
});

test.each([
  ["gae", {}, ["advantage", "return"]],
  ["gae", { whiten_ddof: 0, lam: 0.9 }, ["advantage", "return"]],
  ["reinforce-pp", { baseline: "group_mean" }, ["advantage", "return"]],
])("two passes: %s %j, from memory and read twice", async (method, params, columns) => {
  await fc.assert(
    fc.asyncProperty(inputs, fc.boolean(), async ({ rollouts, pieces }, small) => {
      const whole = objects(assign(batchFromObjects(rollouts), method, params));
      const passes: number[] = [];
      const source: BatchSource = ({ pass }) => {
        passes.push(pass);
        return given(pieces);
      };
      const parts = objects(await streamed(source, method, params, small ? { memory: 1 } : {}));
      expect(passes).toEqual(small ? [1, 2] : [1]);
      expect(parts.map(({ id }) => id)).toEqual(whole.map(({ id }) => id));
      for (const column of columns) expectNear(tokensOf(parts, column), tokensOf(whole, column));
    }),
    { numRuns: 50 },
  );
});

test("two passes leave unscored rollouts out of the statistics", async () => {
  const rollouts = Array.from({ length: 6 }, (_, i) => ({
    ...rollout(i, undefined, 4),
    ...(i === 2 ? { reward: null } : {}),
  }));
  const whole = objects(assign(batchFromObjects(rollouts), "gae", {}, { unscored: "leave-out" }));
  const pieces = [rollouts.slice(0, 3), rollouts.slice(3)];
  const parts = objects(await streamed(given(pieces), "gae", {}, { unscored: "leave-out" }));
  expectNear(tokensOf(parts, "advantage"), tokensOf(whole, "advantage"));
  expect(parts[2].tokens?.advantage).toEqual([0, 0, 0, 0]);
  await expect(streamed(given(pieces), "gae")).rejects.toThrow(/have no reward/);
});

const twoPassCases = [...methods.values()]
  .filter(({ twoPass }) => twoPass !== undefined)
  .flatMap(({ id, scope }) =>
    creditCases(id)
      .filter(({ params }) => scope(methodParams(findMethod(id), params)) === "batch")
      .map((one) => [id, one.name, one] as const),
  );

test.each(twoPassCases)("two passes over single rollouts: %s, %s", async (id, _, { params, rollouts = [] }) => {
  const whole = assign(batchFromObjects(rollouts), id, params);
  const parts = await streamed(given((rollouts as RolloutObject[]).map((one) => [one])), id, params);
  for (const path of findMethod(id).writes) {
    if (!whole.has(path)) continue;
    expect(parts.ids).toEqual(whole.ids);
    expectNear(parts.numbers(path, { missing: 0 }), whole.numbers(path, { missing: 0 }));
  }
});

describe("several methods", () => {
  test("each reads the rollouts as they came, and its columns carry its name", async () => {
    const source = [rollout(0, "p"), rollout(1, "p")];
    const batches = assignStream(given([source]), [{ method: "grpo" }, { method: "rloo" }]);
    const { value: batch } = (await batches.next()) as IteratorYieldResult<Batch>;
    const before = batchFromObjects(source);
    for (const id of ["grpo", "rloo"]) {
      const alone = assign(before, id);
      expect(batch.numbers(`tokens.${id}_advantage`)).toEqual(alone.numbers("tokens.advantage"));
    }
    expect(batch.has("tokens.advantage")).toBe(false);
    expect(objects(batch.without(batch.paths.filter((path) => /\.(grpo|rloo)_/.test(path))))).toEqual(objects(before));
  });
});

describe("what does not fit", () => {
  const megabytes = Array.from({ length: 200 }, (_, i) => rollout(i, undefined, 5000));
  const pieces = Array.from({ length: 4 }, (_, k) => megabytes.slice(50 * k, 50 * k + 50));

  test("a method that needs the whole input says which parameter asks for it", async () => {
    const failure = await streamed(() => given(pieces), "grpo", { std_scope: "batch" }, { memory: little }).catch(
      (e) => e,
    );
    expect(failure).toBeInstanceOf(InputError);
    expect(failure.message).toMatch(/method grpo: .*whole input.*MB.*raise --memory.*--param std_scope=group/s);
  });

  test("what can be read only once and needs two passes says how to give it", async () => {
    const failure = await streamed(given(pieces), "gae", {}, { memory: little }).catch((e) => e);
    expect(failure).toBeInstanceOf(InputError);
    expect(failure.message).toMatch(/method gae: .*as a file.*--param whiten_advantage=false/s);
  });

  test("the same input passes where the method needs single rollouts only", async () => {
    const batch = await streamed(given(pieces), "gae", { whiten_advantage: false }, { memory: little });
    expect(batch.size).toBe(200);
  });
});

test("the change that makes a method local is found by trying", () => {
  const change = (id: string, params = {}) =>
    localChange(findMethod(id), { ...findMethod(id).params.parse({}), ...params });
  expect(change("gae")).toEqual({ param: "whiten_advantage", value: false, scope: "rollout" });
  expect(change("grpo", { std_scope: "batch" })).toEqual({ param: "std_scope", value: "group", scope: "group" });
  expect(change("reinforce-pp")).toBeNull();
});

test("batches that are done with one by one may share memory for what is written", async () => {
  const pieces = [0, 1, 2].map((k) => [rollout(2 * k, `g${k}`, 1000), rollout(2 * k + 1, `g${k}`, 1000)]);
  const expected = pieces.map((piece) => objects(assign(batchFromObjects(piece), "gae", { whiten_advantage: false })));
  const call = { method: "gae", params: { whiten_advantage: false } };
  const buffers = new Set<ArrayBufferLike>();
  const seen: RolloutObject[][] = [];
  for await (const batch of assignStream(given(pieces), [call], { threads: 1, transient: true })) {
    buffers.add(batch.numbers("tokens.advantage").buffer);
    seen.push(objects(batch));
  }
  expect(seen).toEqual(expected);
  expect(buffers.size).toBe(1);
});

test("no more batches are read than are asked for", async () => {
  let read = 0;
  async function* source(): AsyncGenerator<Batch> {
    for (; read < 100; read++) yield batchFromObjects([rollout(read, undefined)]);
  }
  const results = assignStream(source(), [{ method: "gae", params: { whiten_advantage: false } }], { threads: 1 });
  await results.next();
  await results.next();
  await results.return(undefined);
  expect(read).toBeLessThan(3);
});

test("an aborted signal ends the work and the reading", async () => {
  let ended = false;
  async function* source(): AsyncGenerator<Batch> {
    try {
      for (let i = 0; ; i++) yield batchFromObjects([rollout(i, undefined)]);
    } finally {
      ended = true;
    }
  }
  for (const params of [{ whiten_advantage: false }, {}]) {
    const stop = new AbortController();
    setTimeout(() => stop.abort(new Error("enough")), 20);
    async function* slowly() {
      for await (const batch of source()) {
        await new Promise((resolve) => setTimeout(resolve, 1));
        yield batch;
      }
    }
    await expect(streamed(slowly(), "gae", params, { signal: stop.signal })).rejects.toThrow("enough");
    expect(ended).toBe(true);
  }
});

test("only credit is kept, or credit and what is named", () => {
  const after = assign(batchFromObjects([rollout(0, "p"), rollout(1, "p")]), "grpo");
  const written = ["rollout.advantage", "tokens.advantage"];
  expect(onlyColumns(after, written, []).paths).toEqual(written);
  expect(objects(onlyColumns(after, written, []))[0]).toEqual({
    id: "r0",
    group: "p",
    advantage: after.numbers("rollout.advantage")[0],
    tokens: { advantage: [...after.numbers("tokens.advantage").slice(0, 3)] },
  });
  expect(onlyColumns(after, written, ["turns", "tokens.id"]).paths.sort()).toEqual(
    [...written, "tokens.id", "turns.agent", "turns.end"].sort(),
  );
  expect(onlyColumns(after, [], ["tokens.*"]).paths.every((path) => path.startsWith("tokens."))).toBe(true);
});

import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { groupExtents, type WholeGroupsOptions, wholeGroups } from "../../src/formats/chunks.ts";
import { readBatches } from "../../src/formats/read.ts";
import {
  type Batch,
  batchFromObjects,
  rolloutObject,
  rolloutObjects,
  sliceRollouts,
} from "../../src/rollouts/index.ts";

let folder: string;
let before: string | undefined;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "apportion-test-"));
  before = process.env.TMPDIR;
  process.env.TMPDIR = folder;
});
afterAll(() => {
  if (before === undefined) delete process.env.TMPDIR;
  else process.env.TMPDIR = before;
  rmSync(folder, { recursive: true });
});

function rollout(k: number, group: string | null): Record<string, unknown> {
  const base = {
    id: `r${k}`,
    tokens: { id: [k, k], logprob: [k / 3, null] },
    turns: { agent: [`a${k}`] },
    meta: { k },
  };
  return group === null ? base : { ...base, group };
}

const groupsArbitrary = fc.array(fc.option(fc.constantFrom("a", "b", "c", "d", "e", "f")), { maxLength: 60 });
const cutsArbitrary = fc.array(fc.nat({ max: 60 }), { maxLength: 6 });

/** Rollouts cut into batches at any places. */
function batchesOf(groups: readonly (string | null)[], cuts: readonly number[]): Batch[] {
  const all = batchFromObjects(groups.map((group, k) => rollout(k, group)));
  const bounds = [0, ...[...new Set(cuts)].filter((cut) => cut > 0 && cut < all.size).sort((a, b) => a - b), all.size];
  return bounds.slice(1).flatMap((to, k) => (to > bounds[k] ? [sliceRollouts(all, bounds[k], to)] : []));
}

async function collect(batches: readonly Batch[], options: WholeGroupsOptions): Promise<Batch[]> {
  const out: Batch[] = [];
  for await (const batch of wholeGroups(batches, options)) out.push(batch);
  return out;
}

function extentsOf(groups: readonly (string | null)[]): Map<string, number> {
  const members = new Map<string, number>();
  for (const group of groups) if (group !== null) members.set(group, (members.get(group) ?? 0) + 1);
  return members;
}

/** Every group in one batch, every rollout there once and unchanged, the order within groups kept. */
function expectWhole(out: readonly Batch[], groups: readonly (string | null)[]): void {
  const place = new Map<string, number>();
  const seen = new Map<string, number>();
  out.forEach((batch, b) => {
    expect(batch.size).toBeGreaterThan(0);
    for (let i = 0; i < batch.size; i++) {
      const k = Number(batch.ids[i].slice(1));
      expect(rolloutObject(batch, i)).toEqual(rollout(k, groups[k]));
      const group = groups[k];
      if (group === null) continue;
      expect(place.get(group) ?? b).toBe(b);
      expect(k).toBeGreaterThan(seen.get(group) ?? -1);
      place.set(group, b);
      seen.set(group, k);
    }
  });
  expect(out.flatMap((batch) => batch.ids).sort()).toEqual(groups.map((_, k) => `r${k}`).sort());
}

test("every group comes whole, whatever the order of the input, its cuts, what is known and how little memory there is", async () => {
  const memory = fc.constantFrom(0, 1000, 3000, Number.POSITIVE_INFINITY);
  await fc.assert(
    fc.asyncProperty(groupsArbitrary, cutsArbitrary, memory, fc.boolean(), async (groups, cuts, maxBytes, known) => {
      const extents = known ? extentsOf(groups) : null;
      const out = await collect(batchesOf(groups, cuts), { maxBytes, extents });
      expectWhole(out, groups);
      if (maxBytes === Number.POSITIVE_INFINITY)
        expect(out.flatMap((b) => b.ids)).toEqual(groups.map((_, k) => `r${k}`));
    }),
    { numRuns: 300 },
  );
  expect(readdirSync(folder)).toEqual([]);
});

test("counts that are wrong do not tear groups apart where they are too high, nor lose rollouts", async () => {
  const groups = ["a", "b", "a", "b", "c", "a", null, "c"];
  const extents = new Map([
    ["a", 9],
    ["b", 2],
  ]);
  expectWhole(await collect(batchesOf(groups, [1, 3, 5]), { extents, maxBytes: 0 }), groups);
});

test("groups that stand together pass as they come: each is given before the next batch is asked for", async () => {
  const groups = ["a", "a", "b", "b", "b", "c", "c", "c"];
  for (const options of [{ contiguous: true }, { extents: extentsOf(groups) }]) {
    const log: string[] = [];
    async function* source() {
      for (const batch of batchesOf(groups, [3, 6])) {
        log.push(`in ${batch.ids.join()}`);
        yield batch;
      }
    }
    for await (const batch of wholeGroups(source(), options)) log.push(`out ${batch.ids.join()}`);
    expect(log).toEqual(["in r0,r1,r2", "out r0,r1", "in r3,r4,r5", "out r2,r3,r4", "in r6,r7", "out r5,r6,r7"]);
  }
});

test("numbers of whole groups are views, not copies", async () => {
  const [batch] = batchesOf(["a", "a", "b"], []);
  const [out] = await collect([batch], {
    extents: new Map([
      ["a", 2],
      ["b", 2],
    ]),
  });
  expect(out.ids).toEqual(["r0", "r1"]);
  const values = out.numbers("tokens.id");
  expect(values.buffer).toBe(batch.numbers("tokens.id").buffer);
});

test("batches may be handed on to a thread: what waits has memory of its own", async () => {
  const groups = ["a", "b", "b", "c", "c", "d"];
  const out: unknown[] = [];
  for await (const batch of wholeGroups(batchesOf(groups, [2, 4]), { extents: extentsOf(groups) })) {
    out.push(...structuredClone([...rolloutObjects(batch)]));
    const buffers = new Set(
      batch.paths.flatMap((path) => {
        const column = batch.column(path);
        const whole = column.kind === "number" && column.values.byteLength === column.values.buffer.byteLength;
        return whole ? [(column.values as Float64Array<ArrayBuffer>).buffer] : [];
      }),
    );
    structuredClone(null, { transfer: [...buffers] });
  }
  expect(out).toEqual(groups.map((group, k) => rollout(k, group)));
});

test("with contiguous, a group that comes back is refused", async () => {
  const groups = ["a", "b", "a"];
  await expect(collect(batchesOf(groups, [1]), { contiguous: true })).rejects.toThrow(
    /rollout "r2": group "a" comes back.*sort the input by group/,
  );
  const alone = ["a", null, "b", "b"];
  expectWhole(await collect(batchesOf(alone, [1, 3]), { contiguous: true }), alone);
});

test("leaves no temporary files when the reader stops early or the input breaks", async () => {
  const groups = Array.from({ length: 60 }, (_, k) => `g${k % 20}`);
  for await (const batch of wholeGroups(batchesOf(groups, [10, 20, 30, 40, 50]), { maxBytes: 2000 })) {
    expect(batch.size).toBeGreaterThan(0);
    expect(readdirSync(folder).length).toBe(1);
    break;
  }
  async function* broken() {
    yield* batchesOf(groups, [30]);
    throw new Error("the input broke");
  }
  await expect(
    (async () => {
      for await (const batch of wholeGroups(broken(), { maxBytes: 10 })) expect(batch).toBeUndefined();
    })(),
  ).rejects.toThrow("the input broke");
  expect(readdirSync(folder)).toEqual([]);
});

test("the first pass over files counts the members of every group", async () => {
  const own = mkdtempSync(join(folder, "files-"));
  const one = join(own, "one.jsonl");
  const two = join(own, "two.jsonl");
  writeFileSync(
    one,
    '\ufeff{"id":"a","group":"g"}\n\n{"meta":{"group":"no","x":"\\"}]"},"group":"h\\u0041","id":"b"}\n{"id":"c"}\r\n',
  );
  writeFileSync(two, '{oops\n{"group":"x","group":"g","id":"d"}\n{"id":"e","group":null}\n{"id":"f","group":5}');
  expect(await groupExtents([one, two])).toEqual(
    new Map([
      ["g", 2],
      ["hA", 1],
    ]),
  );
  expect(await groupExtents("-")).toBeNull();
  await expect(groupExtents(join(own, "gone.jsonl"))).rejects.toThrow("no such file");
  rmSync(own, { recursive: true });
});

test("first pass and second pass together keep the order and hold little", async () => {
  const own = mkdtempSync(join(folder, "files-"));
  const path = join(own, "turns.jsonl");
  const groups = Array.from({ length: 400 }, (_, k) => `g${4 * Math.floor(k / 16) + (k % 4)}`);
  writeFileSync(path, groups.map((group, k) => `${JSON.stringify(rollout(k, group))}\n`).join(""));
  const out: Batch[] = [];
  const batches = readBatches(path, { chunkBytes: 2000 });
  for await (const batch of wholeGroups(batches, { extents: await groupExtents(path) })) out.push(batch);
  expectWhole(out, groups);
  expect(out.flatMap((batch) => batch.ids)).toEqual(groups.map((_, k) => `r${k}`));
  expect(out.length).toBeGreaterThan(10);
  rmSync(own, { recursive: true });
});

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Input, readBatches, readRollouts } from "../../src/formats/read.ts";
import type { ReadProgress, Reject } from "../../src/formats/types.ts";
import { InputError } from "../../src/rollouts/index.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "apportion-test-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, content: string | Buffer): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

async function message(input: Input): Promise<string> {
  const error = await readRollouts(input).then(
    () => null,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(InputError);
  return (error as InputError).message.replaceAll(folder, "DIR");
}

test("reads the example of the format", async () => {
  const path = file(
    "example.jsonl",
    `{"id":"t7-0","group":"t7","reward":1,"rewards":{"accuracy":1,"format":0.5},"signals":{"duration_s":12.5},
"tokens":{"id":[5,9,9,2,7],"mask":[1,1,0,1,1],"logprob":[-0.1,-0.7,0,-0.2,null]},"steps":{"end":[2,5],"prm":[0.9,0.4]},
"turns":{"end":[3,5],"agent":["planner","solver"],"reward":[0,1]},"messages":[{"role":"user","content":"…"}],"meta":{}}`.replaceAll(
      "\n",
      "",
    ),
  );
  const batch = await readRollouts(path);
  expect(batch.ids).toEqual(["t7-0"]);
  expect(batch.groupNames).toEqual(["t7"]);
  expect(batch.column("tokens.id")).toMatchObject({ values: Int32Array.of(5, 9, 9, 2, 7), valid: null });
  expect(batch.column("tokens.mask")).toMatchObject({ values: Uint8Array.of(1, 1, 0, 1, 1) });
  expect(batch.column("tokens.logprob")).toMatchObject({
    values: Float64Array.of(-0.1, -0.7, 0, -0.2, 0),
    valid: Uint8Array.of(1, 1, 1, 1, 0),
  });
  expect(batch.column("turns.agent")).toMatchObject({ kind: "string", values: ["planner", "solver"] });
  expect(batch.numbers("rewards.format")).toEqual(Float64Array.of(0.5));
  expect(batch.cells("messages")).toEqual([[{ role: "user", content: "…" }]]);
});

test("passes over a byte order mark, empty lines, Windows line ends and a missing last line feed", async () => {
  const text = '\ufeff{"id":"a"}\r\n\r\n  \t\n{"id":"b"}\n\n{"id":"c"}';
  expect((await readRollouts(file("ends.jsonl", text))).ids).toEqual(["a", "b", "c"]);
  expect((await readRollouts(file("empty.jsonl", ""))).size).toBe(0);
  expect((await readRollouts(file("mark.jsonl", "\ufeff"))).size).toBe(0);
});

test("says file, line, character, what was expected and what to do", async () => {
  const good = '{"id":"a"}\n';
  const cases: [line: string, ...parts: string[]][] = [
    ['{"id":"b",}', "DIR/bad.jsonl:2: not JSON at character 11", 'expected a key in "', 'got "}"', "--on-error skip"],
    ['{"id":"b","x":NaN}', "character 15", 'expected a value, got "NaN"', "Python's json writes NaN", "null"],
    ['{"id":"b","x":-Infinity}', 'got "-Infinity"', "only finite numbers"],
    ['{"id":"b","x":None}', "json.dumps"],
    ['{"id":"b","tokens":{"x":[1,2,nan]}}', 'got "nan"', "write null"],
    ["{'id':'b'}", "character 2", "double quotes"],
    ['{"id":"b" "x":1}', "expected a comma or }"],
    ['{"id":"b"', "character 10", "got the end of the line", "one rollout is one line"],
    ['{"id":"b\\x"}', "an escape"],
    ['{"id":"b\u0001"}', "no control characters"],
    ['{"id":"b"}{"id":"c"}', "expected the end of the line"],
    ['{"id":"b","meta":{"k":[1,2}}', "expected a comma or ]"],
    ['{"id":"b","é":tru}', "character 15"],
    ["[1,2]", "DIR/bad.jsonl:2: not a rollout; expected a JSON object, got a list of 2", "apportion import"],
    ["5", "expected a JSON object, got 5"],
    ['{"id":"a"}', 'bad.jsonl:2, rollout "a": this id was already used'],
    [
      '{"id":"b","tokens":{"id":[1,2.5]}}',
      'rollout "b", column tokens.id',
      "a whole number below 2^31 (row 1), got 2.5",
    ],
    ['{"id":"b","tokens":{"x":[1,1e999]}}', "a finite number (row 1), got Infinity"],
  ];
  for (const [line, ...parts] of cases) {
    const got = await message(file("bad.jsonl", `${good}${line}\n`));
    for (const part of parts) expect(got).toContain(part);
    expect(got).not.toContain("\n");
  }
});

test("knows other files by their beginning", async () => {
  const array = await message(file("array.json", JSON.stringify([{ id: "a" }, { id: "b" }], null, 1)));
  expect(array).toContain("JSON array, not rollout JSONL");
  expect(array).toContain("apportion import auto DIR/array.json");
  expect(await message(file("tight.json", '[{"id":"a"}]'))).toContain("apportion import");
  expect(await message(file("pretty.json", '{\n "id": "a"\n}'))).toContain("apportion import");
  expect(await message(file("wide.jsonl", Buffer.from('\ufeff{"id":"a"}', "utf16le")))).toContain("UTF-16");
  const latin = Buffer.from('{"id":"a"}\n{"id":"caf\u00e9"}\n', "latin1");
  expect(await message(file("latin.jsonl", latin))).toContain("latin.jsonl:2: not UTF-8 at character 11");
});

test("with skip, hands bad lines on and reads the others", async () => {
  const lines = [
    '{"id":"a"}',
    "{oops",
    '{"id":"b","tokens":{"id":["x"]}}',
    '{"id":"a","reward":2}',
    '{"id":"c"}\r',
    "{last",
  ];
  const path = file("some.jsonl", lines.join("\n"));
  const rejects: Reject[] = [];
  const batch = await readRollouts(path, { onError: "skip", onReject: (reject) => rejects.push(reject) });
  expect(batch.ids).toEqual(["a", "c"]);
  expect(batch.has("rollout.reward")).toBe(false);
  expect(rejects.map(({ file, line, rollout, text }) => ({ file, line, rollout, text }))).toEqual([
    { file: path, line: 2, rollout: undefined, text: "{oops" },
    { file: path, line: 3, rollout: "b", text: lines[2] },
    { file: path, line: 4, rollout: "a", text: lines[3] },
    { file: path, line: 6, rollout: undefined, text: "{last" },
  ]);
  expect(rejects[1].reason).toContain("column tokens.id");
  expect(rejects[1].reason).not.toContain("some.jsonl");
  await expect(readRollouts(file("list.jsonl", "[\n1]"), { onError: "skip" })).rejects.toThrow("JSON array");
});

test("ids are unique over all files and batches of an input", async () => {
  const one = file("one.jsonl", '{"id":"a"}\n{"id":"b"}\n');
  const two = file("two.jsonl", '{"id":"c"}\n{"id":"a"}\n');
  expect(await message([one, two])).toContain('two.jsonl:2, rollout "a": this id was already used');
  const rejects: Reject[] = [];
  const options = { onError: "skip", chunkBytes: 1, onReject: (reject: Reject) => rejects.push(reject) } as const;
  const ids: (readonly string[])[] = [];
  for await (const batch of readBatches([one, two], options)) ids.push(batch.ids);
  expect(ids).toEqual([["a"], ["b"], ["c"]]);
  expect(rejects).toMatchObject([{ file: two, line: 2, rollout: "a" }]);
});

test("cuts batches by the bytes of their columns, and shares one between small files", async () => {
  const line = (id: string) => `${JSON.stringify({ id, tokens: { x: new Array(1000).fill(0.5) } })}\n`;
  const names = Array.from({ length: 40 }, (_, k) => `r${k}`);
  const paths = names.map((id) => file(`${id}.jsonl`, line(id)));
  const sizes: number[] = [];
  for await (const batch of readBatches(paths, { chunkBytes: 80_000 })) sizes.push(batch.size);
  expect(sizes.reduce((a, b) => a + b)).toBe(40);
  expect(sizes.length).toBeGreaterThanOrEqual(2);
  expect(sizes.length).toBeLessThanOrEqual(5);
  expect((await readRollouts(paths)).ids).toEqual(names);
});

test("reports progress, stops when asked to, and lets go of the input when the reader stops", async () => {
  const path = file("long.jsonl", Array.from({ length: 1000 }, (_, k) => `{"id":"r${k}"}\n`).join(""));
  const seen: ReadProgress[] = [];
  await readRollouts(path, { onProgress: (progress) => seen.push(progress) });
  const bytes = seen[seen.length - 1].total;
  expect(seen.at(-1)).toEqual({ file: path, bytes, total: bytes, rollouts: 1000 });

  const stopped = new AbortController();
  const reading = readRollouts(new Readable({ read() {} }), { signal: stopped.signal });
  setTimeout(() => stopped.abort(), 20);
  await expect(reading).rejects.toThrow(/abort/i);

  const source = Readable.from(
    (function* () {
      for (let k = 0; ; k++) yield Buffer.from(`{"id":"r${k}","meta":{"text":"${"x".repeat(100_000)}"}}\n`);
    })(),
    { objectMode: false },
  );
  for await (const batch of readBatches(source, { chunkBytes: 1_000_000 })) {
    expect(batch.size).toBeGreaterThan(1);
    break;
  }
  expect(source.destroyed).toBe(true);
});

test("reads a line however long and deep it is", async () => {
  const deep = `${"[".repeat(100_000)}${"]".repeat(100_000)}`;
  const long = JSON.stringify({ id: "a", tokens: { x: Array.from({ length: 300_000 }, (_, k) => k / 8) } });
  const batch = await readRollouts(file("long.jsonl", `${long}\n{"id":"b","meta":{"deep":${deep}}}\n`));
  expect(batch.count("token")).toBe(300_000);
  expect(batch.numbers("tokens.x", { absent: 0 })[299_999]).toBe(299_999 / 8);
  expect(await message(file("deep.jsonl", `{"id":"a","meta":${deep.slice(0, -1)}}\n`))).toContain(
    "not JSON at character",
  );
});

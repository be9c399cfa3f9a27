import * as fl from "@uwdata/flechette";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type ArrowReadOptions, readArrowStream } from "../../src/formats/arrow-read.ts";
import { ArrowStreamWriter } from "../../src/formats/arrow-write.ts";
import { type Batch, batchFromObjects, InputError, selectRollouts } from "../../src/rollouts/index.ts";
import { batches, contents, objects } from "./columnar-batches.ts";

async function written(...parts: readonly Batch[]): Promise<Uint8Array> {
  const bytes: Uint8Array[] = [];
  const output = { write: async (part: Uint8Array) => void bytes.push(part.slice()) };
  const writer = new ArrowStreamWriter({ ...output, close: async () => {}, abort: async () => {} });
  for (const part of parts) await writer.write(part);
  await writer.close();
  return Uint8Array.from(Buffer.concat(bytes));
}

/** Bytes in chunks of a size. */
async function* chunked(bytes: Uint8Array, size = bytes.length): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function readAll(bytes: Uint8Array, options: ArrowReadOptions = {}, size?: number): Promise<Batch[]> {
  const found: Batch[] = [];
  for await (const batch of readArrowStream(chunked(bytes, size), options)) found.push(batch);
  return found;
}

async function failure(bytes: Uint8Array, options?: ArrowReadOptions): Promise<InputError> {
  const error = await readAll(bytes, { name: "in.arrow", ...options }).then(
    () => null,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(InputError);
  return error as InputError;
}

/** A stream as another program writes it. */
function foreign(
  columns: [name: string, type: fl.DataType, values: unknown[]][],
  codec?: fl.CompressionType_,
): Uint8Array {
  const made = columns.map(
    ([name, type, values]) => [name, fl.columnFromArray(values, type)] as [string, fl.Column<unknown>],
  );
  return fl.tableToIPC(fl.tableFromColumns(made), {
    format: "stream",
    ...(codec === undefined ? {} : { codec }),
  }) as Uint8Array;
}

/** A column made of buffers, for types that the encoder does not build from values. */
function fromBuffers(type: fl.DataType, parts: object): fl.Column<unknown> {
  const Made = fl.batchType(type, {}) as unknown as new (parts: object) => fl.Batch<unknown>;
  return new fl.Column([new Made({ nullCount: 0, validity: new Uint8Array(0), type, ...parts })]);
}

function withIds(name: string, column: fl.Column<unknown>): Uint8Array {
  const table = fl.tableFromColumns([
    ["id", fl.columnFromArray(["a", "b"], fl.utf8())],
    [name, column],
  ]);
  return fl.tableToIPC(table, { format: "stream" }) as Uint8Array;
}

const ids: [string, fl.DataType, unknown[]] = ["id", fl.utf8(), ["a", "b"]];

describe("what is written comes back", () => {
  test("as it was, with widths, nulls and absences", async () => {
    const property = fc.asyncProperty(batches, async (batch) => {
      const [back, ...more] = await readAll(await written(batch));
      expect(more).toEqual([]);
      expect(contents(back)).toEqual(contents(batch));
    });
    await fc.assert(property, { numRuns: 150 });
  });

  test("in several batches, from chunks of any size, in batches of any size", async () => {
    const sizes = fc.record({
      cut: fc.nat(6),
      size: fc.integer({ min: 1, max: 200 }),
      chunkBytes: fc.integer({ min: 1, max: 500 }),
    });
    const property = fc.asyncProperty(batches, sizes, async (batch, { cut, size, chunkBytes }) => {
      const order = Array.from({ length: batch.size }, (_, i) => i);
      const parts = [selectRollouts(batch, order.slice(0, cut)), selectRollouts(batch, order.slice(cut))];
      const back = await readAll(await written(batch, ...parts), { chunkBytes }, size);
      expect(objects(...back)).toEqual([...objects(batch), ...objects(...parts)]);
    });
    await fc.assert(property, { numRuns: 100 });
  });

  test("as one batch when there is no bound", async () => {
    const part = batchFromObjects([{ id: "a", tokens: { id: [1, 2] } }]);
    const other = batchFromObjects([{ id: "b", tokens: { id: [3] } }]);
    const [whole, ...more] = await readAll(await written(part, other), { chunkBytes: Infinity });
    expect(more).toEqual([]);
    expect(objects(whole)).toEqual([...objects(part), ...objects(other)]);
  });

  test("without a copy: columns of one message stand in its memory", async () => {
    const rows = { length: 50_000 };
    const one = { value: Array.from(rows, (_, i) => i / 2), logprob: Array.from(rows, (_, i) => -i) };
    const [back] = await readAll(await written(batchFromObjects([{ id: "a", tokens: one }])));
    const buffers = back.paths.map((path) => (back.column(path).values as Float64Array).buffer);
    expect(new Set(buffers).size).toBe(1);
  });

  test("a stream without rollouts is a stream", async () => {
    const bytes = await written();
    expect(fl.tableFromIPC(bytes).schema.fields.map(({ name }) => name)).toEqual(["id", "group"]);
    expect(await readAll(bytes)).toEqual([]);
  });
});

describe("what a stream cannot hold is refused", () => {
  const first = batchFromObjects([{ id: "a", signals: { x: 1 }, tokens: { value: [1] } }]);

  test("a column that comes late", async () => {
    const late = batchFromObjects([{ id: "b", signals: { y: 1 } }]);
    await expect(written(first, late)).rejects.toThrow(/rollout "b", column signals\.y: this column comes after/);
  });

  test("a column that changes its type, unless the first one is wider", async () => {
    const text = batchFromObjects([{ id: "b", signals: { x: "one" } }]);
    await expect(written(first, text)).rejects.toThrow(/column signals\.x: .*expected float64 numbers.*got text/);
    const single = first.with({ "tokens.value": Float32Array.of(0.5) });
    const [back] = await readAll(await written(first, single), { chunkBytes: Infinity });
    expect(Array.from(back.numbers("tokens.value"))).toEqual([1, 0.5]);
    await expect(written(single, first)).rejects.toThrow(/column tokens\.value: this column changes its type/);
  });

  test("NaN, and half of a surrogate pair", async () => {
    const bad = first.with({ "tokens.advantage": Float64Array.of(Number.NaN) });
    await expect(written(bad)).rejects.toThrow(/rollout "a", column tokens\.advantage: wrong value in tokens row 0/);
    const half = batchFromObjects([{ id: "a", signals: { text: "\ud800" } }]);
    await expect(written(half)).rejects.toThrow(/column signals\.text: .*half of a surrogate pair/);
  });
});

describe("streams of other programs", () => {
  test("structs of lists, lists of structs, maps and unknown columns", async () => {
    const turn = fl.struct({
      end: fl.int64(),
      agent: fl.dictionary(fl.utf8()),
      reward: fl.float64(),
      tool: fl.struct({ n: fl.int8() }),
    });
    const bytes = foreign([
      ids,
      ["group", fl.dictionary(fl.utf8()), ["g", null]],
      ["reward", fl.float32(), [0.5, null]],
      [
        "tokens",
        fl.struct({ id: fl.list(fl.int64()), mask: fl.list(fl.bool()) }),
        [
          { id: [7n, 8n], mask: [true, false] },
          { id: [9n], mask: [true] },
        ],
      ],
      [
        "turns",
        fl.list(turn),
        [
          [
            { end: 1n, agent: "x", reward: null, tool: { n: 1 } },
            { end: 2n, agent: null, reward: null, tool: null },
          ],
          [{ end: 1n, agent: "x", reward: 1, tool: { n: 2 } }],
        ],
      ],
      ["rewards", fl.map(fl.utf8(), fl.float64()), [new Map([["accuracy", 1]]), null]],
      [
        "signals",
        fl.struct({ seconds: fl.float16(), note: fl.utf8() }),
        [
          { seconds: 1.5, note: null },
          { seconds: 2, note: "n" },
        ],
      ],
      ["meta", fl.struct({ seed: fl.int64() }), [{ seed: 3n }, null]],
      ["messages", fl.utf8(), ['[{"role":"user"}]', null]],
      ["tags", fl.list(fl.utf8()), [["p", "q"], []]],
      ["when", fl.timestamp(fl.TimeUnit.MILLISECOND), [0, null]],
      ["cost", fl.decimal(10, 2, 128), [1.25, 2]],
      ["nothing", fl.nullType(), [null, null]],
    ]);
    const [batch] = await readAll(bytes);
    expect(objects(batch)).toEqual([
      {
        id: "a",
        group: "g",
        reward: 0.5,
        tokens: { id: [7, 8], mask: [1, 0] },
        turns: { end: [1, 2], agent: ["x", null], tool: [{ n: 1 }, null] },
        rewards: { accuracy: 1 },
        signals: { seconds: 1.5 },
        meta: { seed: 3 },
        messages: [{ role: "user" }],
        tags: ["p", "q"],
        when: "1970-01-01T00:00:00.000Z",
        cost: 1.25,
      },
      {
        id: "b",
        tokens: { id: [9], mask: [1] },
        turns: { end: [1], agent: ["x"], reward: [1], tool: [{ n: 2 }] },
        signals: { seconds: 2, note: "n" },
        tags: [],
        cost: 2,
      },
    ]);
    expect(batch.column("rollout.reward").kind).toBe("number");
    expect(batch.validity("rewards.accuracy")).toEqual(Uint8Array.of(1, 0));
    expect((batch.column("rollout.reward").values as Float32Array).constructor).toBe(Float32Array);
    expect((batch.column("tokens.id").values as Int32Array).constructor).toBe(Int32Array);
  });

  test.each([
    ["large list", fl.largeList(fl.float32())],
    ["fixed-size list", fl.fixedSizeList(fl.float32(), 2)],
  ])("%s", async (_, type) => {
    const [batch] = await readAll(
      foreign([
        ids,
        [
          "tokens.value",
          type,
          [
            [1, 2],
            [3, 4],
          ],
        ],
      ]),
    );
    expect(Array.from(batch.numbers("tokens.value"))).toEqual([1, 2, 3, 4]);
  });

  test.each([
    fl.int8(),
    fl.int16(),
    fl.int32(),
    fl.int64(),
    fl.uint8(),
    fl.uint16(),
    fl.uint32(),
    fl.uint64(),
    fl.float16(),
    fl.float32(),
    fl.float64(),
  ])("token ids in any type of number (%#)", async (type) => {
    const wide = "bitWidth" in type && type.bitWidth === 64 && type.typeId === fl.Type.Int;
    const values = [[1, 2], [3]].map((list) => (wide ? list.map(BigInt) : list));
    const [batch] = await readAll(foreign([ids, ["tokens.id", fl.list(type), values]]));
    expect(batch.column("tokens.id").values).toEqual(Int32Array.of(1, 2, 3));
  });

  test("offsets that do not begin at 0", async () => {
    const { children } = fl.columnFromArray([[1], [2, 3], [4]], fl.list(fl.float32())).data[0];
    const cut = fromBuffers(fl.list(fl.float32()), { length: 2, offsets: Int32Array.of(1, 3, 4), children });
    const [batch] = await readAll(withIds("tokens.value", cut));
    expect(objects(batch)).toEqual([
      { id: "a", tokens: { value: [2, 3] } },
      { id: "b", tokens: { value: [4] } },
    ]);
  });

  test("list views, in any order", async () => {
    const { children } = fl.columnFromArray([[1], [2, 3], [4]], fl.list(fl.float32())).data[0];
    const parts = { length: 2, offsets: Int32Array.of(2, 0), sizes: Int32Array.of(2, 1), children };
    const [batch] = await readAll(withIds("tokens.value", fromBuffers(fl.listView(fl.float32()), parts)));
    expect(objects(batch)).toEqual([
      { id: "a", tokens: { value: [3, 4] } },
      { id: "b", tokens: { value: [1] } },
    ]);
  });

  test("text views, short and long", async () => {
    const long = "a text that is longer than twelve bytes";
    const values = Buffer.alloc(32);
    values.writeInt32LE(5, 0);
    values.write("short", 4);
    values.writeInt32LE(long.length, 16);
    const parts = { length: 2, values: Uint8Array.from(values), data: [Uint8Array.from(Buffer.from(long))] };
    const [batch] = await readAll(withIds("kind", fromBuffers(fl.utf8View(), parts)));
    expect(batch.column("rollout.kind").values).toEqual(["short", long]);
  });

  test("Arrow files, from front to back", async () => {
    const table = fl.tableFromArrays({ id: ["a"], reward: [1] });
    const [batch] = await readAll(fl.tableToIPC(table, { format: "file" }) as Uint8Array);
    expect(objects(batch)).toEqual([{ id: "a", reward: 1 }]);
  });

  test("bodies compressed with zstd are read, with LZ4 they are explained", async () => {
    const { compress } = await import("@cloudpss/zstd");
    const values = [Array.from({ length: 500 }, () => 0.25), [1]];
    fl.setCompressionCodec(fl.CompressionType.ZSTD, { encode: (bytes) => compress(bytes), decode: (bytes) => bytes });
    const [batch] = await readAll(
      foreign([ids, ["tokens.value", fl.list(fl.float64()), values]], fl.CompressionType.ZSTD),
    );
    expect(Array.from(batch.numbers("tokens.value"))).toEqual(values.flat());
    fl.setCompressionCodec(fl.CompressionType.LZ4_FRAME, {
      encode: (bytes) => bytes.slice(1),
      decode: (bytes) => bytes,
    });
    const error = await failure(foreign([ids], fl.CompressionType.LZ4_FRAME));
    expect(error.message).toMatch(/^in\.arrow: the Arrow data is compressed with LZ4; expected zstd/);
  });
});

describe("what does not conform names file, column and rollout", () => {
  const cases: [string, [string, fl.DataType, unknown[]][], RegExp][] = [
    ["no id", [["uid", fl.utf8(), ["a"]]], /^in\.arrow, column id: no column id; .*got the columns uid/],
    [
      "ids that are numbers",
      [["id", fl.int32(), [1]]],
      /column id: column of the wrong type; expected a column of text, got int32/,
    ],
    ["an empty id", [["id", fl.utf8(), [""]]], /^in\.arrow: rollout without an id/],
    ["an id twice", [["id", fl.utf8(), ["a", "a"]]], /rollout "a": this id was already used/],
    [
      "tokens that are no lists",
      [ids, ["tokens.id", fl.int32(), [1, 2]]],
      /rollout "a", column tokens\.id: .*expected a list in each row, got int32/,
    ],
    [
      "a level that is no struct",
      [ids, ["tokens", fl.list(fl.int32()), [[1], [2]]]],
      /column tokens: .*expected a struct of lists, or a list of structs, got list of int32/,
    ],
    [
      "text for numbers",
      [ids, ["tokens.logprob", fl.list(fl.utf8()), [["-1"], ["-2"]]]],
      /rollout "a", column tokens\.logprob: .*a number or null \(row 0\), got "-1"/,
    ],
    [
      "NaN",
      [ids, ["tokens.value", fl.list(fl.float32()), [[1], [2, Number.NaN]]]],
      /rollout "b", column tokens\.value: .*a finite number \(row 1\), got NaN/,
    ],
    [
      "null for an id of a token",
      [ids, ["tokens.id", fl.list(fl.int32()), [[1], [null]]]],
      /rollout "b", column tokens\.id: .*a whole number \(row 0\), got null/,
    ],
    [
      "half a token",
      [ids, ["tokens.id", fl.list(fl.float64()), [[1], [1.5]]]],
      /rollout "b", column tokens\.id: .*a whole number below 2\^31 \(row 0\), got 1\.5/,
    ],
    [
      "a mask of 2",
      [ids, ["tokens.mask", fl.list(fl.uint8()), [[1], [0, 2]]]],
      /rollout "b", column tokens\.mask: .*0 or 1 \(row 1\), got 2/,
    ],
    [
      "lists of other lengths",
      [ids, ["tokens.a", fl.list(fl.int32()), [[1], [1, 2]]], ["tokens.b", fl.list(fl.int32()), [[1], [1]]]],
      /rollout "b", column tokens\.b: lists of one level differ in length; expected 2 values as in tokens\.a, got 1/,
    ],
    [
      "ends that do not rise",
      [ids, ["turns.end", fl.list(fl.int32()), [[1], [2, 2]]]],
      /rollout "b", column turns\.end: ends must increase strictly \(row 1\)/,
    ],
    [
      "a parent below",
      [ids, ["turns.parent", fl.list(fl.int32()), [[-1], [0]]]],
      /rollout "b", column turns\.parent: row number out of range/,
    ],
    [
      "large whole numbers",
      [ids, ["signals.n", fl.int64(), [1n, 2n ** 60n]]],
      /rollout "b", column signals\.n: .*up to 2\^53, got 1152921504606846976/,
    ],
    [
      "messages that are no list",
      [ids, ["messages", fl.utf8(), ["[]", "{}"]]],
      /rollout "b", column messages: .*expected a list, got an object/,
    ],
    [
      "meta that is no JSON",
      [ids, ["meta", fl.utf8(), ["{}", "{"]]],
      /rollout "b", column meta: .*expected JSON text, got "\{"/,
    ],
    [
      "a reward that is text",
      [ids, ["rewards.x", fl.utf8(), ["1", "2"]]],
      /rollout "a", column rewards\.x: .*a list of numbers or null, got "1"/,
    ],
    [
      "two columns for one path",
      [ids, ["reward", fl.int32(), [1, 2]], ["rollout.reward", fl.int32(), [1, 2]]],
      /two columns mean rollout\.reward/,
    ],
  ];

  test.each(cases)("%s", async (_, columns, message) => {
    expect((await failure(foreign(columns))).message).toMatch(message);
  });

  test("and is left out on request", async () => {
    const rejects: unknown[] = [];
    const bytes = foreign([
      ["id", fl.utf8(), ["a", "b", "c", "d"]],
      ["tokens.value", fl.list(fl.float32()), [[1], [Number.NaN], [1, 2], [4]]],
      ["tokens.id", fl.list(fl.int32()), [[1], [2], [3], [4]]],
    ]);
    const [batch] = await readAll(bytes, {
      name: "in.arrow",
      onError: "skip",
      onReject: (reject) => rejects.push(reject),
    });
    expect(objects(batch)).toEqual([
      { id: "a", tokens: { value: [1], id: [1] } },
      { id: "d", tokens: { value: [4], id: [4] } },
    ]);
    expect(rejects).toEqual([
      {
        file: "in.arrow",
        rollout: "c",
        text: '{"id":"c","tokens.value":[1,2],"tokens.id":[3]}',
        reason: expect.stringMatching(/^column tokens\.id: lists of one level/),
      },
      {
        file: "in.arrow",
        rollout: "b",
        text: '{"id":"b","tokens":{"value":[null],"id":[2]}}',
        reason: expect.stringMatching(/^column tokens\.value: wrong value/),
      },
    ]);
  });
});

describe("damage", () => {
  const rollout = (i: number) => ({
    id: `r${i}`,
    reward: i,
    signals: { a: "x", j: [1] },
    tokens: { id: [1, 2, 3], logprob: [-1, null, -2], mask: [1, 0, 1] },
    turns: { end: [1, 3], agent: ["a", null], calls: [{ x: 1 }, null], parent: [-1, 0] },
    messages: [{ role: "u" }],
  });
  const sample = written(batchFromObjects([rollout(0), rollout(1)]), batchFromObjects([rollout(2)]));

  test("a stream that is cut off anywhere but between messages is refused", async () => {
    const bytes = await sample;
    const whole: number[] = [];
    for (let length = 0; length < bytes.length; length += 4) {
      const read = await readAll(bytes.subarray(0, length)).catch((error: unknown) => error);
      if (read instanceof InputError) continue;
      expect(Array.isArray(read), String(read)).toBe(true);
      whole.push(length);
    }
    // Behind the schema, behind each of the two batches: the end mark may be missing.
    expect(whole.length).toBe(3);
  });

  test("any changed byte gives rollouts or an error that says so, soon", async () => {
    const bytes = await sample;
    const change = fc.record({
      at: fc.nat(bytes.length - 1),
      to: fc.oneof(fc.constantFrom(0, 1, 127, 128, 255), fc.nat(255)),
    });
    const property = fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 3 }), async (changes) => {
      const damaged = bytes.slice();
      for (const { at, to } of changes) damaged[at] = to;
      const started = performance.now();
      await readAll(damaged, { onError: "skip" }).catch((error: unknown) => {
        if (!(error instanceof InputError)) throw error;
      });
      expect(performance.now() - started).toBeLessThan(5000);
    });
    await fc.assert(property, { numRuns: 1500 });
  });

  test.each([
    ["nothing", "", /got an empty file/],
    ["text", '{"id":"a"}\n{"id":"b"}\n', /not an Arrow stream; got other bytes/],
    ["Parquet", "PAR1\u0015\u0004\u0015\u0004", /got a Parquet file/],
  ])("%s in the place of a stream", async (_, text, message) => {
    expect((await failure(Buffer.from(text, "latin1"))).message).toMatch(message);
  });

  test("the source is let go when nobody reads on", async () => {
    const bytes = await sample;
    let closed = false;
    async function* source() {
      try {
        for (;;) yield bytes.subarray(0, 64);
      } finally {
        closed = true;
      }
    }
    const read = readArrowStream(source(), {});
    await expect(read.next()).rejects.toThrow(InputError);
    await new Promise(setImmediate);
    expect(closed).toBe(true);
  });
});

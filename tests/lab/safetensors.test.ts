import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readSafetensors, type Tensor, type TensorData, writeSafetensors } from "../../src/lab/policies/safetensors.ts";
import { InputError } from "../../src/rollouts/index.ts";

/** A file made by hand. */
function file(header: unknown, body: Uint8Array = new Uint8Array(0)): Uint8Array {
  const json = new TextEncoder().encode(typeof header === "string" ? header : JSON.stringify(header));
  const made = new Uint8Array(8 + json.length + body.length);
  new DataView(made.buffer).setUint32(0, json.length, true);
  made.set(json, 8);
  made.set(body, 8 + json.length);
  return made;
}

const tensor = (data: TensorData, ...shape: number[]): Tensor => ({ shape, data });

test("the bytes are those of the format", () => {
  const made = writeSafetensors({
    tensors: { w: tensor(Float32Array.of(1, -2), 2, 1), n: tensor(Int32Array.of(258)) },
    metadata: { kind: "mlp" },
  });
  const length = new DataView(made.buffer).getUint32(0, true);
  expect(length % 8).toBe(0);
  const header = new TextDecoder().decode(made.subarray(8, 8 + length));
  expect(header.trimEnd()).toBe(
    '{"__metadata__":{"kind":"mlp"},"w":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},' +
      '"n":{"dtype":"I32","shape":[],"data_offsets":[8,12]}}',
  );
  expect([...made.subarray(8 + length)]).toEqual([0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0, 2, 1, 0, 0]);
});

test("a file by another writer is read, padded or not, in any order", () => {
  const body = Uint8Array.of(7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f);
  const header = {
    later: { dtype: "F64", shape: [1], data_offsets: [4, 12] },
    first: { data_offsets: [0, 4], shape: [1, 1, 1], dtype: "I32" },
    none: { dtype: "F32", shape: [3, 0], data_offsets: [4, 4] },
  };
  for (const text of [JSON.stringify(header), `${JSON.stringify(header)}   `]) {
    const { tensors, metadata } = readSafetensors(file(text, body));
    expect(tensors).toEqual({
      later: tensor(Float64Array.of(1), 1),
      first: tensor(Int32Array.of(7), 1, 1, 1),
      none: tensor(new Float32Array(0), 3, 0),
    });
    expect(metadata).toEqual({});
  }
});

const anyData = fc.oneof(
  fc.array(fc.float({ noNaN: false })).map((values): TensorData => Float32Array.from(values)),
  fc.array(fc.double({ noNaN: false })).map((values): TensorData => Float64Array.from(values)),
  fc.array(fc.integer()).map((values): TensorData => Int32Array.from(values)),
);
const anyName = fc.string({ unit: "binary" }).filter((name) => name !== "__metadata__");
/** Texts without lone halves of a character: UTF-8 has no place for these. */
const anyText = fc.string({ unit: "binary" });

test("what is written is read again, bit by bit", () => {
  fc.assert(
    fc.property(
      fc.dictionary(anyName, anyData),
      fc.dictionary(anyText, anyText),
      fc.nat(7),
      (data, metadata, shift) => {
        const tensors = Object.fromEntries(
          Object.entries(data).map(([name, values]) => [name, tensor(values, 1, values.length)]),
        );
        const written = writeSafetensors({ tensors, metadata });
        expect(writeSafetensors({ tensors, metadata })).toEqual(written);
        const shifted = new Uint8Array(written.length + shift).subarray(shift);
        shifted.set(written);
        const read = readSafetensors(shifted);
        expect(read.tensors).toEqual(tensors);
        expect({ ...read.metadata }).toEqual({ ...metadata });
      },
    ),
  );
});

describe("malformed input gives an error that says where", () => {
  const entry = { dtype: "F32", shape: [1], data_offsets: [0, 4] };
  const four = new Uint8Array(4);
  const cases: [string, Uint8Array, RegExp][] = [
    ["empty", new Uint8Array(0), /too short/],
    ["length beyond the end", file("{}").subarray(0, 9), /header runs over/],
    ["enormous length", new Uint8Array(16).fill(255), /header runs over/],
    ["not JSON", file("{]"), /not a JSON object/],
    ["a list", file("[]"), /not a JSON object/],
    ["spaces first", file(" {}"), /not a JSON object/],
    ["broken UTF-8", file("{}  ").map((byte, k) => (k === 10 ? 0xff : byte)), /not a JSON object/],
    ["metadata with numbers", file({ __metadata__: { a: 1 } }), /__metadata__.*texts/],
    ["entry is null", file({ w: null }), /column w.*not an object/],
    ["half precision", file({ w: { ...entry, dtype: "F16" } }, four), /column w.*F32, F64 or I32/],
    ["type of the object's own", file({ w: { ...entry, dtype: "toString" } }, four), /column w.*F32, F64 or I32/],
    ["negative size", file({ w: { ...entry, shape: [-1] } }, four), /column w.*sizes/],
    ["broken offsets", file({ w: { ...entry, data_offsets: [4, 0] } }, four), /column w.*in order/],
    ["three offsets", file({ w: { ...entry, data_offsets: [0, 4, 8] } }, four), /column w.*in order/],
    ["shape too large", file({ w: { ...entry, shape: [2] } }, four), /column w.*do not fit/],
    ["cut off", file({ w: entry }, four.subarray(1)), /column w.*over the end/],
    ["overlap", file({ a: entry, b: entry }, four), /column b.*overlap/],
    ["gap", file({ a: { ...entry, data_offsets: [4, 8] } }, new Uint8Array(8)), /column a.*gap/],
    ["left over", file({ a: entry }, new Uint8Array(8)), /bytes are left/],
  ];
  test.each(cases)("%s", (_, bytes, message) => {
    expect(() => readSafetensors(bytes, "policy.safetensors")).toThrow(InputError);
    expect(() => readSafetensors(bytes, "policy.safetensors")).toThrow(/^policy\.safetensors/);
    expect(() => readSafetensors(bytes)).toThrow(message);
  });

  test("any changed byte is read or refused, never worse", () => {
    const whole = writeSafetensors({
      tensors: { a: tensor(Float32Array.of(1, 2, 3), 3), b: tensor(Int32Array.of(4), 1) },
    });
    fc.assert(
      fc.property(fc.nat(whole.length - 1), fc.nat(255), fc.nat(whole.length), (at, byte, length) => {
        for (const bytes of [whole.with(at, byte), whole.subarray(0, length)]) {
          try {
            const { tensors } = readSafetensors(bytes);
            for (const { shape, data } of Object.values(tensors)) {
              expect(data.length).toBe(shape.reduce((product, size) => product * size, 1));
            }
          } catch (error) {
            expect(error).toBeInstanceOf(InputError);
          }
        }
      }),
      { numRuns: 2000 },
    );
  });

  test("the writer refuses shapes that do not fit and the name of the metadata", () => {
    expect(() => writeSafetensors({ tensors: { w: tensor(Float32Array.of(1), 2) } })).toThrow(/column w/);
    expect(() => writeSafetensors({ tensors: { __metadata__: tensor(Float32Array.of(1), 1) } })).toThrow(InputError);
  });
});

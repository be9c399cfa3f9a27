import * as fc from "fast-check";
import { Batch, batchFromObjects, type Column, rolloutObjects } from "../../src/rollouts/index.ts";

const number = fc.oneof(
  fc.constantFrom(0, 1, -1, 0.5, 1e-300, -1e300),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
);
const numberOrNull = fc.option(number, { freq: 4 });
const text = fc.oneof(fc.string({ maxLength: 5 }), fc.constantFrom("", "ü", "漢字", "😀 x", "null", "[1]"));
/** JSON has no -0. */
const json = fc
  .oneof(fc.jsonValue({ maxDepth: 2 }), text, numberOrNull, fc.boolean())
  .map((cell): unknown => JSON.parse(JSON.stringify(cell)));

/** Lists of one level: some columns, all of the same length. */
function level(known: Record<string, (rows: number) => fc.Arbitrary<unknown>>) {
  return fc.integer({ min: 0, max: 5 }).chain((rows) => {
    const of = (cell: fc.Arbitrary<unknown>) => fc.array(cell, { minLength: rows, maxLength: rows });
    const lists: Record<string, fc.Arbitrary<unknown>> = {
      num: of(number),
      holes: of(numberOrNull),
      void: of(fc.constant(null)),
      text: of(fc.option(text)),
      any: of(json),
    };
    for (const name in known) lists[name] = known[name](rows);
    return fc.record(lists, { requiredKeys: [] });
  });
}

const tokens = level({
  id: (rows) => fc.array(fc.integer({ min: -5, max: 2 ** 31 - 1 }), { minLength: rows, maxLength: rows }),
  mask: (rows) => fc.array(fc.constantFrom(0, 1), { minLength: rows, maxLength: rows }),
  logprob: (rows) => fc.array(numberOrNull, { minLength: rows, maxLength: rows }),
});
const turns = level({
  parent: (rows) => fc.tuple(...Array.from({ length: rows }, (_, row) => fc.integer({ min: -1, max: row - 1 }))),
});

/** One rollout in JSON form, without its id. */
const body = fc.record(
  {
    group: fc.option(fc.constantFrom("a", "b", "ü")),
    reward: numberOrNull,
    note: fc.option(text),
    "odd.name": number,
    tokens,
    turns,
    steps: level({}),
    reference: level({}),
    rewards: fc.dictionary(fc.constantFrom("accuracy", "format"), numberOrNull),
    signals: fc.dictionary(fc.constantFrom("x", "y", "rollout.z"), fc.option(json)),
    messages: fc.array(json, { maxLength: 2 }),
    meta: fc.dictionary(fc.string({ maxLength: 3 }), json),
  },
  { requiredKeys: [] },
);

/** Empty objects in the place of tables hold no column: they do not come back. */
function withoutEmpty(rollout: Record<string, unknown>): Record<string, unknown> {
  const entries = Object.entries(rollout).filter(([key, value]) => {
    return (key !== "rewards" && key !== "signals") || Object.keys(value as object).length > 0;
  });
  const { group, ...rest } = Object.fromEntries(entries);
  return group === null || group === undefined ? rest : { ...rest, group };
}

/** Rollouts in JSON form, with ends that fit their tokens. */
export const rollouts = fc.array(body, { minLength: 1, maxLength: 6 }).map((bodies) =>
  bodies.map((each, i) => {
    const rollout = withoutEmpty(each) as Record<string, Record<string, unknown[]>>;
    const rows = (key: string) => Object.values(rollout[key] ?? {})[0]?.length ?? 0;
    const steps = rows("steps");
    const counts = Array.from({ length: steps }, (_, k) => k + 1);
    if (steps > 0 && (rollout.tokens === undefined || rows("tokens") === steps)) {
      rollout.steps = { ...rollout.steps, end: counts };
    }
    if (rows("turns") > 1) rollout.edges = { src: [0, 1], dst: [1, 0], kind: ["x", null] };
    return { id: `r${i}`, ...rollout };
  }),
);

/** Numbers of a batch in other widths, as programs that compute in single precision have them. */
function narrower(batch: Batch): Batch {
  const columns = new Map<string, Column>();
  for (const [path, column] of batch.parts.columns) {
    if (column.kind !== "number" || !(column.values instanceof Float64Array)) columns.set(path, column);
    else if (path.endsWith("num")) columns.set(path, { ...column, values: Float32Array.from(column.values, bounded) });
    else if (path.endsWith("holes")) columns.set(path, { ...column, values: Int32Array.from(column.values) });
    else if (path.endsWith("void")) columns.set(path, { ...column, values: new Uint8Array(column.values.length) });
    else columns.set(path, column);
  }
  return new Batch({ ...batch.parts, columns });
}

function bounded(value: number): number {
  const single = Math.fround(value);
  return Number.isFinite(single) ? single : 1;
}

export const batches = fc
  .tuple(rollouts, fc.boolean())
  .map(([objects, narrow]) => (narrow ? narrower(batchFromObjects(objects)) : batchFromObjects(objects)));

/** Everything that a batch is, in a form that can be compared. */
export function contents(batch: Batch): unknown {
  const { ids, groupNames, levels, columns } = batch.parts;
  const plain = (column: Column) => {
    const { kind, level, values, present } = column;
    if (kind !== "number") return { kind, level, values: [...values], present };
    const array = values.constructor.name;
    return { kind, level, array, values: Array.from(values as Float64Array), valid: column.valid, present };
  };
  const byPath = [...columns].map(([path, column]) => [path, plain(column)] as const);
  byPath.sort(([a], [b]) => (a < b ? -1 : 1));
  return { ids: [...ids], groupNames: [...groupNames], levels, columns: byPath };
}

export function objects(...parts: readonly Batch[]): unknown[] {
  return parts.flatMap((part) => [...rolloutObjects(part)]);
}

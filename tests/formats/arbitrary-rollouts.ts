import fc from "fast-check";

const name = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.constantFrom("reward", "value", "x", "prm", "agent", "state", "a.b", "7", "__proto__", "é"),
  },
  { weight: 1, arbitrary: fc.string({ minLength: 1, maxLength: 4, unit: "binary" }) },
);

const number = fc.oneof(
  fc.integer({ min: -5, max: 200_000 }),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.float({ noNaN: true, noDefaultInfinity: true }),
  fc.constantFrom(0, -0, 1e-7, 0.1, -1.5e-9, 1e22, 1e23, 5e-324, 1.7976931348623157e308, 2 ** 53, 123456789012345680),
);

const text = fc.string({ unit: "binary", maxLength: 12 });
const json = fc.jsonValue({ maxDepth: 2 });

/** Lists of one length: numbers, numbers with null, texts, or anything that JSON holds. */
function lists(
  length: number,
  own: Record<string, fc.Arbitrary<unknown>>,
  requiredKeys: string[] = [],
): fc.Arbitrary<Record<string, unknown[]>> {
  const of = (cell: fc.Arbitrary<unknown>) => fc.array(cell, { minLength: length, maxLength: length });
  const free = fc.oneof(of(number), of(fc.option(number)), of(fc.option(text)), of(json));
  const known = fc.record(Object.fromEntries(Object.entries(own).map(([key, cell]) => [key, of(cell)])), {
    requiredKeys,
  });
  const others = fc.dictionary(
    name.filter((key) => !["reward", "value", "prm", "end", "parent", "id", "mask", "src", "dst"].includes(key)),
    free,
    { maxKeys: 3 },
  );
  return fc.tuple(known, others).map(([a, b]) => Object.assign(Object.create(null), a, b));
}

/** Strictly increasing ends, the last one the number of tokens. */
function ends(tokens: number): fc.Arbitrary<number[]> {
  if (tokens === 0) return fc.constant([]);
  return fc
    .uniqueArray(fc.integer({ min: 1, max: tokens }), { maxLength: 4 })
    .map((list) => [...new Set([...list, tokens])].sort((a, b) => a - b));
}

const numberOrNull = fc.option(number);

function level(tokens: number): fc.Arbitrary<Record<string, unknown[]>> {
  return ends(tokens).chain((end) =>
    fc
      .tuple(lists(end.length, { reward: numberOrNull, agent: fc.option(text) }), fc.boolean())
      .map(([table, first]) => (first ? { end, ...table } : { ...table, end })),
  );
}

/** Rollouts that conform to the wire format, with names, numbers and cells of every kind. */
export const rolloutArbitrary: fc.Arbitrary<Record<string, unknown>> = fc.integer({ min: 0, max: 9 }).chain((tokens) =>
  fc
    .record(
      {
        group: fc.option(fc.oneof(fc.constantFrom("a", "b", "c"), text)),
        reward: fc.option(number),
        rewards: fc.dictionary(name, fc.option(number), { maxKeys: 3 }),
        signals: fc.dictionary(name, fc.oneof(number, text, fc.constant(null), json), { maxKeys: 3 }),
        tokens: lists(
          tokens,
          {
            id: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
            mask: fc.constantFrom(0, 1),
            logprob: numberOrNull,
            value: number,
          },
          ["id"],
        ),
        turns: level(tokens),
        steps: level(tokens),
        reference: lists(3, { logprob: number }),
        edges: lists(0, { src: fc.constant(0), dst: fc.constant(0) }),
        messages: fc.array(fc.record({ role: text, content: fc.string({ unit: "binary" }) }), { maxLength: 3 }),
        meta: fc.dictionary(text, json, { maxKeys: 3 }),
        advantage: numberOrNull,
      },
      { requiredKeys: ["tokens"] },
    )
    .map((fields) => fields as Record<string, unknown>),
);

/** Rollouts with ids of their own. */
export const rolloutsArbitrary = fc
  .array(rolloutArbitrary, { minLength: 1, maxLength: 5 })
  .map((rollouts) => rollouts.map((rollout, k) => ({ id: `r${k}`, ...rollout }) as Record<string, unknown>));

/** JSON text of a value in another guise: spaces, escapes, the order of keys, keys said twice. */
export function disguise(value: unknown, next: () => number): string {
  const space = () => [" ", "\t", "\r", "", "", ""][Math.floor(next() * 6)];
  if (typeof value === "string") {
    return `"${Array.from({ length: value.length }, (_, k) => {
      const unit = value.charCodeAt(k);
      const lone = unit >= 0xd800 && unit <= 0xdfff;
      const plain = unit >= 32 && unit !== 34 && unit !== 92 && !lone;
      return plain && next() < 0.9 ? value[k] : `\\u${unit.toString(16).padStart(4, "0")}`;
    }).join("")}"`;
  }
  if (Array.isArray(value)) {
    return `[${space()}${value.map((cell) => disguise(cell, next)).join(`${space()},${space()}`)}${space()}]`;
  }
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  const entries = Object.entries(value).map(([key, cell]) => {
    const twice = next() < 0.1 ? `${disguise(key, next)}:[1,"x",{}],` : "";
    return `${twice}${disguise(key, next)}${space()}:${space()}${disguise(cell, next)}`;
  });
  return `{${space()}${entries.join(`${space()},${space()}`)}${space()}}`;
}

/** A small random generator, so that a failing case can be run again. */
export function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

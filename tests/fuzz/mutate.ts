import fc from "fast-check";

type Holder = Record<string, unknown>;

/** Every place of a JSON value: the object or list that holds it, and its key. The value itself is under `root`. */
function places(root: Holder): { holder: Holder; key: string }[] {
  const found: { holder: Holder; key: string }[] = [];
  const pending: Holder[] = [root];
  for (let holder = pending.pop(); holder !== undefined; holder = pending.pop()) {
    for (const key of Object.keys(holder)) {
      found.push({ holder, key });
      const value = holder[key];
      if (value !== null && typeof value === "object") pending.push(value as Holder);
    }
  }
  return found;
}

const deepMark = "a very deep list";

/** JSON text of a value; its very deep lists are nested further than calls can be. */
export function textOf(value: unknown): string {
  const text = JSON.stringify(value);
  return text.replaceAll(`"${deepMark}"`, () => "[".repeat(20_000) + "]".repeat(20_000));
}

const oddText = fc.oneof(
  fc.constantFrom(
    "",
    " ",
    "\n",
    "\u0000",
    "\ud800",
    "x\udc00y",
    "\u2028",
    "é".normalize("NFD"),
    "𝔘",
    "__proto__",
    "NaN",
  ),
  fc.string({ unit: "binary", maxLength: 8 }),
);

const oddNumber = fc.oneof(
  fc.constantFrom(0, -0, -1, 1.5, 1e300, -1e300, 1e-320, 2 ** 31, 2 ** 53, -(2 ** 31) - 1),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
);

/** Values of every kind that JSON holds, the odd ones of each first. */
export const oddValue: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom(null, true, false),
  oddText,
  oddNumber,
  fc.constantFrom([], {}, [null], [[]], { role: "assistant" }, { name: {} }),
  fc.jsonValue({ maxDepth: 2 }),
);

interface Mutation {
  where: number;
  how: "replace" | "delete" | "double" | "wrap" | "rename" | "number" | "deep";
  value: unknown;
}

const mutation: fc.Arbitrary<Mutation> = fc.record({
  where: fc.nat(),
  how: fc.oneof(
    { weight: 12, arbitrary: fc.constantFrom("replace", "delete", "double", "wrap", "rename", "number") },
    { weight: 1, arbitrary: fc.constant("deep") },
  ) as fc.Arbitrary<Mutation["how"]>,
  value: oddValue,
});

function apply({ where, how, value }: Mutation, root: Holder): void {
  const all = places(root);
  const { holder, key } = all[where % all.length];
  const old = holder[key];
  if (how === "replace") holder[key] = structuredClone(value);
  else if (how === "delete") {
    if (Array.isArray(holder)) holder.splice(Number(key), 1);
    else if (holder !== root) delete holder[key];
  } else if (how === "double") {
    if (Array.isArray(holder)) holder.splice(Number(key), 0, structuredClone(old));
    else holder[`${key}2`] = structuredClone(old);
  } else if (how === "wrap") holder[key] = [old];
  else if (how === "rename" && !Array.isArray(holder) && holder !== root) {
    delete holder[key];
    const name = typeof value === "string" ? value : "__proto__";
    Object.defineProperty(holder, name, { value: old, writable: true, enumerable: true, configurable: true });
  } else if (how === "number") holder[key] = typeof value === "number" ? value : -1;
  else if (how === "deep") holder[key] = deepMark;
}

/** JSON values near a given one: up to six changes at any place. */
export function mutated(value: unknown): fc.Arbitrary<unknown> {
  return fc.array(mutation, { minLength: 1, maxLength: 6 }).map((mutations) => {
    const root: Holder = { value: structuredClone(value) };
    for (const one of mutations) apply(one, root);
    return root.value;
  });
}

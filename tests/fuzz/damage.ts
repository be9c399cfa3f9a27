import fc from "fast-check";
import type { RolloutObject } from "../../src/rollouts/index.ts";
import { oddValue } from "./mutate.ts";

type Table = Record<string, unknown>;

/** Keys of a rollout under which columns stand. */
const tables = ["tokens", "steps", "turns", "reference", "edges", "signals", "rewards"];

/** Every column of a rollout: the object that holds it, and its name. */
function columns(rollout: RolloutObject): { table: Table; name: string }[] {
  const found = tables.flatMap((key) => {
    const table = rollout[key] as Table | undefined;
    return table === undefined ? [] : Object.keys(table).map((name) => ({ table, name }));
  });
  for (const name of Object.keys(rollout)) {
    if (!tables.includes(name) && name !== "id" && name !== "messages" && name !== "meta") {
      found.push({ table: rollout, name });
    }
  }
  const { meta } = rollout;
  return meta === undefined ? found : [...found, ...Object.keys(meta).map((name) => ({ table: meta, name }))];
}

const numbers = fc.oneof(
  fc.constantFrom(0, -0, 1, -1, 0.5, 1e300, -1e300, 1e-300, -1e-320, 1e16, 2 ** 31 - 1, -100, 700),
  fc.double({ noNaN: true, noDefaultInfinity: true, min: -10, max: 10 }),
);

const hurts = [
  "number",
  "numbers",
  "null",
  "nulls",
  "odd",
  "drop",
  "drop everywhere",
  "equal",
  "rows",
  "empty",
] as const;
const rolloutHurts = ["level", "no rows", "alone", "one group", "remove", "unscored", "bare"] as const;

interface Damage {
  rollout: number;
  column: number;
  row: number;
  how: (typeof hurts)[number] | (typeof rolloutHurts)[number];
  number: number;
  value: unknown;
}

const damage: fc.Arbitrary<Damage> = fc.record({
  rollout: fc.nat(),
  column: fc.nat(),
  row: fc.nat(),
  how: fc.oneof({ weight: 3, arbitrary: fc.constantFrom(...hurts) }, fc.constantFrom(...rolloutHurts)) as fc.Arbitrary<
    Damage["how"]
  >,
  number: numbers,
  value: oddValue,
});

/** Takes rows away from every column of a level, so that its lists stay equally long. */
function fewerRows(rollout: RolloutObject, key: string, keep: number): void {
  const table = rollout[key] as Table | undefined;
  if (table === undefined) return;
  for (const [name, cells] of Object.entries(table)) if (Array.isArray(cells)) table[name] = cells.slice(0, keep);
}

function hurtColumn({ column, row, how, number, value }: Damage, rollout: RolloutObject, all: RolloutObject[]): void {
  const found = columns(rollout);
  if (found.length === 0) return;
  const { table, name } = found[column % found.length];
  const cells = table[name];
  const set = (change: (old: unknown) => unknown) => {
    if (Array.isArray(cells)) {
      if (cells.length > 0) cells[row % cells.length] = change(cells[row % cells.length]);
    } else table[name] = change(cells);
  };
  if (how === "number") set(() => number);
  else if (how === "null") set(() => null);
  else if (how === "odd") set(() => structuredClone(value));
  else if (how === "numbers") table[name] = Array.isArray(cells) ? cells.map(() => number) : number;
  else if (how === "equal") table[name] = Array.isArray(cells) ? cells.map(() => cells[0]) : cells;
  else if (how === "nulls") table[name] = Array.isArray(cells) ? cells.map(() => null) : null;
  else if (how === "drop") delete table[name];
  else if (how === "empty") table[name] = Array.isArray(cells) ? [] : structuredClone(value);
  else if (how === "rows") table[name] = Array.isArray(cells) ? cells.slice(1) : cells;
  else if (how === "drop everywhere") {
    const key = tables.find((one) => rollout[one] === table);
    for (const other of all) {
      const holder = (key === undefined ? other : other[key]) as Table | undefined;
      if (holder !== undefined && name !== "id") delete holder[name];
    }
  }
}

function hurt(one: Damage, all: RolloutObject[]): void {
  if (all.length === 0) return;
  const at = one.rollout % all.length;
  const rollout = all[at];
  const key = tables[one.column % 5];
  if (one.how === "level") delete rollout[key];
  else if (one.how === "no rows") fewerRows(rollout, key, 0);
  else if (one.how === "alone") delete rollout.group;
  else if (one.how === "one group") for (const other of all) other.group = "all";
  else if (one.how === "remove") all.splice(at, 1);
  else if (one.how === "unscored") rollout.reward = null;
  else if (one.how === "bare") all[at] = { id: rollout.id };
  else hurtColumn(one, rollout, all);
}

/** These rollouts with up to four things wrong with them; sometimes nothing is. */
export function damaged(rollouts: readonly RolloutObject[]): fc.Arbitrary<RolloutObject[]> {
  return fc.array(damage, { maxLength: 4 }).map((list) => {
    const all = structuredClone(rollouts) as RolloutObject[];
    for (const one of list) hurt(one, all);
    return all;
  });
}

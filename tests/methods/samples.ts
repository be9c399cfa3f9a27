import { readdirSync, readFileSync } from "node:fs";
import fc from "fast-check";
import type { VectorCase, VectorFile } from "../../src/conformance/run.ts";
import type { RolloutObject } from "../../src/rollouts/index.ts";

const folder = new URL("../../conformance/", import.meta.url);

/** All vector files of the repository, by id. */
export const vectorFiles: ReadonlyMap<string, VectorFile> = new Map(
  readdirSync(folder)
    .filter((name) => name.endsWith(".json"))
    .map((name) => [
      name.slice(0, -".json".length),
      JSON.parse(readFileSync(new URL(name, folder), "utf8")) as VectorFile,
    ]),
);

/** Credit cases of a method that end in a result, with at least one rollout. */
export function creditCases(id: string): VectorCase[] {
  const cases = vectorFiles.get(id)?.cases ?? [];
  return cases.filter(({ kind, expect, rollouts }) => kind === "credit" && expect.error !== true && rollouts?.length);
}

type Table = Record<string, unknown[]>;

/** Paths of columns that hold fractions somewhere: only those may be moved a little without leaving their range. */
function fractional(rollouts: readonly RolloutObject[]): Set<string> {
  const paths = new Set<string>();
  for (const rollout of rollouts) {
    for (const [key, value] of Object.entries(rollout)) {
      if (typeof value === "number" && !Number.isInteger(value)) paths.add(key);
      if (value === null || typeof value !== "object" || key === "meta" || key === "messages") continue;
      for (const [name, cells] of Object.entries(value)) {
        if ([cells].flat().some((cell) => typeof cell === "number" && !Number.isInteger(cell)))
          paths.add(`${key}.${name}`);
      }
    }
  }
  return paths;
}

/**
 * A fraction times one of 63 factors. Steps keep values apart, since tiny differences would be blown up by the spread of a
 * pool, and single precision with them; the odd offset keeps products from meeting at round numbers, where ties and
 * rounding would be decided by the last bit.
 */
function shrink(cell: unknown, random: () => number): unknown {
  return typeof cell === "number" ? cell * (0.5 + (Math.floor(random() * 63) + 0.3718) / 128) : cell;
}

/** A rollout with every fraction moved towards 0 by up to a half: signs, zeros, whole numbers and nulls stay. */
function jitter(rollout: RolloutObject, paths: Set<string>, random: () => number): RolloutObject {
  const copy = structuredClone(rollout);
  for (const [key, value] of Object.entries(copy)) {
    if (paths.has(key)) copy[key] = shrink(value, random);
    if (value === null || typeof value !== "object") continue;
    const table = value as Record<string, unknown>;
    for (const [name, cells] of Object.entries(table)) {
      if (!paths.has(`${key}.${name}`)) continue;
      table[name] = Array.isArray(cells) ? cells.map((cell) => shrink(cell, random)) : shrink(cells, random);
    }
  }
  return copy;
}

export interface Sample {
  params: Record<string, unknown>;
  rollouts: RolloutObject[];
  /** Deterministic numbers in [0, 1) for further choices of a test. */
  random: () => number;
}

function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Inputs that a method accepts: one of these cases, repeated as further groups with its fractions moved. */
export function samples(cases: readonly VectorCase[]): fc.Arbitrary<Sample> {
  return fc
    .record({ which: fc.nat(cases.length - 1), copies: fc.integer({ min: 1, max: 3 }), seed: fc.nat(2 ** 31) })
    .map(({ which, copies, seed }) => {
      const random = generator(seed);
      const given = cases[which].rollouts as RolloutObject[];
      const paths = fractional(given);
      const rollouts: RolloutObject[] = [];
      for (let copy = 0; copy < copies; copy++) {
        for (const rollout of given) {
          const next = copy === 0 ? structuredClone(rollout) : jitter(rollout, paths, random);
          rollouts.push(renamed(next, copy));
        }
      }
      return { params: cases[which].params ?? {}, rollouts, random };
    });
}

/** Ids and groups of copy k, and signals that name other rollouts, made distinct. */
function renamed(rollout: RolloutObject, copy: number): RolloutObject {
  const signals = rollout.signals as Record<string, unknown> | undefined;
  if (signals !== undefined) {
    for (const name of ["parent", "pair"])
      if (typeof signals[name] === "string") signals[name] = `${signals[name]}~${copy}`;
  }
  return {
    ...rollout,
    id: `${rollout.id}~${copy}`,
    ...(typeof rollout.group === "string" ? { group: `${rollout.group}~${copy}` } : {}),
  };
}

/** The rollouts in another order: `order[k]` is the old place of the k-th. */
export function shuffled(length: number, random: () => number): number[] {
  const order = Array.from({ length }, (_, i) => i);
  for (let i = length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}

/** A rollout with tokens of the environment put in; `inserted` are their places in the new token list. */
export function withObservations(
  rollout: RolloutObject,
  random: () => number,
): { rollout: RolloutObject; inserted: Set<number> } {
  const tokens = rollout.tokens as Table | undefined;
  const inserted = new Set<number>();
  const length = Object.values(tokens ?? {})[0]?.length ?? 0;
  if (tokens === undefined || length === 0) return { rollout, inserted };
  const before = Array.from({ length }, () => (random() < 0.4 ? 1 + Math.floor(random() * 3) : 0));
  const shift = [0];
  for (const n of before) shift.push(shift[shift.length - 1] + n);
  const next: Table = {};
  for (const [name, cells] of Object.entries({ ...tokens, mask: tokens.mask ?? new Array(length).fill(1) })) {
    const filler = name === "mask" ? 0 : name === "id" ? 7777 : name.includes("logprob") ? -2 : 0.5;
    next[name] = cells.flatMap((cell, t) => [...new Array(before[t]).fill(filler), cell]);
  }
  let at = 0;
  before.forEach((n) => {
    for (let k = 0; k < n; k++) inserted.add(at++);
    at++;
  });
  const moved: RolloutObject = structuredClone({ ...rollout, tokens: next });
  for (const key of ["turns", "steps"]) {
    const table = moved[key] as Table | undefined;
    // An end is the offset after its last token, so it moves by what was put in before that token.
    if (table?.end !== undefined) table.end = (table.end as number[]).map((end) => end + shift[end]);
  }
  return { rollout: moved, inserted };
}

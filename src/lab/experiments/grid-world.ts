import { regretValueIteration } from "../../methods/preference/regret-preference.ts";
import type { Random } from "../random.ts";

const side = 6;
const moves = [
  [0, -1],
  [1, 0],
  [0, 1],
  [-1, 0],
] as const;

export const states = side * side;
export const actions = moves.length;
/** Goal, sheep, coin, mud, plain step. */
export const features = 5;
export const discount = 0.999;

/** Rewards of the features: a coin lies on a plain step and is paid on top of it. */
export const trueReward: readonly number[] = [50, -50, 1, -2, -1];

/** Where moves lead and which features they meet. A move off the grid stays; what ends it stays too, without features. */
export interface GridWorld {
  next: number[][];
  phi: number[][][];
  terminal: boolean[];
}

const kinds = [
  { count: 1, met: [1, 0, 0, 0, 0] },
  { count: 2, met: [0, 1, 0, 0, 0] },
  { count: 5, met: [0, 0, 1, 0, 1] },
  { count: 5, met: [0, 0, 0, 1, 0] },
];

/** A list in random order. */
export function shuffled<T>(list: readonly T[], random: Random): T[] {
  const out = [...list];
  for (let k = out.length - 1; k > 0; k--) {
    const other = random.below(k + 1);
    [out[k], out[other]] = [out[other], out[k]];
  }
  return out;
}

/** A delivery grid of 6 × 6: one goal and two sheep that end it, five coins, five cells of mud. */
export function gridWorld(random: Random): GridWorld {
  const met = Array.from({ length: states }, () => [0, 0, 0, 0, 1]);
  const terminal = new Array<boolean>(states).fill(false);
  const cells = shuffled([...met.keys()], random);
  for (const kind of kinds) {
    for (const cell of cells.splice(0, kind.count)) {
      met[cell] = kind.met;
      terminal[cell] = kind.met[0] + kind.met[1] > 0;
    }
  }
  const next = met.map((_, s) =>
    moves.map(([dx, dy]) => {
      const [x, y] = [(s % side) + dx, Math.floor(s / side) + dy];
      return terminal[s] || x < 0 || y < 0 || x >= side || y >= side ? s : y * side + x;
    }),
  );
  const nothing = new Array<number>(features).fill(0);
  const phi = next.map((to, s) => to.map((t) => (terminal[s] ? nothing : met[t])));
  return { next, phi, terminal };
}

export const dot = (u: readonly number[], v: readonly number[]) => u.reduce((sum, x, k) => sum + x * v[k], 0);

/** Optimal values under rewards that are linear in the features, and the first best action of every state. */
export function solve(
  { next, phi, terminal }: GridWorld,
  w: readonly number[],
): { values: number[]; policy: number[] } {
  const reward = phi.map((row) => row.map((met) => dot(met, w)));
  const { V, Q } = regretValueIteration({ next, reward, terminal, gamma: discount });
  return { values: V, policy: Q.map((row) => row.indexOf(Math.max(...row))) };
}

/** Discounted features that a policy meets from every state on: twice as many steps in every round, 2^15 in all. */
export function successorFeatures({ next, phi }: GridWorld, policy: readonly number[]): number[][] {
  let met = policy.map((a, s) => phi[s][a]);
  let to = policy.map((a, s) => next[s][a]);
  let weight = discount;
  for (let round = 0; round < 15; round++) {
    const [before, jump, faded] = [met, to, weight];
    met = before.map((own, s) => own.map((x, f) => x + faded * before[jump[s]][f]));
    to = jump.map((s) => jump[s]);
    weight *= weight;
  }
  return met;
}

/** Values of the policy that takes every action alike. */
export function uniformValues({ next, phi, terminal }: GridWorld, w: readonly number[]): number[] {
  let values = new Array<number>(states).fill(0);
  for (let change = 1; change > 1e-10; ) {
    const before = values;
    values = next.map((to, s) =>
      terminal[s] ? 0 : to.reduce((sum, t, a) => sum + (dot(phi[s][a], w) + discount * before[t]) / actions, 0),
    );
    change = Math.max(...values.map((v, s) => Math.abs(v - before[s])));
  }
  return values;
}

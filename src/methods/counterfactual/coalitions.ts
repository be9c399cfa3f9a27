import { z } from "zod";
import { describe, InputError } from "../../rollouts/index.ts";
import { count, functionArgs, numberList } from "../arguments.ts";

/** Most players whose 2^n coalitions are still held in a list. */
const mostPlayers = 24;

const players = count.max(mostPlayers);
const gameArgs = z.object({ n: players, values: numberList });

/** A game: `values[S]` is the worth of the coalition whose players are the bits of S. */
function checkGame(n: number, values: readonly number[]): void {
  if (values.length === 2 ** n) return;
  throw new InputError("argument values has the wrong length", {
    expected: `2^${n} = ${2 ** n} coalitions`,
    got: `${values.length}`,
  });
}

function sizeOf(coalition: number): number {
  let size = 0;
  for (let rest = coalition; rest !== 0; rest &= rest - 1) size++;
  return size;
}

/** s! (n − s − 1)! / n! for s = 0 … n − 1: the share of orders in which exactly a given s others come before. */
function orderWeights(n: number): Float64Array {
  const weights = new Float64Array(n);
  let binomial = 1;
  for (let s = 0; s < n; s++) {
    weights[s] = 1 / (n * binomial);
    binomial = (binomial * (n - 1 - s)) / (s + 1);
  }
  return weights;
}

/**
 * Shapley value: φ_p = Σ_{S without p} |S|! (n − |S| − 1)! / n! · (v(S + p) − v(S)). The credits add up to v(N) − v(∅).
 * Exact, O(n 2^n).
 */
export function shapleyExact(args: z.input<typeof gameArgs>): number[] {
  const { n, values } = functionArgs(gameArgs, args);
  checkGame(n, values);
  const weights = orderWeights(n);
  const out = new Array<number>(n).fill(0);
  for (let coalition = 0; coalition < values.length - 1; coalition++) {
    const weight = weights[sizeOf(coalition)];
    for (let p = 0; p < n; p++) {
      if ((coalition >> p) & 1) continue;
      out[p] += weight * (values[coalition | (1 << p)] - values[coalition]);
    }
  }
  return out;
}

const permutationArgs = gameArgs.extend({
  permutations: z.array(z.array(count)),
  truncate_tol: z.number().min(0).default(0),
});

function checkOrder(order: readonly number[], n: number, k: number): void {
  const seen = order.reduce((bits, p) => (p < n ? bits | (1 << p) : bits), 0);
  if (order.length === n && seen === 2 ** n - 1) return;
  throw new InputError(`argument permutations.${k} not valid`, {
    expected: `every player from 0 to ${n - 1} once`,
    got: JSON.stringify(order),
  });
}

/**
 * Shapley value from given orders of the players: the mean of what each player adds when its turn comes. With
 * `truncate_tol` > 0 the rest of an order adds nothing once the coalition is worth all but less than that.
 * @throws InputError when there are players but no order, or an order is not a permutation.
 */
export function shapleyPermutation(args: z.input<typeof permutationArgs>): number[] {
  const { n, values, permutations, truncate_tol } = functionArgs(permutationArgs, args);
  checkGame(n, values);
  permutations.forEach((order, k) => {
    checkOrder(order, n, k);
  });
  if (n > 0 && permutations.length === 0)
    throw new InputError("argument permutations not valid", { expected: "at least one order", got: "none" });
  const out = new Array<number>(n).fill(0);
  const all = values[values.length - 1];
  for (const order of permutations) {
    let coalition = 0;
    for (const p of order) {
      if (truncate_tol > 0 && Math.abs(all - values[coalition]) < truncate_tol) break;
      const next = coalition | (1 << p);
      out[p] += (values[next] - values[coalition]) / permutations.length;
      coalition = next;
    }
  }
  return out;
}

const owenArgs = gameArgs.extend({ unions: z.array(z.array(count)) });

/** Unions as bit masks. */
function unionMasks(unions: readonly (readonly number[])[], n: number): number[] {
  let taken = 0;
  const masks = unions.map((union, k) => {
    let mask = 0;
    for (const p of union) {
      if (p >= n || ((taken | mask) >> p) & 1)
        throw new InputError(`argument unions.${k} not valid`, {
          expected: `players from 0 to ${n - 1}, each in one union`,
          got: describe(p),
        });
      mask |= 1 << p;
    }
    taken |= mask;
    return mask;
  });
  if (taken !== 2 ** n - 1)
    throw new InputError("argument unions not valid", { expected: "every player in a union", got: "some are in none" });
  return masks.filter((mask) => mask !== 0);
}

/**
 * Owen value of a game whose players stand in unions B_1 … B_m: like Shapley's, but unions come together or not at all:
 * φ_p = Σ_R |R|! (m − |R| − 1)! / m! Σ_T |T|! (b − |T| − 1)! / b! · (v(Q + T + p) − v(Q + T)), R over sets of other unions
 * with players Q, T over the other players of p's own union of size b. Unions of one give Shapley's value.
 */
export function owenExact(args: z.input<typeof owenArgs>): number[] {
  const { n, values, unions } = functionArgs(owenArgs, args);
  checkGame(n, values);
  const masks = unionMasks(unions, n);
  const outer = orderWeights(masks.length);
  const out = new Array<number>(n).fill(0);
  masks.forEach((own, u) => {
    const others = masks.filter((_, k) => k !== u);
    const inner = orderWeights(sizeOf(own));
    for (let set = 0; set < 2 ** others.length; set++) {
      const present = others.reduce((bits, mask, k) => ((set >> k) & 1 ? bits | mask : bits), 0);
      // All subsets of the own union, the full one left out: nobody can join it.
      for (let within = (own - 1) & own, more = own !== 0; more; within = (within - 1) & own) {
        more = within !== 0;
        const weight = outer[sizeOf(set)] * inner[sizeOf(within)];
        const coalition = present | within;
        for (let rest = own & ~within; rest !== 0; rest &= rest - 1) {
          const bit = rest & -rest;
          out[31 - Math.clz32(bit)] += weight * (values[coalition | bit] - values[coalition]);
        }
      }
    }
  });
  return out;
}

/** v(N) − v(N without p) of every player: what is lost without it. Not efficient; 0 for players who replace each other. */
export function leaveOneOut(args: z.input<typeof gameArgs>): number[] {
  const { n, values } = functionArgs(gameArgs, args);
  checkGame(n, values);
  const all = values.length - 1;
  return Array.from({ length: n }, (_, p) => values[all] - values[all & ~(1 << p)]);
}

import { InputError } from "../rollouts/index.ts";
import { type Market, requireSmall } from "./dispatch.ts";
import { LinearProgram } from "./linear-program.ts";

/**
 * Values of the best adaptive policy that knows arrivals and probabilities but not outcomes, arrival by arrival from the
 * last one: f(v, A) = max(f(v+1, A), max_{u in A} p_uv (w_u + f(v+1, A∖u)) + (1 − p_uv) f(v+1, A)), A as bits.
 * `visit` gets f(v+1, ·) before and f(v, ·) after each step; both are the same array. O(arrivals · offline · 2^offline).
 */
function sweep(market: Market, visit?: (v: number, values: Float64Array, done: boolean) => void): Float64Array {
  requireSmall(market);
  const { offline, arrivals, p, weights } = market;
  const values = new Float64Array(2 ** offline);
  for (let v = arrivals - 1; v >= 0; v--) {
    visit?.(v, values, false);
    // From large sets to small ones: A∖u is smaller, so its value is still that of v + 1.
    for (let open = values.length - 1; open > 0; open--) {
      const none = values[open];
      let best = none;
      for (let u = 0; u < offline; u++) {
        const chance = p[u * arrivals + v];
        if (chance === 0 || ((open >> u) & 1) === 0) continue;
        const tried = chance * (weights[u] + values[open & ~(1 << u)]) + (1 - chance) * none;
        if (tried > best) best = tried;
      }
      values[open] = best;
    }
    visit?.(v, values, true);
  }
  return values;
}

/** Value of the best adaptive policy; see `sweep`. */
export function adaptiveValue(market: Market): number {
  return sweep(market)[2 ** market.offline - 1];
}

/** What was done with an arrival: the vertex tried (-1 = nobody) and which vertices were open then, as bits. */
export interface Dispatch {
  u: number;
  open: number;
}

/**
 * Regret of every dispatch: f(v, A) less the value of what was done, p_uv (w_u + f(v+1, A∖u)) + (1 − p_uv) f(v+1, A), or
 * f(v+1, A) where nobody was tried; 0 for an optimal one.
 */
export function dispatchRegrets(market: Market, dispatches: readonly Dispatch[]): Float64Array {
  const out = new Float64Array(market.arrivals);
  sweep(market, (v, values, done) => {
    const { u, open } = dispatches[v];
    if (done) {
      // The value of what was done is among those compared, so only rounding could bring this below 0.
      out[v] = Math.max(0, values[open] - out[v]);
      return;
    }
    const chance = u < 0 ? 0 : market.p[u * market.arrivals + v];
    const won = u < 0 ? 0 : market.weights[u] + values[open & ~(1 << u)];
    out[v] = chance * won + (1 - chance) * values[open];
  });
  return out;
}

async function maximum(program: LinearProgram): Promise<number> {
  if (program.size === 0) return 0;
  const optimum = await program.solve();
  // x = 0 is feasible and every variable is bounded by a row.
  return optimum === null ? 0 : Math.max(0, optimum.value);
}

/** max Σ w_u p_uv x_uv with Σ_v p_uv x_uv ≤ 1 for every u and Σ_u x_uv ≤ 1 for every v. */
export function matchingProgram({ offline, arrivals, p, weights }: Market): Promise<number> {
  const program = new LinearProgram("maximise");
  const ofVertex: [number, number][][] = Array.from({ length: offline }, () => []);
  const ofArrival: [number, number][][] = Array.from({ length: arrivals }, () => []);
  for (let u = 0; u < offline; u++) {
    for (let v = 0; v < arrivals; v++) {
      const chance = p[u * arrivals + v];
      if (chance === 0) continue;
      const x = program.variable(weights[u] * chance);
      ofVertex[u].push([x, chance]);
      ofArrival[v].push([x, 1]);
    }
  }
  for (const terms of [...ofVertex, ...ofArrival]) program.constrain(terms, Number.NEGATIVE_INFINITY, 1);
  return maximum(program);
}

/** Neighbours per vertex beyond which the sets of them are too many. */
const mostNeighbours = 14;

/**
 * Programs over sets S of arrivals per vertex, Σ_S x_uS ≤ 1. Plain: max Σ w_u min(1, Σ_{v in S} p_uv) x_uS with
 * Σ_u Σ_{S ∋ v} x_uS ≤ 1. Stochastic: S is what would be offered to u, in order of arrival, while it does not succeed:
 * max Σ w_u (1 − Π (1 − p_uv)) x_uS, and v is used with the chance Π_{v' < v in S} (1 − p_uv') that it comes so far.
 */
export function configurationProgram({ offline, arrivals, p, weights }: Market, stochastic: boolean): Promise<number> {
  const program = new LinearProgram("maximise");
  const ofArrival: [number, number][][] = Array.from({ length: arrivals }, () => []);
  for (let u = 0; u < offline; u++) {
    const neighbours = Array.from({ length: arrivals }, (_, v) => v).filter((v) => p[u * arrivals + v] > 0);
    if (neighbours.length > mostNeighbours)
      throw new InputError("too many neighbours for a configuration program", {
        expected: `at most ${mostNeighbours} per offline vertex`,
        got: `${neighbours.length} at vertex ${u}`,
        hint: "matchingLp has no such limit",
      });
    const sets: [number, number][] = [];
    for (let set = 1; set < 2 ** neighbours.length; set++) {
      const members = neighbours.filter((_, k) => (set >> k) & 1);
      const mass = members.reduce((sum, v) => sum + p[u * arrivals + v], 0);
      const missed = members.reduce((chance, v) => chance * (1 - p[u * arrivals + v]), 1);
      const x = program.variable(weights[u] * (stochastic ? 1 - missed : Math.min(1, mass)));
      sets.push([x, 1]);
      let reached = 1;
      for (const v of members) {
        ofArrival[v].push([x, reached]);
        if (stochastic) reached *= 1 - p[u * arrivals + v];
      }
    }
    program.constrain(sets, Number.NEGATIVE_INFINITY, 1);
  }
  for (const terms of ofArrival) program.constrain(terms, Number.NEGATIVE_INFINITY, 1);
  return maximum(program);
}

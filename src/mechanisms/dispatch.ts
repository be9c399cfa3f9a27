import { InputError } from "../rollouts/index.ts";

/**
 * Online matching with stochastic rewards: arrival v may be tried on offline vertex u, which succeeds with probability
 * `p[u * arrivals + v]` (0 = no edge), is then closed and pays its weight.
 */
export interface Market {
  readonly offline: number;
  readonly arrivals: number;
  readonly p: Float64Array;
  readonly weights: Float64Array;
}

export const dispatchRules = ["stochastic_balance", "least_load", "ranking", "greedy"] as const;
export type DispatchRule = (typeof dispatchRules)[number];

export const discounts = ["exp", "one-minus-exp"] as const;
export type Discount = (typeof discounts)[number];

export interface RuleOptions {
  rule: DispatchRule;
  discount: Discount;
  /** One per offline vertex; only `ranking` reads them. */
  ranks: ArrayLike<number> | null;
}

/** A later vertex must be better by more than this to be taken. */
const slack = 1e-12;

function score(market: Market, u: number, v: number, load: number, { rule, discount, ranks }: RuleOptions): number {
  if (rule === "least_load") return -load;
  const gain = market.weights[u] * market.p[u * market.arrivals + v];
  if (rule === "greedy") return gain;
  if (rule === "ranking") return gain * (1 - Math.exp((ranks as ArrayLike<number>)[u] - 1));
  return gain * (discount === "exp" ? Math.exp(-load) : Math.max(0, 1 - Math.exp(load - 1)));
}

/** The vertex on which a rule tries arrival v, or -1 when every neighbour is closed. */
function choice(
  market: Market,
  v: number,
  open: (u: number) => boolean,
  loads: ArrayLike<number>,
  options: RuleOptions,
) {
  let chosen = -1;
  let best = Number.NEGATIVE_INFINITY;
  for (let u = 0; u < market.offline; u++) {
    if (!open(u) || market.p[u * market.arrivals + v] === 0) continue;
    const own = score(market, u, v, loads[u], options);
    if (chosen >= 0 && !(own > best + slack)) continue;
    chosen = u;
    best = own;
  }
  return chosen;
}

export interface Dispatched {
  /** Per arrival the vertex tried, or -1. */
  match: number[];
  success: number[];
  /** Per vertex the sum of the probabilities of its attempts. */
  load: number[];
  reward: number;
}

/** Runs a rule; the attempt of v on u succeeds when `coins[u * arrivals + v]` < p. */
export function runRule(market: Market, coins: ArrayLike<number>, options: RuleOptions): Dispatched {
  const { offline, arrivals, p, weights } = market;
  const closed = new Uint8Array(offline);
  const load = new Array<number>(offline).fill(0);
  const match: number[] = [];
  const success: number[] = [];
  let reward = 0;
  for (let v = 0; v < arrivals; v++) {
    const u = choice(market, v, (one) => closed[one] === 0, load, options);
    const at = u * arrivals + v;
    const won = u >= 0 && coins[at] < p[at];
    match.push(u);
    success.push(won ? 1 : 0);
    if (u < 0) continue;
    load[u] += p[at];
    if (!won) continue;
    closed[u] = 1;
    reward += weights[u];
  }
  return { match, success, load, reward };
}

/** More vertices or arrivals than this are refused by exact computations. */
const mostOffline = 20;
const mostArrivals = 40;
const mostStates = 1_000_000;

/** @throws InputError when a market is too large to be solved exactly. */
export function requireSmall({ offline, arrivals }: Market): void {
  if (offline <= mostOffline && arrivals <= mostArrivals) return;
  throw new InputError("too large to be solved exactly", {
    expected: `at most ${mostOffline} offline vertices and ${mostArrivals} arrivals`,
    got: `${offline} and ${arrivals}`,
    hint: "matchingLp, configurationLp and stochasticConfigurationLp bound it from above",
  });
}

interface State {
  chance: number;
  /** Bit u set: vertex u is open. */
  open: number;
  loads: Float64Array;
}

/** What tells states apart: who is open and, for rules that read them, the loads of those. */
function stateKey({ open, loads }: State, readsLoads: boolean): string {
  if (!readsLoads) return String(open);
  return `${open} ${Array.from(loads, (load, u) => ((open >> u) & 1 ? load : "")).join(" ")}`;
}

/**
 * Exact expected reward of a rule: the probability of every state is carried from arrival to arrival, an attempt splitting
 * it in success and failure; equal states are joined.
 */
export function expectedOf(market: Market, options: RuleOptions): number {
  requireSmall(market);
  const { offline, arrivals, p, weights } = market;
  const readsLoads = options.rule === "stochastic_balance" || options.rule === "least_load";
  let layer: State[] = [{ chance: 1, open: 2 ** offline - 1, loads: new Float64Array(offline) }];
  let total = 0;
  for (let v = 0; v < arrivals; v++) {
    const next = new Map<string, State>();
    const reach = (state: State) => {
      if (state.chance === 0) return;
      const key = stateKey(state, readsLoads);
      const known = next.get(key);
      if (known === undefined) next.set(key, state);
      else known.chance += state.chance;
    };
    for (const { chance, open, loads } of layer) {
      const u = choice(market, v, (one) => ((open >> one) & 1) === 1, loads, options);
      if (u < 0) {
        reach({ chance, open, loads });
        continue;
      }
      const won = p[u * arrivals + v];
      total += chance * won * weights[u];
      reach({ chance: chance * won, open: open & ~(1 << u), loads });
      const heavier = loads.slice();
      heavier[u] += won;
      reach({ chance: chance * (1 - won), open, loads: heavier });
    }
    if (next.size > mostStates)
      throw new InputError("too many states to be solved exactly", { expected: `at most ${mostStates}` });
    layer = [...next.values()];
  }
  return total;
}

/**
 * A principal pays agents for effort and honest reports. Joint efforts b and joint signals s are flat indices in mixed
 * radix, the first agent being the slowest digit.
 */
export interface InformationGame {
  readonly prior: Float64Array;
  /** Cost of every effort of every agent. */
  readonly costs: readonly Float64Array[];
  /** Number of signals of every agent. */
  readonly signals: readonly number[];
  /** u(a, θ), a · |Θ| + θ. */
  readonly utility: Float64Array;
  readonly maxPayment: number;
  /** Probability of the signals given efforts and state, (b · |Θ| + θ) · |S| + s. */
  readonly chance: Float64Array;
}

/** Digits of a flat index. */
export interface Radix {
  readonly sizes: readonly number[];
  readonly strides: readonly number[];
  readonly count: number;
}

export function radix(sizes: readonly number[]): Radix {
  const strides = new Array<number>(sizes.length);
  let count = 1;
  for (let i = sizes.length - 1; i >= 0; i--) {
    strides[i] = count;
    count *= sizes[i];
  }
  return { sizes, strides, count };
}

/** Digit i of an index. */
export function digit({ sizes, strides }: Radix, index: number, i: number): number {
  return Math.floor(index / strides[i]) % sizes[i];
}

/** The index with digit i replaced. */
export function withDigit(of: Radix, index: number, i: number, value: number): number {
  return index + (value - digit(of, index, i)) * of.strides[i];
}

/** Numbers of efforts, signals, states and actions of the principal. */
export function sizesOf(game: InformationGame) {
  const efforts = radix(game.costs.map((costs) => costs.length));
  const reports = radix(game.signals);
  const states = game.prior.length;
  return { efforts, reports, states, actions: game.utility.length / states, agents: game.costs.length };
}

/** P(s, θ | b) = prior(θ) · chance(s | b, θ), at (b · |S| + s) · |Θ| + θ. */
export function jointChances(game: InformationGame): Float64Array {
  const { efforts, reports, states } = sizesOf(game);
  const out = new Float64Array(efforts.count * reports.count * states);
  for (let b = 0; b < efforts.count; b++) {
    for (let theta = 0; theta < states; theta++) {
      for (let s = 0; s < reports.count; s++) {
        const chance = game.chance[(b * states + theta) * reports.count + s];
        out[(b * reports.count + s) * states + theta] = game.prior[theta] * chance;
      }
    }
  }
  return out;
}

/** What the principal decides on b and s, and what that is worth. */
export interface Decisions {
  /** a*(b, s), b · |S| + s; the lowest of equally good ones. */
  action: Int32Array;
  /** D(b) = Σ_s max_a Σ_θ P(s, θ | b) u(a, θ). */
  worth: Float64Array;
}

export function decisionsOf(game: InformationGame): Decisions {
  const { efforts, reports, states, actions } = sizesOf(game);
  const joint = jointChances(game);
  const action = new Int32Array(efforts.count * reports.count);
  const worth = new Float64Array(efforts.count);
  for (let cell = 0; cell < action.length; cell++) {
    let best = Number.NEGATIVE_INFINITY;
    for (let a = 0; a < actions; a++) {
      let value = 0;
      for (let theta = 0; theta < states; theta++)
        value += joint[cell * states + theta] * game.utility[a * states + theta];
      if (value <= best) continue;
      best = value;
      action[cell] = a;
    }
    worth[Math.floor(cell / reports.count)] += best;
  }
  return { action, worth };
}

/** A mechanism: chances of the recommendations, and payments per agent, (b · |S| + s) · |Θ| + θ. */
export interface Mechanism {
  readonly mu: Float64Array;
  readonly gamma: readonly Float64Array[];
}

export interface MechanismValue {
  principal: number;
  payments: number[];
  agentUtility: number[];
}

/** Expected values when everybody obeys and reports the truth. */
export function mechanismWorth(game: InformationGame, { mu, gamma }: Mechanism): MechanismValue {
  const { efforts, reports, states } = sizesOf(game);
  const joint = jointChances(game);
  const row = reports.count * states;
  const payments = gamma.map((own) => own.reduce((sum, x, k) => sum + mu[Math.floor(k / row)] * joint[k] * x, 0));
  const { worth } = decisionsOf(game);
  const decided = worth.reduce((sum, value, b) => sum + mu[b] * value, 0);
  return {
    principal: decided - payments.reduce((sum, x) => sum + x, 0),
    payments,
    agentUtility: payments.map((paid, i) => {
      return paid - mu.reduce((sum, chance, b) => sum + chance * game.costs[i][digit(efforts, b, i)], 0);
    }),
  };
}

/**
 * Payoff of agent i, times the chance of being recommended b_i, when it plays `effort` on that recommendation and reports
 * what pays best for each signal (`honest` false) or the truth.
 */
function payoff(
  game: InformationGame,
  { mu, gamma }: Mechanism,
  joint: Float64Array,
  i: number,
  [recommended, effort]: readonly [number, number],
  honest: boolean,
): number {
  const { efforts, reports, states } = sizesOf(game);
  const own = reports.sizes[i];
  const paid = new Float64Array(own * own);
  let chance = 0;
  for (let b = 0; b < efforts.count; b++) {
    if (mu[b] === 0 || digit(efforts, b, i) !== recommended) continue;
    chance += mu[b];
    const played = withDigit(efforts, b, i, effort);
    for (let s = 0; s < reports.count; s++) {
      const seen = digit(reports, s, i);
      for (let said = 0; said < own; said++) {
        const told = withDigit(reports, s, i, said);
        let sum = 0;
        for (let theta = 0; theta < states; theta++) {
          sum +=
            joint[(played * reports.count + s) * states + theta] *
            gamma[i][(b * reports.count + told) * states + theta];
        }
        paid[seen * own + said] += mu[b] * sum;
      }
    }
  }
  let total = -chance * game.costs[i][effort];
  for (let seen = 0; seen < own; seen++) {
    const row = paid.subarray(seen * own, (seen + 1) * own);
    total += honest ? row[seen] : Math.max(...row);
  }
  return total;
}

/** What each agent gains by the best deviation: on every recommendation another effort, and another report per signal. */
export function deviationGains(game: InformationGame, mechanism: Mechanism): number[] {
  const joint = jointChances(game);
  return game.costs.map((costs, i) => {
    let gain = 0;
    for (let recommended = 0; recommended < costs.length; recommended++) {
      const obedient = payoff(game, mechanism, joint, i, [recommended, recommended], true);
      const best = Math.max(
        ...Array.from(costs, (_, effort) => payoff(game, mechanism, joint, i, [recommended, effort], false)),
      );
      gain += Math.max(0, best - obedient);
    }
    return gain;
  });
}

import { InputError } from "../rollouts/index.ts";
import {
  decisionsOf,
  digit,
  type InformationGame,
  jointChances,
  type Mechanism,
  sizesOf,
  withDigit,
} from "./information-game.ts";
import { LinearProgram } from "./linear-program.ts";

type Term = readonly [variable: number, coefficient: number];

/** More variables than this are refused: the solver would take minutes. */
const mostVariables = 20_000;

const below = Number.NEGATIVE_INFINITY;
const above = Number.POSITIVE_INFINITY;

function requireProgram(variables: number): void {
  if (variables <= mostVariables) return;
  throw new InputError("the game is too large for its linear program", {
    expected: `at most ${mostVariables} variables`,
    got: `${variables}`,
  });
}

export interface OptimalMechanism extends Mechanism {
  value: number;
}

/**
 * The best mechanism that may correlate its recommendations: variables μ[b], x_i[b,s,θ] = μ[b] γ_i and
 * z_i[b_i,b'_i,s_i] ≥ what the best report for signal s_i pays after effort b'_i; no deviation pays, and
 * 0 ≤ x_i ≤ M μ[b]. `slack` · μ(b_i) is what obeying has to be better by than any other effort; `null` when that is
 * more than payments can buy.
 */
export async function optimalProgram(game: InformationGame, slack = 0): Promise<OptimalMechanism | null> {
  const { efforts, reports, states, agents } = sizesOf(game);
  const cells = reports.count * states;
  const deviations = efforts.sizes.reduce((sum, size, i) => sum + size * size * reports.sizes[i], 0);
  requireProgram(efforts.count * (1 + agents * cells) + deviations);
  const joint = jointChances(game);
  const { worth } = decisionsOf(game);
  const program = new LinearProgram("maximise");
  const mu = Array.from(worth, (value) => program.variable(value));
  const x = Array.from({ length: agents }, () => Array.from(joint, (chance) => program.variable(-chance)));
  program.constrain(
    mu.map((variable) => [variable, 1]),
    1,
    1,
  );
  for (let i = 0; i < agents; i++) {
    x[i].forEach((paid, k) => {
      const most: Term[] = [
        [paid, 1],
        [mu[Math.floor(k / cells)], -game.maxPayment],
      ];
      program.constrain(most, below, 0);
    });
    for (let own = 0; own < efforts.sizes[i]; own++) {
      const profiles = mu.flatMap((_, b) => (digit(efforts, b, i) === own ? [b] : []));
      for (let other = 0; other < efforts.sizes[i]; other++) {
        noGain(program, game, joint, { i, own, other, profiles, mu, x: x[i], slack: own === other ? 0 : slack });
      }
    }
  }
  const optimum = await program.solve();
  if (optimum === null) return null;
  const raw = mu.map((variable) => Math.max(0, optimum.x[variable]));
  const total = raw.reduce((sum, chance) => sum + chance, 0);
  const chances = Float64Array.from(raw, (chance) => (chance > 1e-12 ? chance / total : 0));
  const gamma = x.map((own) =>
    Float64Array.from(own, (variable, k) => {
      const chance = raw[Math.floor(k / cells)];
      return chance > 1e-12 ? Math.min(game.maxPayment, Math.max(0, optimum.x[variable] / chance)) : 0;
    }),
  );
  return { value: optimum.value, mu: chances, gamma };
}

interface Deviation {
  i: number;
  own: number;
  other: number;
  /** Profiles in which agent i is recommended `own`. */
  profiles: readonly number[];
  mu: readonly number[];
  x: readonly number[];
  slack: number;
}

/** Agent i, recommended `own`, gains nothing by effort `other` and any reports. */
function noGain(program: LinearProgram, game: InformationGame, joint: Float64Array, deviation: Deviation): void {
  const { efforts, reports, states } = sizesOf(game);
  const { i, own, other, profiles, mu, x, slack } = deviation;
  const cells = reports.count * states;
  const gap = game.costs[i][own] - game.costs[i][other] + slack;
  const obey: Term[] = profiles.flatMap((b) => [
    [mu[b], -gap] as const,
    ...Array.from({ length: cells }, (_, k) => [x[b * cells + k], joint[b * cells + k]] as const),
  ]);
  for (let seen = 0; seen < reports.sizes[i]; seen++) {
    const z = program.variable(0);
    obey.push([z, -1]);
    for (let said = 0; said < reports.sizes[i]; said++) {
      const terms: Term[] = [[z, 1]];
      for (const b of profiles) {
        const played = withDigit(efforts, b, i, other);
        for (let s = 0; s < reports.count; s++) {
          if (digit(reports, s, i) !== seen) continue;
          const told = withDigit(reports, s, i, said);
          for (let theta = 0; theta < states; theta++) {
            const chance = joint[(played * reports.count + s) * states + theta];
            terms.push([x[(b * reports.count + told) * states + theta], -chance]);
          }
        }
      }
      program.constrain(terms, 0, above);
    }
  }
  program.constrain(obey, 0, above);
}

/** An agent by itself: P(s, θ | effort) at (effort · |S| + s) · |Θ| + θ. */
export interface LoneAgent {
  readonly costs: Float64Array;
  readonly signals: number;
  readonly states: number;
  readonly joint: Float64Array;
  readonly maxPayment: number;
}

export interface ScoringRule {
  /** Expected payment under the wanted effort and true reports. */
  payment: number;
  /** γ(s, θ), s · |Θ| + θ. */
  rule: Float64Array;
}

/** The cheapest payments in [0, M] under which an effort and true reports are optimal; `null` when there are none. */
export async function scoringProgram(agent: LoneAgent, effort: number): Promise<ScoringRule | null> {
  const { costs, signals, states, joint, maxPayment } = agent;
  requireProgram(signals * (states + costs.length));
  const program = new LinearProgram("minimise");
  const at = (b: number, s: number, theta: number) => joint[(b * signals + s) * states + theta];
  const cells = Array.from({ length: signals * states }, (_, k) => k);
  const gamma = cells.map((k) => program.variable(joint[effort * signals * states + k], maxPayment));
  for (let other = 0; other < costs.length; other++) {
    const obey: Term[] = cells.map((k) => [gamma[k], joint[effort * signals * states + k]]);
    for (let seen = 0; seen < signals; seen++) {
      const z = program.variable(0);
      obey.push([z, -1]);
      for (let said = 0; said < signals; said++) {
        const terms: Term[] = [[z, 1]];
        for (let theta = 0; theta < states; theta++)
          terms.push([gamma[said * states + theta], -at(other, seen, theta)]);
        program.constrain(terms, 0, above);
      }
    }
    program.constrain(obey, costs[effort] - costs[other], above);
  }
  const optimum = await program.solve();
  if (optimum === null) return null;
  return { payment: optimum.value, rule: Float64Array.from(gamma, (variable) => optimum.x[variable]) };
}

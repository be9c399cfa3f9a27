import { z } from "zod";
import { digit, type InformationGame, radix, sizesOf } from "../../mechanisms/information-game.ts";
import type { LoneAgent } from "../../mechanisms/information-programs.ts";
import { InputError } from "../../rollouts/index.ts";
import { numberList, numberRows } from "../arguments.ts";
import { numberBlocks, requireDistribution, requireLength } from "./tensors.ts";

/** Most entries of a table over efforts, signals and states. */
const mostEntries = 2_000_000;

/** Two chances closer than this are the same. */
const chanceTolerance = 1e-6;

const costs = z.array(z.number().min(0)).min(1, "at least one effort");

/** A game as it is written: priors, costs per agent and effort, numbers of signals, utilities and chances of signals. */
export const gameSchema = z.object({
  prior: numberList.min(1, "at least one state"),
  costs: z.array(costs).min(1, "at least one agent"),
  signals: z.array(z.int().min(1)),
  utility: numberRows.min(1, "at least one action"),
  maxPayment: z.number().positive(),
  /** Per agent, effort and state the chances of its signals, independent given the state. */
  marginals: z.array(numberBlocks).nullish(),
  /** Per joint effort and state the chances of the joint signals. */
  signal: numberBlocks.nullish(),
});
type GivenGame = z.output<typeof gameSchema>;

function chancesOfMarginals(game: GivenGame, marginals: readonly (readonly number[][][])[]): Float64Array {
  const efforts = radix(game.costs.map((own) => own.length));
  const reports = radix(game.signals);
  const states = game.prior.length;
  requireLength(marginals, game.costs.length, "game.marginals");
  marginals.forEach((ofAgent, i) => {
    requireLength(ofAgent, efforts.sizes[i], `game.marginals.${i}`);
    ofAgent.forEach((ofEffort, b) => {
      requireLength(ofEffort, states, `game.marginals.${i}.${b}`);
      ofEffort.forEach((row, theta) => {
        requireDistribution(row, reports.sizes[i], `game.marginals.${i}.${b}.${theta}`);
      });
    });
  });
  return Float64Array.from({ length: efforts.count * states * reports.count }, (_, k) => {
    const s = k % reports.count;
    const theta = Math.floor(k / reports.count) % states;
    const b = Math.floor(k / reports.count / states);
    return marginals.reduce((product, own, i) => product * own[digit(efforts, b, i)][theta][digit(reports, s, i)], 1);
  });
}

function chancesOfJoint(game: GivenGame, signal: readonly (readonly number[][])[]): Float64Array {
  const efforts = radix(game.costs.map((own) => own.length));
  const reports = radix(game.signals);
  requireLength(signal, efforts.count, "game.signal");
  signal.forEach((ofStates, b) => {
    requireLength(ofStates, game.prior.length, `game.signal.${b}`);
    ofStates.forEach((row, theta) => {
      requireDistribution(row, reports.count, `game.signal.${b}.${theta}`);
    });
  });
  return Float64Array.from(signal.flat(2));
}

/**
 * A game with its chances of signals worked out.
 * @throws InputError naming the field: another shape, chances that do not sum to 1 within 1e-6, both or neither of
 * `marginals` and `signal`, a game too large to be written out.
 */
export function readGame(game: GivenGame): InformationGame {
  const { prior, signals, utility, maxPayment, marginals, signal } = game;
  requireDistribution(prior, prior.length, "game.prior");
  requireLength(signals, game.costs.length, "game.signals");
  utility.forEach((row, a) => {
    requireLength(row, prior.length, `game.utility.${a}`);
  });
  const entries = [...game.costs.map((own) => own.length), ...signals].reduce(
    (product, n) => product * n,
    prior.length,
  );
  if (entries > mostEntries)
    throw new InputError("the game is too large", { expected: `at most ${mostEntries} entries`, got: `${entries}` });
  const hasMarginals = marginals !== null && marginals !== undefined;
  if (hasMarginals === (signal !== null && signal !== undefined))
    throw new InputError("argument game not valid", { expected: "either marginals or signal" });
  const chance = hasMarginals
    ? chancesOfMarginals(game, marginals)
    : chancesOfJoint(game, signal as NonNullable<typeof signal>);
  return {
    prior: Float64Array.from(prior),
    costs: game.costs.map((own) => Float64Array.from(own)),
    signals,
    utility: Float64Array.from(utility.flat()),
    maxPayment,
    chance,
  };
}

/** Chances of agent i's own signal under a joint effort, θ · |S_i| + s_i. */
function ownChances(game: InformationGame, i: number, b: number): Float64Array {
  const { reports, states } = sizesOf(game);
  const out = new Float64Array(states * reports.sizes[i]);
  for (let k = 0; k < states * reports.count; k++) {
    const theta = Math.floor(k / reports.count);
    out[theta * reports.sizes[i] + digit(reports, k % reports.count, i)] += game.chance[b * states * reports.count + k];
  }
  return out;
}

/**
 * Agent i by itself.
 * @throws InputError when its signals depend on the efforts of others: then there is no such agent.
 */
export function loneAgent(game: InformationGame, i: number): LoneAgent {
  const { efforts, reports, states } = sizesOf(game);
  const signals = reports.sizes[i];
  const joint = new Float64Array(efforts.sizes[i] * signals * states).fill(Number.NaN);
  for (let b = 0; b < efforts.count; b++) {
    const own = ownChances(game, i, b);
    const effort = digit(efforts, b, i);
    for (let k = 0; k < own.length; k++) {
      const theta = Math.floor(k / signals);
      const at = (effort * signals + (k % signals)) * states + theta;
      const chance = game.prior[theta] * own[k];
      if (Number.isNaN(joint[at])) joint[at] = chance;
      else if (Math.abs(joint[at] - chance) > chanceTolerance)
        throw new InputError(`signals of agent ${i} depend on the efforts of others`, {
          expected: "chances of an agent's signal that depend on its own effort and the state only",
        });
    }
  }
  return { costs: game.costs[i], signals, states, joint, maxPayment: game.maxPayment };
}

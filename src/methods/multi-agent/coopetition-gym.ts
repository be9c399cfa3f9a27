import { z } from "zod";
import { describe, InputError } from "../../rollouts/index.ts";
import { count, functionArgs, numberList, numberRows, probability, sameLength } from "../arguments.ts";
import { defineMethod } from "../method.ts";
import { coopetitionEnvironment, type Environment } from "./coopetition-environments.ts";
import { type Episode, playEpisode } from "./coopetition-episode.ts";
import { coopetitiveEquilibrium, slcdValidation, teamEquilibria, teamUtility } from "./coopetition-equilibria.ts";

const ratesOf = z.object({
  build: z.number(),
  erode: z.number(),
  damage: z.number(),
  repair: z.number(),
  dependence: z.number(),
  sharpness: z.number(),
});
const reciprocityOf = z.object({
  rho: z.number(),
  eta: z.number(),
  sharpness: z.number(),
  memory: count.min(1),
  lambda: z.number(),
  omega: z.number(),
});

/** Entries of the table of environments, each of which a caller may replace. */
const overrides = z
  .strictObject({
    endowments: z.array(z.number().positive()).min(2),
    alpha: numberList,
    D: numberRows,
    theta: z.number(),
    gamma: z.number(),
    rates: ratesOf.partial(),
    trust: probability,
    damage: probability,
    baseline: numberList,
    horizon: count.min(1),
    reciprocity: reciprocityOf.partial(),
  })
  .partial();

const rolloutArgs = z.object({
  env: z.string(),
  /** Per step the action of every agent. */
  actions: numberRows,
  rewardMode: z.enum(["integrated", "private", "cooperative"]).nullish(),
  phase: z.string().nullish(),
  gamma: z.number().nullish(),
  memory: z.enum(["official", "paper"]).nullish(),
  overrides: overrides.nullish(),
});

/** The environment with the entries that the caller replaces. */
function overridden(e: Environment, given: z.output<typeof overrides>): Environment {
  const { rates, reciprocity, ...rest } = given;
  const changed = {
    ...e,
    ...rest,
    rates: { ...e.rates, ...rates },
    reciprocity: e.reciprocity === null ? null : { ...e.reciprocity, ...reciprocity },
  };
  const { endowments, alpha, baseline, D } = changed;
  sameLength({
    "overrides.endowments": endowments,
    "overrides.alpha": alpha,
    "overrides.baseline": baseline,
    "overrides.D": D,
  });
  D.forEach((row, i) => {
    sameLength({ "overrides.endowments": endowments, [`overrides.D.${i}`]: row });
  });
  return changed;
}

/**
 * Plays recorded actions in one of the environments: rewards per step and agent, trust T and reputation damage R at the end,
 * and whether the episode is still running, was ended by a rule, or reached its horizon (later actions are ignored).
 * @param args `rewardMode` integrated (default), private or cooperative; `phase` of RenaultNissan and ApacheProject; `gamma`,
 * the strength of the synergy, which SynergySearch draws anew for each episode and therefore needs here; `memory` of the
 * reciprocity environments, official (default) or paper; `overrides` replaces entries of the environment.
 * @throws InputError for an unknown environment or phase, and actions of the wrong number.
 */
export function coopetitionRollout(args: z.input<typeof rolloutArgs>): Episode {
  const { env, actions, rewardMode, phase, gamma, memory, overrides } = functionArgs(rolloutArgs, args);
  const environment = overridden(coopetitionEnvironment(env, phase ?? null), overrides ?? {});
  const n = environment.endowments.length;
  const wrong = actions.findIndex((step) => step.length !== n);
  if (wrong >= 0) {
    const at = { expected: `${n} agents in ${env}`, got: `${actions[wrong].length}` };
    throw new InputError(`argument actions.${wrong} has the wrong number of actions`, at);
  }
  const strength = gamma ?? environment.gamma;
  if (strength === null) {
    throw new InputError("argument gamma is missing", {
      expected: "a number (drawn uniformly from 0.2 to 0.9 in the original)",
      got: describe(gamma),
    });
  }
  return playEpisode(environment, actions, strength, rewardMode ?? "integrated", memory ?? "official");
}

export const coopetitionGym = defineMethod({
  id: "coopetition-gym",
  title: "Coopetition-Gym: mixed-motive environments with three reward modes",
  summary:
    "Twenty small games with closed-form payoffs, interdependence and trust, in which the same actions can be paid privately, with a share in the others' payoffs, or all together: a test bed for credit between agents.",
  facts: {
    paper: {
      title: "Coopetition-Gym v1: Mixed-Motive Multi-Agent Reinforcement Learning under Strategic Coopetition",
      arxiv: "2605.02063",
      date: "2026-05",
      repo: "vikpant/strategic-coopetition",
    },
    headline:
      "Four case studies score 98.3, 81.7, 86.7 and 87.3 % of their rubrics in the paper (the current repository gives 96.7, 81.7, 75 and 84.3 %), over 25,708 training runs.",
    granularity: "agent",
    methodology: ["game-theory"],
    checked:
      "official code, all environments, reward modes and three action patterns: rewards within 2.1e-7 relative (float32 there), trust 1.2e-8",
    reconstructed: ["SynergySearch takes its hidden synergy as an argument instead of drawing it"],
  },
  equations: [
    {
      text: "π_i = e_i − a_i + θ ln(1 + a_i) + α_i γ (Π a)^(1/n)",
      tex: "\\pi_i = e_i - a_i + \\theta\\ln(1 + a_i) + \\alpha_i\\gamma\\Big(\\prod_j a_j\\Big)^{1/n}",
    },
    {
      text: "U_i = π_i + Σ_j min(T_ij, 1 − R_ij) D_ij π_j",
      tex: "U_i = \\pi_i + \\sum_{j \\ne i}\\min(T_{ij}, 1 - R_{ij})\\,D_{ij}\\,\\pi_j",
    },
    {
      text: "ΔT_ij = λ+ s (1 − R_ij − T_ij) for s > 0, λ− s T_ij (1 + ξ D_ij) for s < 0, s = tanh(κ (a_j − b_j))",
      tex: "\\Delta T_{ij} = \\begin{cases}\\lambda^+ s\\,(1 - R_{ij} - T_{ij}) & s > 0\\\\ \\lambda^- s\\,T_{ij}(1 + \\xi D_{ij}) & s < 0\\end{cases}",
    },
  ],
  params: z.object({}),
  reads: [],
  writes: [],
  scope: "rollout",
  functions: { coopetitionRollout, teamUtility, teamEquilibria, coopetitiveEquilibrium, slcdValidation },
});

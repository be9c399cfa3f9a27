import { z } from "zod";
import { canonicalisations, canonicalReward, norms, rewardNorm } from "../../mechanisms/reward-canon.ts";
import { mutualRegrets, pearsonDistance, standardised, standardReward } from "../../mechanisms/reward-distance.ts";
import type { Tabular } from "../../mechanisms/tabular.ts";
import { functionArgs, numberList, numberRows, sameLength } from "../arguments.ts";
import { defineMethod } from "../method.ts";
import { nestedOf, numberBlocks, policyOf, requireDistribution, tensorOf, transitionsOf } from "./tensors.ts";

const gamma = z.number().min(0).lt(1);
const canonicalisation = z.enum(canonicalisations).default("VAL");
const policy = numberRows.nullable().default(null);

/** A norm by its name; plain numbers are taken for the names 1, 2 and 0. */
const named = <const N extends string>(names: readonly N[]) =>
  z.preprocess((name) => (typeof name === "number" ? String(name) : name), z.enum(names as readonly [N, ...N[]]));

const processArgs = z.object({ transition: numberBlocks, gamma });
const pairArgs = processArgs.extend({ rewardA: numberBlocks, rewardB: numberBlocks });

function processOf(args: z.output<typeof processArgs>): Tabular {
  return { ...transitionsOf(args.transition), gamma: args.gamma };
}

function rewardOf(nested: readonly (readonly (readonly number[])[])[], mdp: Tabular, name: string): Float64Array {
  return tensorOf(nested, [mdp.states, mdp.actions, mdp.states], name);
}

function bothRewards(args: z.output<typeof pairArgs>, mdp: Tabular): [Float64Array, Float64Array] {
  return [rewardOf(args.rewardA, mdp, "rewardA"), rewardOf(args.rewardB, mdp, "rewardB")];
}

function policyIn(rows: readonly (readonly number[])[] | null, { states, actions }: Tabular): Float64Array | null {
  return rows === null ? null : policyOf(rows, states, actions);
}

const canonArgs = processArgs.extend({
  reward: numberBlocks,
  method: canonicalisation,
  policy,
  normOrd: named([...norms, "0"]).default("2"),
});

/**
 * A reward function R[s][a][t] without what cannot change the order of policies: C[s][a][t] (EPIC and DARD as
 * in arXiv 2006.13900 and 2201.10081, with uniform states and actions).
 * VAL: Σ_u P(s,a,u) (R(s,a,u) + γ V(u) − V(s)), V the values of `policy` (uniform unless given), solved exactly.
 * VALPotential: R + γ V(t) − V(s). Minimal, MinimalPotential: the smallest Σ C² that can be reached by shaping with or
 * without redistribution over next states (`normOrd` weighted_2 weighs the latter's squares by P). None: R itself.
 * @throws InputError naming the index: another shape, negative probabilities, rows that do not sum to 1, γ of 1 or more.
 */
export function starcCanonicalize(args: z.input<typeof canonArgs>): number[][][] {
  const given = functionArgs(canonArgs, args);
  const mdp = processOf(given);
  const reward = rewardOf(given.reward, mdp, "reward");
  const weighted = given.normOrd === "weighted_2";
  const canonical = canonicalReward(mdp, reward, given.method, { policy: policyIn(given.policy, mdp), weighted });
  return nestedOf(canonical, [mdp.states, mdp.actions, mdp.states]);
}

const distanceArgs = pairArgs.extend({
  canonicalisation,
  normOrd: named([...norms, "0"]).default("2"),
  distanceOrd: named(norms).default("2"),
  policy,
});

/**
 * STARC distance d(A, B) = ‖s(A) − s(B)‖, s(R) = c(R) / n(c(R)), zeros when n(c(R)) ≤ 1e-9 max|R|. With
 * the defaults (VAL, both norms 2) it lies in [0, 2]: 0 for the same order of all policies, 2 for the opposite order.
 * Norms over all (s, a, t): 1, 2, inf, and weighted_1 = Σ P|X|, weighted_2 = sqrt(Σ P X²), weighted_inf = max P|X|.
 */
export function starcDistance(args: z.input<typeof distanceArgs>): number {
  const given = functionArgs(distanceArgs, args);
  const mdp = processOf(given);
  const options = { ...given, policy: policyIn(given.policy, mdp) };
  const [a, b] = bothRewards(given, mdp).map((reward) => standardReward(mdp, reward, options));
  return rewardNorm(
    a.map((x, k) => x - b[k]),
    given.distanceOrd,
    mdp.transition,
  );
}

const pearsonArgs = pairArgs.extend({ canonicalisation });

/** sqrt((1 − ρ) / 2), ρ the correlation of the canonical rewards, every (s, a, t) counting the same; 0 to 1. */
export function epicPearsonDistance(args: z.input<typeof pearsonArgs>): number {
  const given = functionArgs(pearsonArgs, args);
  const mdp = processOf(given);
  return pearsonDistance(mdp, ...bothRewards(given, mdp), given.canonicalisation);
}

const regretArgs = pairArgs.extend({ init: numberList });

/**
 * What each reward loses when the other one's optimal policy is followed, as a share of the gap between its own best and
 * worst policy; J under the distribution `init` over states, policies by policy iteration from action 0.
 */
export function mutualRegret(args: z.input<typeof regretArgs>): { regret_a: number; regret_b: number; mean: number } {
  const given = functionArgs(regretArgs, args);
  const mdp = processOf(given);
  requireDistribution(given.init, mdp.states, "init");
  return mutualRegrets(mdp, ...bothRewards(given, mdp), given.init);
}

const sampledArgs = z.object({
  rewardsA: numberRows,
  valuesA: numberRows,
  rewardsB: numberRows,
  valuesB: numberRows,
  gamma,
});

/** c_t = r_t + γ v_{t+1} − v_t over all episodes, divided by its root mean square; zeros for a trivial reward. */
function sampledStandard(rewards: readonly number[][], values: readonly number[][], discount: number): Float64Array {
  const steps = rewards.flatMap((episode, i) =>
    episode.map((r, t) => r + discount * (values[i][t + 1] ?? 0) - values[i][t]),
  );
  const canonical = Float64Array.from(steps);
  const size = rewardNorm(canonical, "2") / Math.sqrt(canonical.length);
  const scale = rewards.flat().reduce((most, r) => Math.max(most, Math.abs(r)), 0);
  return standardised(canonical, size, scale);
}

/**
 * The distance on logged episodes, whose transitions are deterministic given the text: c_t = r_t + γ v_{t+1} − v_t with
 * v = 0 after the last step, each reward with values of its own, divided by the root mean square over all steps; the
 * root mean square of the difference. 0 when there are no steps.
 */
export function starcSampledDistance(args: z.input<typeof sampledArgs>): number {
  const { rewardsA, valuesA, rewardsB, valuesB, gamma: discount } = functionArgs(sampledArgs, args);
  sameLength({ rewardsA, valuesA, rewardsB, valuesB });
  rewardsA.forEach((episode, i) => {
    const lists = { [`rewardsA.${i}`]: episode, [`valuesA.${i}`]: valuesA[i] };
    sameLength({ ...lists, [`rewardsB.${i}`]: rewardsB[i], [`valuesB.${i}`]: valuesB[i] });
  });
  const a = sampledStandard(rewardsA, valuesA, discount);
  const b = sampledStandard(rewardsB, valuesB, discount);
  if (a.length === 0) return 0;
  const difference = a.map((x, k) => x - b[k]);
  return rewardNorm(difference, "2") / Math.sqrt(difference.length);
}

export const starc = defineMethod({
  id: "starc",
  title: "STARC: distances between reward functions",
  summary:
    "Takes out of two reward functions what cannot change the order of policies (shaping, redistribution over next states, scale) and measures how far apart the rest is.",
  facts: {
    paper: {
      title: "STARC: A General Framework For Quantifying Differences Between Reward Functions",
      arxiv: "2309.15257",
      date: "2023-09",
      repo: "lucyfarnik/starc",
    },
    headline:
      "The distance bounds worst-case regret from above and below; it follows regret better than EPIC and DARD in random MDPs and in Reacher.",
    granularity: "reward-function",
    methodology: ["mechanism", "reward-model"],
    checked:
      "official code (VAL, VALPotential, EPIC, DARD, norms, greedy policies), max abs diff 1.3e-8; Minimal where dynamics are deterministic, 1e-5",
    reconstructed: [
      "the form for logged episodes",
      "Minimal where dynamics are stochastic (the official form leaves the class of the reward)",
    ],
  },
  equations: [
    {
      text: "C(s,a,·) = Σ_u P(s,a,u) [R(s,a,u) + γ V(u) − V(s)]",
      tex: "C(s,a,\\cdot) = \\mathbb{E}_{u \\sim P(s,a)}[R(s,a,u) + \\gamma V(u) - V(s)]",
    },
    { text: "s(R) = C / ‖C‖", tex: "s(R) = C / \\lVert C \\rVert" },
    { text: "d(A, B) = ‖s(A) − s(B)‖", tex: "d(A,B) = \\lVert s(A) - s(B) \\rVert" },
  ],
  params: z.object({}),
  reads: [],
  writes: [],
  scope: "batch",
  functions: { starcCanonicalize, starcDistance, epicPearsonDistance, mutualRegret, starcSampledDistance },
});

import { pearson } from "../operators/ranking.ts";
import { type Canonicalisation, canonicalReward, type Norm, rewardNorm } from "./reward-canon.ts";
import { expectedRewards, greedyPolicy, policyValues, type Tabular } from "./tabular.ts";

/** A canonical reward that is this much smaller than the reward it came from says nothing: the reward is trivial. */
const trivialTolerance = 1e-9;

const largest = (values: Float64Array) => values.reduce((most, x) => Math.max(most, Math.abs(x)), 0);

/** Divides by a size, or gives zeros where the size is nothing next to the raw values (`scale`, their largest one). */
export function standardised(canonical: Float64Array, size: number, scale: number): Float64Array {
  return size <= trivialTolerance * scale ? new Float64Array(canonical.length) : canonical.map((x) => x / size);
}

export interface StarcOptions {
  canonicalisation: Canonicalisation;
  /** Norm that a canonical reward is divided by; "0" leaves it as it is. */
  normOrd: Norm | "0";
  policy?: Float64Array | null;
}

/** s(R) = c(R) / n(c(R)), zeros for a trivial reward. */
export function standardReward(mdp: Tabular, reward: Float64Array, options: StarcOptions): Float64Array {
  const { canonicalisation, normOrd, policy } = options;
  const canonical = canonicalReward(mdp, reward, canonicalisation, { policy, weighted: normOrd === "weighted_2" });
  if (normOrd === "0") return canonical;
  return standardised(canonical, rewardNorm(canonical, normOrd, mdp.transition), largest(reward));
}

/** Values less their mean; zeros where the differences are nothing next to `scale`. */
function centred(values: Float64Array, scale: number): Float64Array {
  const mean = values.reduce((sum, x) => sum + x / values.length, 0);
  const out = values.map((x) => x - mean);
  return largest(out) <= trivialTolerance * scale ? out.fill(0) : out;
}

/** sqrt((1 − ρ) / 2), ρ the correlation of two canonical rewards over all transitions; 0 when neither varies. */
export function pearsonDistance(
  mdp: Tabular,
  rewardA: Float64Array,
  rewardB: Float64Array,
  canonicalisation: Canonicalisation,
): number {
  const [a, b] = [rewardA, rewardB].map((reward) =>
    centred(canonicalReward(mdp, reward, canonicalisation), largest(reward)),
  );
  if (largest(a) === 0 && largest(b) === 0) return 0;
  return Math.sqrt(Math.max(0, (1 - (pearson(a, b) ?? 0)) / 2));
}

export interface Regrets {
  regret_a: number;
  regret_b: number;
  mean: number;
}

/**
 * What is lost under each reward by following the optimal policy of the other, as a share of the gap between its best and
 * its worst policy (0 where there is no gap): regret_a = (J_A(π_A) − J_A(π_B)) / (J_A(π_A) − J_A(worst of A)).
 */
export function mutualRegrets(
  mdp: Tabular,
  rewardA: Float64Array,
  rewardB: Float64Array,
  init: ArrayLike<number>,
): Regrets {
  const expected = [rewardA, rewardB].map((reward) => expectedRewards(mdp, reward));
  const best = expected.map((one) => greedyPolicy(mdp, one));
  const [regret_a, regret_b] = expected.map((own, which) => {
    const worth = (policy: Float64Array) =>
      policyValues(mdp, own, policy).reduce((sum, value, s) => sum + init[s] * value, 0);
    const top = worth(best[which]);
    const worst = greedyPolicy(
      mdp,
      own.map((b) => -b),
    );
    const gap = top - worth(worst);
    return gap <= 1e-12 ? 0 : (top - worth(best[1 - which])) / gap;
  });
  return { regret_a, regret_b, mean: (regret_a + regret_b) / 2 };
}

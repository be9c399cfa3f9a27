import { klValue } from "../../operators/kl.ts";
import type { Episode } from "./episodes.ts";
import type { TrainingSettings } from "./settings.ts";

/**
 * What training sees of each episode: the sum of its step rewards or the verified outcome, less kl_coef Σ_t KL_t where the
 * divergence is charged in the reward.
 * @param reference log π_ref of every token of all traces; null without a reference.
 */
export function seenRewards(
  episodes: readonly Episode[],
  reference: Float64Array | null,
  settings: TrainingSettings,
): Float64Array {
  const rewards = Float64Array.from(episodes, (episode) =>
    settings.reward === "true" ? episode.trueReward : episode.reward,
  );
  if (settings.kl_in === "reward" && settings.kl_coef > 0 && reference !== null) {
    charge(rewards, episodes, reference, settings);
  }
  return rewards;
}

/** Takes the divergence from the reference off the rewards: R − kl_coef Σ_t KL_t. */
function charge(
  rewards: Float64Array,
  episodes: readonly Episode[],
  reference: Float64Array,
  { kl_coef, kl_kind }: TrainingSettings,
): void {
  let at = 0;
  episodes.forEach(({ trace }, i) => {
    for (let k = 0; k < trace.mask.length; k++, at++) {
      if (trace.mask[k] === 1) rewards[i] -= kl_coef * klValue(kl_kind, trace.logprob[k] - reference[at]);
    }
  });
}

import { spearman } from "../operators/ranking.ts";
import type { Batch } from "../rollouts/index.ts";
import type { CreditLevel } from "./levels.ts";
import { align, type Series, seriesOfColumn } from "./series.ts";

/**
 * Rank correlation of each series with the true advantage, where a file holds it (`turns.true_advantage`,
 * `tokens.true_advantage`: simulated tasks whose values are known exactly); `null` where there is none.
 */
export function truthCorrelations(batch: Batch, series: readonly Series[], level: CreditLevel): (number | null)[] {
  const truth = seriesOfColumn(batch, `${level}s.true_advantage`);
  if (truth === null) return series.map(() => null);
  const [exact, ...given] = align(batch, [truth, ...series], level).values;
  return given.map((values) => spearman(exact, values));
}

/** Two rollouts of one group, and the row in each on which outcome and truth contradict each other most. */
export interface TellingPair {
  success: number;
  failure: number;
  /** The row of the success that lowered its chance most, counted within the rollout. */
  lowered: number;
  /** The row of the failure that raised its chance most, its last one aside. */
  raised: number;
}

interface Extreme {
  rollout: number;
  row: number;
  value: number;
}

/**
 * A success and a failure of one group that say most about credit: the success holds a turn that hurt, the failure
 * one that helped. Only rollouts of `least` to `most` turns are considered; `null` when no group has such a pair.
 */
export function tellingPair(batch: Batch, least = 3, most = 5): TellingPair | null {
  const rewards = batch.numbers("rollout.reward");
  const truth = batch.numbers("turns.true_advantage");
  const offsets = batch.offsets("turn");
  const groups = batch.groups();
  let best: TellingPair | null = null;
  let contrast = 0;
  for (let g = 0; g < groups.count; g++) {
    const members = groups.members.subarray(groups.offsets[g], groups.offsets[g + 1]);
    const fit = members.filter((i) => offsets[i + 1] - offsets[i] >= least && offsets[i + 1] - offsets[i] <= most);
    const won = fit.filter((i) => rewards[i] > 0);
    const lost = fit.filter((i) => rewards[i] <= 0);
    const hurt = mostExtreme(won, offsets, 0, (row) => -truth[row]);
    const helped = mostExtreme(lost, offsets, 1, (row) => truth[row]);
    if (hurt === null || helped === null) continue;
    const sum = hurt.value + helped.value;
    if (best !== null && sum <= contrast) continue;
    contrast = sum;
    best = { success: hurt.rollout, failure: helped.rollout, lowered: hurt.row, raised: helped.row };
  }
  return best;
}

/** The row of some rollouts with the largest measure; the last `spare` rows of each do not count. */
function mostExtreme(
  rollouts: Int32Array,
  offsets: Int32Array,
  spare: number,
  measure: (row: number) => number,
): Extreme | null {
  let best: Extreme | null = null;
  for (const rollout of rollouts) {
    for (let row = offsets[rollout]; row < offsets[rollout + 1] - spare; row++) {
      const value = measure(row);
      if (best === null || value > best.value) best = { rollout, row: row - offsets[rollout], value };
    }
  }
  return best;
}

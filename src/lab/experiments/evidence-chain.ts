import type { Random } from "../random.ts";
import type { SoftmaxTable } from "../softmax-table.ts";
import type { Decision } from "./decisions.ts";

/** A search in which one action per state of evidence finds the next piece; then the answer is given. */
export interface EvidenceChain {
  /** Pieces of evidence there are. */
  pieces: number;
  /** Search turns of an episode; the answer turn comes after them. */
  searches: number;
  actions: number;
  /** Chance of the right answer, by the evidence found. */
  success: readonly number[];
  /** Log-probability of the right answer, by the evidence found. */
  logprob: readonly number[];
}

export interface Search {
  decisions: Decision[];
  /** Log-probability of the right answer after each turn; the answer turn repeats the one before it. */
  logprobs: number[];
  reward: number;
}

/**
 * One episode. Action 0 finds the next piece; with all pieces found, choices no longer matter and are not trained.
 * @param start pieces that are known at the beginning.
 */
export function search(chain: EvidenceChain, policy: SoftmaxTable, random: Random, start = 0): Search {
  const decisions: Decision[] = [];
  const logprobs: number[] = [];
  let found = start;
  for (let turn = 0; turn < chain.searches; turn++) {
    if (found === chain.pieces) decisions.push({ row: -1, action: 0 });
    else {
      const action = policy.sample(found, random);
      decisions.push({ row: found, action });
      if (action === 0) found++;
    }
    logprobs.push(chain.logprob[found]);
  }
  decisions.push({ row: -1, action: 0 });
  logprobs.push(chain.logprob[found]);
  return { decisions, logprobs, reward: random.uniform() < chain.success[found] ? 1 : 0 };
}

/** Exact chance of the right answer under a policy. */
export function successOf(chain: EvidenceChain, policy: SoftmaxTable): number {
  let found = new Float64Array(chain.pieces + 1);
  found[0] = 1;
  for (let turn = 0; turn < chain.searches; turn++) {
    const next = new Float64Array(chain.pieces + 1);
    for (let k = 0; k <= chain.pieces; k++) {
      const on = k < chain.pieces ? policy.probability(k, 0) : 0;
      next[k] += found[k] * (1 - on);
      if (on > 0) next[k + 1] += found[k] * on;
    }
    found = next;
  }
  return found.reduce((sum, p, k) => sum + p * chain.success[k], 0);
}

/** Share of groups in which every number is 0. Groups follow one another and are equally large. */
export function collapsedShare(advantage: ArrayLike<number>, groups: number): number {
  const size = advantage.length / groups;
  let collapsed = 0;
  for (let g = 0; g < groups; g++) {
    let zero = true;
    for (let k = g * size; k < (g + 1) * size; k++) zero &&= Math.abs(advantage[k]) < 1e-12;
    if (zero) collapsed++;
  }
  return collapsed / groups;
}

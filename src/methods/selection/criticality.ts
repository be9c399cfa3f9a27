import { z } from "zod";
import { functionArgs, numberList, sameLength } from "../arguments.ts";

const entropyArgs = z.object({ logprobs: numberList.min(1) });

/** Uncertainty of one sampled action (CARL, arXiv 2512.04949): minus the mean log-probability of its tokens. */
export function carlEntropy(args: z.input<typeof entropyArgs>): number {
  const { logprobs } = functionArgs(entropyArgs, args);
  return 0 - logprobs.reduce((sum, l) => sum + l, 0) / logprobs.length;
}

const selectArgs = z.object({ entropy: numberList.min(1), count: z.array(z.number().positive()) });

/** State to fork next: the index of the largest entropy / count; values within 1e-12 of it go to the first. */
export function carlSelect(args: z.input<typeof selectArgs>): number {
  const { entropy, count } = functionArgs(selectArgs, args);
  sameLength({ entropy, count });
  const score = entropy.map((h, k) => h / count[k]);
  const most = Math.max(...score);
  return score.findIndex((x) => x >= most - 1e-12);
}

const gramArgs = z.object({ words: z.array(z.string()), grams: z.array(z.string()) });

const shortestPhrase = 3;
const longestPhrase = 5;

/**
 * 1 for every word that a strategic phrase covers (HICRA, arXiv 2509.03646): all its words in a row, in lower case. A phrase
 * has 3 to 5 words, separated by blanks; others mark nothing.
 */
export function strategicGramMask(args: z.input<typeof gramArgs>): number[] {
  const { words, grams } = functionArgs(gramArgs, args);
  const lower = words.map((word) => word.toLowerCase());
  const mask = words.map(() => 0);
  const phrases = grams.map((gram) => gram.toLowerCase().trim().split(/\s+/u));
  for (const phrase of phrases) {
    if (phrase.length < shortestPhrase || phrase.length > longestPhrase) continue;
    for (let at = 0; at + phrase.length <= lower.length; at++) {
      if (phrase.every((word, k) => lower[at + k] === word)) mask.fill(1, at, at + phrase.length);
    }
  }
  return mask;
}

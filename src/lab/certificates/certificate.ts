import type { RolloutObject } from "../../rollouts/index.ts";

/** The laws, in the order of the table. */
export const lawIds = [
  "unbiased-fixed",
  "unbiased-stop",
  "zero-mean",
  "split",
  "exchangeable",
  "length-neutral",
  "shaping",
  "scale",
  "shift",
] as const;
export type LawId = (typeof lawIds)[number];

/**
 * `yes`: holds in every case that was gone through. `factor`: fails, but only by a positive factor that all credits of
 * the group (or the whole gradient) share. `no`: fails. `none`: the law has nothing to say about this method.
 */
export type Verdict = "yes" | "factor" | "no" | "none";

/** One number that the law speaks of, worked out twice. */
export interface Compared {
  what: string;
  expected: number;
  got: number;
}

/** A case in which a law fails, with all that it takes to see it again. */
export interface Counterexample {
  /** What was done, in words. */
  what: string;
  task: string;
  policy: number;
  /** Rollouts to be credited; where the law speaks of a change, those before it. */
  rollouts: readonly RolloutObject[];
  /** The rollouts after the change. */
  changed: readonly RolloutObject[] | null;
  /** Whether each group has to be a call of its own, because the method looks at the whole call. */
  callPerGroup: boolean;
  /** Titles of the two columns of `compared`. */
  titles: readonly [expected: string, got: string];
  compared: readonly Compared[];
  /** Largest distance between the two columns. */
  difference: number;
}

export interface Certificate {
  method: string;
  params: Readonly<Record<string, unknown>>;
  law: LawId;
  verdict: Verdict;
  /** Whether a yes needs columns of a critic to be exact: with a fixed wrong critic the law fails. */
  exactOnly: boolean;
  /** Why the law does not apply. */
  reason: string | null;
  /** How many groups were gone through. */
  cases: number;
  /** Largest deviation met, as a share of the largest credit (of the gradient's length for the laws of bias). */
  largest: number;
  notes: readonly string[];
  counterexample: Counterexample | null;
}

/** What a law finds out about a method; the rest of a certificate is known beforehand. */
export interface Finding {
  verdict: Verdict;
  exactOnly?: boolean;
  reason?: string;
  cases?: number;
  largest?: number;
  notes?: readonly string[];
  counterexample?: Counterexample | null;
}

export const notApplicable = (reason: string): Finding => ({ verdict: "none", reason });

/** Relative deviation that counts as rounding, and one that the small constants of normalisation can explain. */
export const rounding = 1e-7;
export const constants = 1e-3;

/** The same where rewards get smaller, and what is added to their spread does not. */
export const smallerRewards = 1e-2;

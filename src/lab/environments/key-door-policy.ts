import { type KeyDoorKnowledge, type KeyDoorTask, keyDoorVerbs, lockersOf } from "./key-door.ts";

/** What an agent may know about the parcel's place. */
export type Certainty = "none" | "side" | "exact";

/**
 * A tabular softmax policy: logits of the verbs (take, read, ask, look, open) by what the agent holds and knows, and
 * the logit by which a locker that may hold the parcel is preferred to one that cannot.
 */
export interface KeyDoorPolicy {
  verbs: Readonly<Record<"key" | "no key", Readonly<Record<Certainty, readonly number[]>>>>;
  care: number;
}

/**
 * A policy in the middle of its training: it mostly knows what helps, but wastes turns and sometimes guesses too
 * early.
 */
export const halfTrained: KeyDoorPolicy = {
  verbs: {
    "no key": {
      none: [1.0, -0.8, 0.4, -0.2, -0.9],
      side: [0.8, -0.8, -0.4, -0.3, 0.3],
      exact: [-1.2, -1.6, -1.2, -1.2, 1.8],
    },
    key: {
      none: [-0.8, 1.0, 0.2, -0.1, -0.6],
      side: [-0.9, 0.8, -0.3, -0.3, 0.4],
      exact: [-1.4, -1.0, -1.0, -0.4, 1.6],
    },
  },
  care: 4,
};

/** The same policy with every logit scaled: 0 chooses at random. */
export function scaledPolicy(policy: KeyDoorPolicy, factor: number): KeyDoorPolicy {
  const rows = ({ none, side, exact }: Readonly<Record<Certainty, readonly number[]>>) => ({
    none: none.map((x) => x * factor),
    side: side.map((x) => x * factor),
    exact: exact.map((x) => x * factor),
  });
  const { verbs, care } = policy;
  return { verbs: { "no key": rows(verbs["no key"]), key: rows(verbs.key) }, care: care * factor };
}

function softmax(logits: readonly number[]): number[] {
  const top = Math.max(...logits);
  const weights = logits.map((x) => Math.exp(x - top));
  const total = weights.reduce((sum, w) => sum + w, 0);
  return weights.map((w) => w / total);
}

function certainty(task: KeyDoorTask, possible: number): Certainty {
  const count = lockersOf(possible).length;
  if (count === 1) return "exact";
  return count === task.lockers ? "none" : "side";
}

/** Probabilities of the verbs, in the order of `keyDoorVerbs`. */
export function verbProbabilities(policy: KeyDoorPolicy, task: KeyDoorTask, known: KeyDoorKnowledge): number[] {
  const row = policy.verbs[known.key ? "key" : "no key"][certainty(task, known.possible)];
  return softmax(keyDoorVerbs.map((_, k) => row[k]));
}

/** Probabilities of locker 1, 2, … if one is opened now. */
export function lockerProbabilities(policy: KeyDoorPolicy, task: KeyDoorTask, known: KeyDoorKnowledge): number[] {
  return softmax(Array.from({ length: task.lockers }, (_, k) => ((known.possible >> k) & 1) * policy.care));
}

import {
  allLockers,
  type KeyDoorKnowledge,
  type KeyDoorTask,
  type KeyDoorVerb,
  keyDoorRules,
  keyDoorText,
  keyDoorVerbs,
  lockersOf,
} from "./key-door.ts";
import { type KeyDoorPolicy, lockerProbabilities, verbProbabilities } from "./key-door-policy.ts";
import { outcomesOf } from "./rules.ts";

/** Chance of a find under a policy, given only what the agent knows. */
export interface KeyDoorValues {
  /** V: before the next turn. */
  state(known: KeyDoorKnowledge): number;
  /** Q of a verb: after the verb is chosen, for `open` before the locker is. */
  verb(known: KeyDoorKnowledge, verb: KeyDoorVerb): number;
  /** Q of opening one locker. */
  open(known: KeyDoorKnowledge, locker: number): number;
}

/**
 * Exact values of a policy by dynamic programming over what the agent knows:
 * Q(s, a) = Σ over parcels k that are possible and outcomes o of P(k | s) P(o | s, k, a) [r + V(s')],
 * V(s) = Σ_a π(a | s) Q(s, a). The parcel is equally likely in every locker not yet ruled out, because neither the
 * porter's coming and going nor the agent's choices depend on where it lies.
 */
export function keyDoorValues(task: KeyDoorTask, policy: KeyDoorPolicy): KeyDoorValues {
  const rules = keyDoorRules(task);
  const memo = new Map<number, number>();
  const open = (known: KeyDoorKnowledge, locker: number) => {
    const possible = lockersOf(known.possible);
    return possible.includes(locker) ? 1 / possible.length : 0;
  };
  const verb = (known: KeyDoorKnowledge, name: KeyDoorVerb): number => {
    if (name === "open") {
      const chances = lockerProbabilities(policy, task, known);
      return chances.reduce((sum, chance, k) => sum + chance * open(known, k + 1), 0);
    }
    const parcels = lockersOf(known.possible);
    let total = 0;
    for (const parcel of parcels) {
      const hidden = { ...known, parcel, opened: 0, done: false };
      for (const { probability, state: next, result } of outcomesOf(rules, hidden, keyDoorText(name))) {
        total += probability * (result.done ? result.reward : state(next));
      }
    }
    return total / parcels.length;
  };
  const state = (known: KeyDoorKnowledge): number => {
    if (known.turn >= task.turns) return 0;
    const key = (known.turn * 2 + (known.key ? 1 : 0)) * (allLockers(task) + 1) + known.possible;
    let value = memo.get(key);
    if (value === undefined) {
      const chances = verbProbabilities(policy, task, known);
      value = keyDoorVerbs.reduce((sum, name, k) => sum + chances[k] * verb(known, name), 0);
      memo.set(key, value);
    }
    return value;
  };
  return { state, verb, open };
}

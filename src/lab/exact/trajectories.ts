import type { SoftmaxTable } from "../softmax-table.ts";
import type { ExactModel } from "./model.ts";

/** One way that an episode can go, from its start to its end. */
export interface Trajectory {
  /** How likely it is under the policy and the environment's chance. */
  probability: number;
  /** The policy's part of it: Π π(a_t | row_t). */
  policyProbability: number;
  /** State before each action and, at the end, the last one: length + 1. */
  states: readonly number[];
  /** Row of the policy (what the agent saw) before each action. */
  rows: readonly number[];
  /** Column taken at each step. */
  actions: readonly number[];
  /** Reward of each step. */
  rewards: readonly number[];
  observations: readonly string[];
  /** Σ rewards: what training sees. */
  reward: number;
  /** What the verifier says at the end: what is wanted. */
  verified: number;
}

/**
 * All trajectories of a policy, one after another, by plain enumeration without any memo: as simple as can be, because other
 * results are checked against it. Their probabilities sum to 1. Those of probability zero are left out.
 */
export function* trajectories(model: ExactModel, policy: SoftmaxTable): Generator<Trajectory> {
  for (const { probability, state } of model.starts) {
    if (probability > 0) yield* from(model, policy, begin(probability, state));
  }
}

interface Prefix {
  probability: number;
  policyProbability: number;
  states: number[];
  rows: number[];
  actions: number[];
  rewards: number[];
  observations: string[];
}

const begin = (probability: number, state: number): Prefix => ({
  probability,
  policyProbability: 1,
  states: [state],
  rows: [],
  actions: [],
  rewards: [],
  observations: [],
});

function* from(model: ExactModel, policy: SoftmaxTable, prefix: Prefix): Generator<Trajectory> {
  const state = prefix.states[prefix.states.length - 1];
  const row = model.rowOf[state];
  if (row < 0) {
    const reward = prefix.rewards.reduce((sum, r) => sum + r, 0);
    yield { ...prefix, reward, verified: model.verified[state] };
    return;
  }
  for (let o = model.options[state]; o < model.options[state + 1]; o++) {
    const action = model.actionOf[o];
    const taken = policy.probability(row, action);
    for (let k = model.outcomes[o]; k < model.outcomes[o + 1]; k++) {
      const probability = prefix.probability * taken * model.probability[k];
      if (probability === 0) continue;
      yield* from(model, policy, {
        probability,
        policyProbability: prefix.policyProbability * taken,
        states: [...prefix.states, model.next[k]],
        rows: [...prefix.rows, row],
        actions: [...prefix.actions, action],
        rewards: [...prefix.rewards, model.reward[k]],
        observations: [...prefix.observations, model.observation[k]],
      });
    }
  }
}

import type { ExactModel } from "../exact/model.ts";
import { type ExactValues, exactValues } from "../exact/values.ts";
import { Random } from "../random.ts";
import { SoftmaxTable } from "../softmax-table.ts";

/** Spread of the errors of models that stand for learned ones, in units of a reward from 0 to 1. */
export const modelError = 0.1;
/** Share of the verdicts of a judge that are turned around. */
export const judgeError = 0.1;
/** Continuations that are played from each state for Monte Carlo values. */
export const continuations = 8;
/** Temperature of the implicit reward model: log π_prm − log π_ref = A / β + constant. */
export const implicitBeta = 0.05;

/**
 * Stand-ins for learned models: the exact values of the present policy plus errors that stay the same for the same input, as
 * those of a trained network would: one normal error of spread `modelError` per row, per state, and per row and action.
 */
export interface Oracles {
  values: ExactValues;
  /** Values of what is wanted, by which judges judge; the same where reward and verdict are one. */
  wanted: ExactValues;
  /** V of a row, with its error. */
  critic(row: number): number;
  /** Q of a row and action, with its error. */
  actionCritic(row: number, action: number): number;
  /** Value of a finished turn: V of the row that it led to, with that row's error, 0 at the end. */
  after(outcome: number): number;
  /** V of a state, hidden facts included, with its error: what a likelihood of the right answer would tell. */
  belief(state: number): number;
  reference: SoftmaxTable;
}

function normal(random: Random): number {
  return Math.sqrt(-2 * Math.log(1 - random.uniform())) * Math.cos(2 * Math.PI * random.uniform());
}

/** Errors of the models of one seed. */
export class ModelErrors {
  readonly rows: Float64Array;
  readonly states: Float64Array;
  readonly actions: Float64Array;
  /** +1 where a judge is right about an action, −1 where it is wrong. */
  readonly judge: Int8Array;

  constructor(model: ExactModel, seed: number) {
    const random = new Random(seed);
    const errors = (length: number) => Float64Array.from({ length }, () => modelError * normal(random));
    const pairs = model.rows.length * model.actions.length;
    this.rows = errors(model.rows.length);
    this.states = errors(model.states);
    this.actions = errors(pairs);
    this.judge = Int8Array.from({ length: pairs }, () => (random.uniform() < judgeError ? -1 : 1));
  }
}

/** The models as they would be if they kept up with the policy. */
export function oraclesOf(model: ExactModel, policy: SoftmaxTable, errors: ModelErrors, gameable: boolean): Oracles {
  const values = exactValues(model, policy);
  const columns = model.actions.length;
  const critic = (row: number) => values.rowValues[row] + errors.rows[row];
  return {
    values,
    wanted: gameable ? exactValues(model, policy, "verified") : values,
    critic,
    actionCritic: (row, action) =>
      values.rowActionValues[row * columns + action] + errors.actions[row * columns + action],
    after: (outcome) => {
      const row = model.rowOf[model.next[outcome]];
      return row < 0 ? 0 : critic(row);
    },
    belief: (state) => (model.rowOf[state] < 0 ? 0 : values.stateValues[state] + errors.states[state]),
    reference: referenceOf(policy),
  };
}

/** The reference policy: uniform over the allowed actions. */
function referenceOf(policy: SoftmaxTable): SoftmaxTable {
  const flat = policy.logits.map((logit) => (logit === Number.NEGATIVE_INFINITY ? logit : 0));
  return new SoftmaxTable(policy.rows, policy.actions, flat);
}

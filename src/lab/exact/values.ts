import { SoftmaxTable } from "../softmax-table.ts";
import { allowedActions, type ExactModel, tableOf } from "./model.ts";

/** Which reward is counted: the one of the steps, which training sees, or the verdict at the end. */
export type Objective = "reward" | "verified";

/** Values of a policy, exact to rounding. */
export interface ExactValues {
  /** Expected sum of rewards of an episode, J. */
  value: number;
  /** V(s), by state. */
  stateValues: Float64Array;
  /** Q(s, a), by option. */
  optionValues: Float64Array;
  /** Probability of passing through a state. */
  occupancy: Float64Array;
  /** Expected visits of each row: Σ of the occupancy of its states. */
  visits: Float64Array;
  /** V of what the agent sees: E[future reward | row]; 0 for rows that are never seen. */
  rowValues: Float64Array;
  /** Q of what the agent sees, E[future reward | row, action], [row · actions + column]; 0 where nothing is known. */
  rowActionValues: Float64Array;
}

/**
 * Values of a tabular policy by dynamic programming over the states of a model:
 * Q(s, a) = Σ P(o | s, a) [r_o + V(s_o)], V(s) = Σ_a π(a | row s) Q(s, a), and forwards the occupancy d(s).
 * What an agent can know is the mean over the states that look alike to it, weighted by d: Q(row, a) = Σ d(s) Q(s, a) / Σ d(s).
 */
export function exactValues(model: ExactModel, policy: SoftmaxTable, objective: Objective = "reward"): ExactValues {
  const stateValues = new Float64Array(model.states);
  const optionValues = new Float64Array(model.actionOf.length);
  backward(model, policy, objective, stateValues, optionValues);
  const occupancy = forward(model, policy);
  const value = model.starts.reduce((sum, { probability, state }) => sum + probability * stateValues[state], 0);
  return { value, stateValues, optionValues, occupancy, ...seen(model, occupancy, stateValues, optionValues) };
}

/** Expected reward of a policy alone. */
export function exactValue(model: ExactModel, policy: SoftmaxTable, objective: Objective = "reward"): number {
  const stateValues = new Float64Array(model.states);
  backward(model, policy, objective, stateValues, new Float64Array(model.actionOf.length));
  return model.starts.reduce((sum, { probability, state }) => sum + probability * stateValues[state], 0);
}

/** Fills in Q of an option and gives it back. */
function optionValue(model: ExactModel, objective: Objective, option: number, values: Float64Array): number {
  let q = 0;
  for (let k = model.outcomes[option]; k < model.outcomes[option + 1]; k++) {
    const gained = objective === "reward" ? model.reward[k] : 0;
    q += model.probability[k] * (gained + values[model.next[k]]);
  }
  return q;
}

function backward(
  model: ExactModel,
  policy: SoftmaxTable,
  objective: Objective,
  values: Float64Array,
  optionValues: Float64Array,
): void {
  for (let s = 0; s < model.states; s++) {
    const row = model.rowOf[s];
    if (row < 0) {
      values[s] = objective === "verified" ? model.verified[s] : 0;
      continue;
    }
    const p = policy.probabilities(row);
    for (let o = model.options[s]; o < model.options[s + 1]; o++) {
      optionValues[o] = optionValue(model, objective, o, values);
      values[s] += p[model.actionOf[o]] * optionValues[o];
    }
  }
}

function forward(model: ExactModel, policy: SoftmaxTable): Float64Array {
  const occupancy = new Float64Array(model.states);
  for (const { probability, state } of model.starts) occupancy[state] += probability;
  for (let s = model.states - 1; s >= 0; s--) {
    const row = model.rowOf[s];
    if (row < 0 || occupancy[s] === 0) continue;
    const p = policy.probabilities(row);
    for (let o = model.options[s]; o < model.options[s + 1]; o++) {
      const flow = occupancy[s] * p[model.actionOf[o]];
      for (let k = model.outcomes[o]; k < model.outcomes[o + 1]; k++) {
        occupancy[model.next[k]] += flow * model.probability[k];
      }
    }
  }
  return occupancy;
}

function seen(model: ExactModel, occupancy: Float64Array, stateValues: Float64Array, optionValues: Float64Array) {
  const columns = model.actions.length;
  const visits = new Float64Array(model.rows.length);
  const rowValues = new Float64Array(model.rows.length);
  const rowActionValues = new Float64Array(model.rows.length * columns);
  for (let s = 0; s < model.states; s++) {
    const row = model.rowOf[s];
    if (row < 0) continue;
    visits[row] += occupancy[s];
    rowValues[row] += occupancy[s] * stateValues[s];
    for (let o = model.options[s]; o < model.options[s + 1]; o++) {
      rowActionValues[row * columns + model.actionOf[o]] += occupancy[s] * optionValues[o];
    }
  }
  for (let row = 0; row < visits.length; row++) {
    if (visits[row] === 0) continue;
    rowValues[row] /= visits[row];
    for (let a = 0; a < columns; a++) rowActionValues[row * columns + a] /= visits[row];
  }
  return { visits, rowValues, rowActionValues };
}

/** A(row, action) = Q − V of what the agent sees; 0 for actions that are not allowed there. */
export function advantageOf(values: ExactValues, columns: number, row: number, action: number): number {
  return values.rowActionValues[row * columns + action] - values.rowValues[row];
}

/** Share of uniform play mixed into the policy that is improved, so that every row has values. */
const explored = 1e-3;

/**
 * The best action of every row, and the expected reward of always taking it, by policy iteration: each round takes
 * argmax_a Q(row, a) of the policy before, with a little uniform play mixed in, until nothing changes. It is the optimum
 * where rows show all that matters about the state; elsewhere a policy that no single change of a row improves.
 */
export function optimum(model: ExactModel, objective: Objective = "reward"): { value: number; best: Int32Array } {
  const columns = model.actions.length;
  const allowed = allowedActions(model);
  let best = new Int32Array(model.rows.length).fill(-1);
  let policy = tableOf(model);
  for (let round = 0; round <= model.rows.length; round++) {
    const { rowActionValues } = exactValues(model, policy, objective);
    const next = best.map((before, row) => {
      let top = before;
      for (let a = 0; a < columns; a++) {
        if (allowed[row * columns + a] === 0) continue;
        const gain = top < 0 ? 1 : rowActionValues[row * columns + a] - rowActionValues[row * columns + top];
        if (gain > 1e-12) top = a;
      }
      return top;
    });
    if (next.every((a, row) => a === best[row])) break;
    best = next;
    policy = choosing(model, allowed, best, explored);
  }
  return { value: exactValue(model, choosing(model, allowed, best, 0), objective), best };
}

/** The policy that takes one action per row, but for a share of uniform play. */
function choosing(model: ExactModel, allowed: Uint8Array, best: Int32Array, share: number): SoftmaxTable {
  const columns = model.actions.length;
  const logits = Float64Array.from(allowed, (mark, k) => {
    if (mark === 0) return Number.NEGATIVE_INFINITY;
    const row = Math.floor(k / columns);
    let open = 0;
    for (let a = 0; a < columns; a++) open += allowed[row * columns + a];
    return Math.log(share / open + (k % columns === best[row] ? 1 - share : 0));
  });
  return new SoftmaxTable(model.rows.length, columns, logits);
}

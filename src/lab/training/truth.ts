import { InputError } from "../../rollouts/index.ts";
import { type Environment, isExact } from "../environments/environment.ts";
import { type ExactModel, exactModel, tableOf } from "../exact/model.ts";
import { advantageOf, type ExactValues, exactValues, optimum } from "../exact/values.ts";
import type { Policy, Recorded } from "../policies/policy.ts";
import { SoftmaxTable } from "../softmax-table.ts";
import { choosesActions, type Episode } from "./episodes.ts";

/** Environments with more states are not enumerated: it would take longer than training. */
const mostStates = 4000;
/** Pairs of view and action up to which the truth is worked out at every update, beyond only for evaluations. */
const mostPairs = 20_000;

/** Exact values of a task, worked out for the policy as it is. */
export class Truth {
  readonly model: ExactModel;
  /** Expected true reward of the best policy. */
  readonly best: number;
  readonly #rows: ReadonlyMap<string, number>;

  constructor(model: ExactModel) {
    this.model = model;
    this.best = optimum(model, "verified").value;
    this.#rows = new Map(model.rows.map(({ view, agent }, row) => [`${agent}\n${view}`, row]));
  }

  /** Whether the truth is small enough to be worked out at every update. */
  get isQuick(): boolean {
    return this.model.rows.length * this.model.actions.length <= mostPairs;
  }

  /** The policy as a table over the rows of the model. */
  table(policy: Policy): SoftmaxTable {
    const { model } = this;
    const allowed = allowedOf(model);
    const traces = model.rows.map(({ view }, row) => rowTrace(view, allowed[row]));
    const { logprob } = policy.evaluate(traces);
    const logits = new Float64Array(model.rows.length * model.actions.length).fill(Number.NEGATIVE_INFINITY);
    let at = 0;
    traces.forEach(({ tokens }, row) => {
      for (const action of tokens) logits[row * model.actions.length + action] = logprob[at++];
    });
    return new SoftmaxTable(model.rows.length, model.actions.length, logits);
  }

  values(policy: Policy): ExactValues {
    return exactValues(this.model, this.table(policy), "verified");
  }

  /** True advantage of every token that was chosen: Q − V of what the agent knew; one number per token of all traces. */
  advantages(values: ExactValues, episodes: readonly Episode[]): Float64Array {
    const columns = this.model.actions.length;
    const out = new Float64Array(episodes.reduce((sum, { trace }) => sum + trace.tokens.length, 0));
    let at = 0;
    for (const { turns, trace } of episodes) {
      let k = 0;
      for (const { agent, end } of turns) {
        for (; k < end; k++, at++) {
          const row = this.#rows.get(`${agent}\n${trace.views[k]}`);
          if (row !== undefined) out[at] = advantageOf(values, columns, row, trace.tokens[k]);
        }
      }
    }
    return out;
  }
}

const allowedByModel = new WeakMap<ExactModel, Uint8Array[]>();

/** Marks of the allowed actions of every row. */
function allowedOf(model: ExactModel): Uint8Array[] {
  const known = allowedByModel.get(model);
  if (known !== undefined) return known;
  const { logits } = tableOf(model);
  const n = model.actions.length;
  const made = model.rows.map((_, row) =>
    Uint8Array.from({ length: n }, (_, a) => (logits[row * n + a] === 0 ? 1 : 0)),
  );
  allowedByModel.set(model, made);
  return made;
}

/** A trace that takes every allowed action in one view: evaluating it gives the whole distribution. */
function rowTrace(view: string, allowed: Uint8Array): Recorded {
  const tokens = Int32Array.from(allowed.keys()).filter((a) => allowed[a] === 1);
  const mask = allowed.includes(0) ? allowed : null;
  return {
    prompt: new Int32Array(0),
    tokens,
    mask: new Uint8Array(tokens.length).fill(1),
    views: Array.from(tokens, () => view),
    allowed: Array.from(tokens, () => mask),
  };
}

/** The truth about a task, where it can be worked out: an exact environment of turns, small enough, and no tokens. */
export function truthOf(environment: Environment, policy: Policy): Truth | null {
  if (!choosesActions(policy) || !isExact(environment)) return null;
  try {
    return new Truth(exactModel(environment, mostStates));
  } catch (error) {
    if (error instanceof InputError) return null; // too large, or episodes that can run in circles
    throw error;
  }
}

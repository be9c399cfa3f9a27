import { InputError } from "../../rollouts/index.ts";
import type { ExactEnvironment } from "../environments/environment.ts";
import { SoftmaxTable } from "../softmax-table.ts";

/** What an agent can tell apart: a row of a tabular policy. */
export interface ModelRow {
  agent: string;
  view: string;
}

/**
 * An exact environment laid out flat: every state that can be reached, what may be done there, and what follows. A *state*
 * is a snapshot, a *row* is what the agent sees of it, an *option* is an action in a state, an *outcome* is one thing that
 * can follow an option. Options of state s are `options[s] .. options[s + 1]`, outcomes of option o `outcomes[o] ..
 * outcomes[o + 1]`. States are numbered so that whatever follows a state has a smaller number.
 */
export interface ExactModel {
  readonly environment: ExactEnvironment;
  /** Columns of a policy: all actions of the environment. */
  readonly actions: readonly string[];
  readonly rows: readonly ModelRow[];
  readonly states: number;
  /** Row of each state, −1 where the episode is over. */
  readonly rowOf: Int32Array;
  /** What the verifier says where the episode is over; 0 elsewhere. */
  readonly verified: Float64Array;
  /** First option of each state; length states + 1. */
  readonly options: Int32Array;
  /** Column of each option. */
  readonly actionOf: Int32Array;
  /** First outcome of each option; length options + 1. */
  readonly outcomes: Int32Array;
  readonly probability: Float64Array;
  /** State that an outcome leads to. */
  readonly next: Int32Array;
  readonly reward: Float64Array;
  readonly observation: readonly string[];
  readonly starts: readonly { probability: number; state: number }[];
  readonly snapshots: readonly unknown[];
}

interface Built {
  row: number;
  verified: number;
  options: { action: number; outcomes: { probability: number; next: number; reward: number; observation: string }[] }[];
  snapshot: unknown;
}

/**
 * Enumerates an environment from all of its starts.
 * @param most states after which it is called too large. Default 200000.
 * @throws InputError when there are more states, or when an episode can come back to where it was.
 */
export function exactModel(environment: ExactEnvironment, most = 200_000): ExactModel {
  const actions = environment.allActions();
  const column = new Map(actions.map((action, k) => [action, k]));
  const rows: ModelRow[] = [];
  const rowNumbers = new Map<string, number>();
  /** State number by snapshot; −1 while its successors are being looked at. */
  const numbers = new Map<string, number>();
  const built: Built[] = [];

  const rowHere = (): number => {
    const row = { agent: environment.agent(), view: environment.view() };
    const key = JSON.stringify([row.agent, row.view]);
    let number = rowNumbers.get(key);
    if (number === undefined) {
      number = rows.push(row) - 1;
      rowNumbers.set(key, number);
    }
    return number;
  };

  const visit = (snapshot: unknown, done: boolean): number => {
    const key = JSON.stringify([done, snapshot]);
    const known = numbers.get(key);
    if (known === -1) throw new InputError("episodes of this environment can run in circles", at(environment));
    if (known !== undefined) return known;
    if (numbers.size >= most) {
      throw new InputError("the environment is too large to enumerate", {
        ...at(environment),
        expected: `at most ${most} states`,
      });
    }
    numbers.set(key, -1);
    environment.restore(snapshot);
    const state: Built = { row: -1, verified: 0, options: [], snapshot };
    if (done) state.verified = environment.verify();
    else {
      state.row = rowHere();
      const found = environment.actions().map((action) => ({ action, outcomes: environment.outcomes(action) }));
      state.options = found.map(({ action, outcomes }) => ({
        action: column.get(action) as number,
        outcomes: outcomes.map(({ probability, snapshot: after, result }) => {
          const { observation, reward } = result;
          return { probability, next: visit(after, result.done), reward, observation };
        }),
      }));
    }
    const number = built.push(state) - 1;
    numbers.set(key, number);
    return number;
  };

  const starts = environment
    .starts()
    .map(({ probability, snapshot }) => ({ probability, state: visit(snapshot, false) }));
  return flat(environment, actions, rows, built, starts);
}

const at = (environment: ExactEnvironment) => ({ hint: `environment ${environment.facts.id}` });

function flat(
  environment: ExactEnvironment,
  actions: readonly string[],
  rows: readonly ModelRow[],
  built: readonly Built[],
  starts: ExactModel["starts"],
): ExactModel {
  const all = built.flatMap(({ options }) => options);
  const ends = all.flatMap(({ outcomes }) => outcomes);
  const firsts = (counts: readonly number[]) => {
    const offsets = new Int32Array(counts.length + 1);
    counts.forEach((count, k) => {
      offsets[k + 1] = offsets[k] + count;
    });
    return offsets;
  };
  return {
    environment,
    actions,
    rows,
    states: built.length,
    rowOf: Int32Array.from(built, ({ row }) => row),
    verified: Float64Array.from(built, ({ verified }) => verified),
    options: firsts(built.map(({ options }) => options.length)),
    actionOf: Int32Array.from(all, ({ action }) => action),
    outcomes: firsts(all.map(({ outcomes }) => outcomes.length)),
    probability: Float64Array.from(ends, ({ probability }) => probability),
    next: Int32Array.from(ends, ({ next }) => next),
    reward: Float64Array.from(ends, ({ reward }) => reward),
    observation: ends.map(({ observation }) => observation),
    starts,
    snapshots: built.map(({ snapshot }) => snapshot),
  };
}

/** Whether an action may be taken where the agent sees this, [row · actions + column]. */
export function allowedActions(model: ExactModel): Uint8Array {
  const { actions, rows, states, rowOf, options, actionOf } = model;
  const allowed = new Uint8Array(rows.length * actions.length);
  for (let s = 0; s < states; s++) {
    for (let o = options[s]; o < options[s + 1]; o++) allowed[rowOf[s] * actions.length + actionOf[o]] = 1;
  }
  return allowed;
}

/**
 * A tabular policy of a model: a row per view, a column per action, logit −∞ where an action may not be taken.
 * @param logit start of the other logits; 0 (uniform over what is allowed) when left out.
 */
export function tableOf(model: ExactModel, logit: (row: ModelRow, action: string) => number = () => 0): SoftmaxTable {
  const { actions, rows } = model;
  const allowed = allowedActions(model);
  const logits = Float64Array.from(allowed, (mark, k) => {
    if (mark === 0) return Number.NEGATIVE_INFINITY;
    return logit(rows[Math.floor(k / actions.length)], actions[k % actions.length]);
  });
  return new SoftmaxTable(rows.length, actions.length, logits);
}

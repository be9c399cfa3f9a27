import type { Policy } from "../policies/policy.ts";
import type { Random } from "../random.ts";
import { choosesActions, type Episode, type Stage } from "./episodes.ts";
import type { Extras } from "./record.ts";
import { continuations, replayed } from "./samples.ts";
import type { TrainingSettings } from "./settings.ts";
import type { Truth } from "./truth.ts";
import type { ValueTable } from "./values.ts";

/** What extra columns are made from. */
export interface SupplyContext {
  stage: Stage;
  policy: Policy;
  reference: Policy | null;
  values: ValueTable;
  truth: Truth | null;
  random: Random;
  settings: TrainingSettings;
  /** Paths that the methods of the arm may read. */
  wanted: ReadonlySet<string>;
}

/** Extra columns, and the turns that were played for them. */
export interface Supply {
  extras: Required<Extras>;
  /** log π_ref of every token of all traces; null without a reference. */
  reference: Float64Array | null;
  turns: number;
}

type Cells = (number | string | null)[];
type Writable = {
  turns: Record<string, readonly Cells[]>;
  steps: Record<string, readonly Cells[]>;
  tokens: Record<string, ArrayLike<number>>;
  signals: Record<string, ArrayLike<number>>;
};

/** Numbers of rows (turns, or single actions) on the tokens of their actions, one per token of all traces. */
function onTokens(
  episodes: readonly Episode[],
  value: (episode: number, row: number, token: number) => number,
  rowsOf: (episode: Episode) => readonly { end: number }[] = ({ turns }) => turns,
) {
  const out = new Float64Array(episodes.reduce((sum, { trace }) => sum + trace.tokens.length, 0));
  let at = 0;
  episodes.forEach((episode, i) => {
    const { trace } = episode;
    let k = 0;
    rowsOf(episode).forEach(({ end }, row) => {
      for (; k < end; k++, at++) if (trace.mask[k] === 1) out[at] = value(i, row, k);
    });
  });
  return out;
}

/** A number per turn from the tokens that its action is made of. */
function perTurn(episodes: readonly Episode[], of: (episode: Episode, from: number, to: number) => number): number[][] {
  return episodes.map((episode) => {
    let from = 0;
    return episode.turns.map(({ end }) => {
      const value = of(episode, from, end);
      from = end;
      return value;
    });
  });
}

function sum(values: ArrayLike<number>, from: number, to: number): number {
  let total = 0;
  for (let k = from; k < to; k++) total += values[k];
  return total;
}

/** Columns of values: of the value head where the policy has one, else of the learned table. */
function valueColumns(context: SupplyContext, episodes: readonly Episode[], out: Writable): void {
  const { wanted, policy, values } = context;
  const names = ["turns.value", "tokens.value", "turns.potential", "signals.value_0"];
  if (!names.some((name) => wanted.has(name))) return;
  const before = policy.hasValue
    ? perTurn(episodes, ({ trace }, from, to) => trace.value?.[firstChosen(trace.mask, from, to)] ?? 0)
    : episodes.map(({ turns }) => turns.map(({ view }) => values.value(view)));
  for (const name of ["value", "potential"]) if (wanted.has(`turns.${name}`)) out.turns[name] = before;
  if (wanted.has("signals.value_0")) out.signals.value_0 = before.map((row) => row[0]);
  if (!policy.hasValue && wanted.has("tokens.value")) {
    out.tokens.value = onTokens(episodes, (i, _, k) => values.value(episodes[i].trace.views[k]));
  }
}

function firstChosen(mask: Uint8Array, from: number, to: number): number {
  for (let k = from; k < to; k++) if (mask[k] === 1) return k;
  return from;
}

/** Names of the places in the tree of what was done and seen; equal where the whole way is. */
function nodes(episodes: readonly Episode[]): string[][] {
  return episodes.map(({ turns, start, prompt }) => {
    let way = `${start.task} ${prompt}`;
    return turns.map(({ action, observation }) => {
      way += `\n${action}\n${observation}`;
      return way;
    });
  });
}

/** Columns about the policy's own choices. */
function choiceColumns({ wanted, policy, stage }: SupplyContext, episodes: readonly Episode[], out: Writable): void {
  if (wanted.has("turns.logprob")) out.turns.logprob = perTurn(episodes, ({ trace }, a, b) => sum(trace.logprob, a, b));
  if (wanted.has("turns.entropy")) out.turns.entropy = perTurn(episodes, ({ trace }, a, b) => sum(trace.entropy, a, b));
  if (wanted.has("turns.node")) out.turns.node = nodes(episodes);
  if (wanted.has("tokens.old_logprob")) {
    out.tokens.old_logprob = onTokens(episodes, (i, _, k) => episodes[i].trace.logprob[k]);
  }
  if (wanted.has("tokens.sum_pi_squared") && choosesActions(policy)) {
    out.tokens.sum_pi_squared = squares(policy, episodes, stage.first.allActions().length);
  }
}

/** Σ_a π(a)² where each token was chosen, for policies that choose among whole actions. */
function squares(policy: Policy, episodes: readonly Episode[], actions: number): Float64Array {
  const known = new Map<string, number>();
  return onTokens(episodes, (i, _, k) => {
    const { trace } = episodes[i];
    const allowed = trace.allowed[k];
    const key = `${trace.views[k]}\n${allowed ?? ""}`;
    const before = known.get(key);
    if (before !== undefined) return before;
    const tokens = Int32Array.from({ length: actions }, (_, a) => a).filter(
      (a) => allowed === null || allowed[a] === 1,
    );
    const { logprob } = policy.evaluate([
      {
        prompt: trace.prompt,
        tokens,
        mask: new Uint8Array(tokens.length).fill(1),
        views: Array.from(tokens, () => trace.views[k]),
        allowed: Array.from(tokens, () => allowed),
      },
    ]);
    const total = logprob.reduce((s, l) => s + Math.exp(2 * l), 0);
    known.set(key, total);
    return total;
  });
}

/** Belief in the right answer after each turn; after the last one nothing more is asked, so it keeps the number before. */
function beliefColumns({ wanted }: SupplyContext, episodes: readonly Episode[], out: Writable): void {
  if (!wanted.has("turns.gt_logprob") || episodes.some(({ beliefs }) => beliefs.length === 0)) return;
  out.turns.gt_logprob = episodes.map(({ beliefs, turns }) =>
    turns.map((_, t) => beliefs[Math.min(t + 1, beliefs.length - 1)]),
  );
  out.signals.gt_logprob_0 = episodes.map(({ beliefs }) => beliefs[0]);
}

/** Columns that cost more episodes. */
function sampledColumns(context: SupplyContext, episodes: readonly Episode[], out: Writable): number {
  const { wanted, stage, policy, reference, random, settings } = context;
  let extra = 0;
  const again = (by: Policy, temperature: number) => {
    const { rewards, turns } = replayed(stage, by, episodes, temperature);
    extra += turns;
    return rewards;
  };
  if (wanted.has("signals.greedy_reward")) out.signals.greedy_reward = again(policy, 0);
  if (wanted.has("signals.ref_reward_*") && reference !== null) out.signals.ref_reward_1 = again(reference, 1);
  const names = ["steps.mc_value", "steps.mc_correct", "signals.mc_value_0", "tokens.mc_value"];
  if (!choosesActions(policy) || !names.some((name) => wanted.has(name))) return extra;
  const { after, before, right, turns } = continuations(stage, policy, episodes, settings.mc_samples, random);
  out.steps.mc_value = after;
  out.steps.mc_correct = right;
  out.steps.mc_total = right.map((row) => row.map(() => settings.mc_samples));
  out.signals.mc_value_0 = before;
  out.tokens.mc_value = onTokens(
    episodes,
    (i, a) => (a === 0 ? before[i] : after[i][a - 1]),
    ({ actions }) => actions,
  );
  return extra + turns;
}

/** Everything beyond what was recorded that the methods of an arm may read and that can be had here. */
export function supply(context: SupplyContext, episodes: readonly Episode[]): Supply {
  const { reference, truth, policy, wanted } = context;
  const out: Writable = { turns: {}, steps: {}, tokens: {}, signals: {} };
  valueColumns(context, episodes, out);
  choiceColumns(context, episodes, out);
  beliefColumns(context, episodes, out);
  const turns = sampledColumns(context, episodes, out);
  const traces = episodes.map(({ trace }) => trace);
  const logprob = reference === null ? null : reference.evaluate(traces).logprob;
  if (logprob !== null && wanted.has("tokens.ref_logprob")) out.tokens.ref_logprob = logprob;
  if (truth?.isQuick === true) out.tokens.true_advantage = truth.advantages(truth.values(policy), episodes);
  return { extras: out, reference: logprob, turns };
}

/** Whether episodes have to keep their states, or be asked for their answers, for what the methods read. */
export function playNeeds(wanted: ReadonlySet<string>): { snapshots: boolean; beliefs: boolean } {
  const mc = ["steps.mc_value", "steps.mc_correct", "signals.mc_value_0", "tokens.mc_value"];
  return { snapshots: mc.some((name) => wanted.has(name)), beliefs: wanted.has("turns.gt_logprob") };
}

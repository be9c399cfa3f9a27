import type { ColumnValues } from "../../rollouts/index.ts";
import type { ExactEnvironment } from "../environments/environment.ts";
import { outcomeOf, playOn } from "./episodes.ts";
import { collected, continued, type Feed, onTokens, perTurn, startOf, stateAfter } from "./feed.ts";
import { hindsightOdds } from "./hindsight-odds.ts";
import { continuations, implicitBeta } from "./oracles.ts";

/**
 * Where a signal comes from in practice: the episode and its reward, the policy's own probabilities, a trained value model, a
 * process reward model, a judge that reads single steps, likelihoods of the known answer, or more samples.
 */
export type Source = "episode" | "policy" | "critic" | "process model" | "judge" | "answer" | "samples";

export interface Signal {
  source: Source;
  make(feed: Feed): ColumnValues;
  /** Whether a task has it; every task when left out. */
  isIn?(environment: ExactEnvironment): boolean;
}

const signal = (source: Source, make: Signal["make"]): Signal => ({ source, make });

const share = (value: number) => Math.min(0.999, Math.max(0.001, value));

/** Predicted return of the whole episode after each turn: what was won, and what the critic expects. The end is known. */
function predictedReturn(feed: Feed): Float64Array {
  const { outcomes } = feed.episodes;
  const won = collected(feed);
  return perTurn(feed, (t, _, last) => won[t] + (last ? 0 : feed.oracles.after(outcomes[t])));
}

/** The same as a process reward model would score it: from 0 to 1, and unsure of the end too. */
function processScore(feed: Feed): Float64Array {
  const { rows, actions, model } = feed.episodes;
  const { actions: errors } = feed.errors;
  return predictedReturn(feed).map((value, t) => share(value + errors[rows[t] * model.actions.length + actions[t]]));
}

/** True advantage of what was done at each turn, as seen by who did it. */
export function trueAdvantage(feed: Feed, { rowActionValues, rowValues } = feed.oracles.values): Float64Array {
  const { rows, actions, model } = feed.episodes;
  return perTurn(feed, (t) => rowActionValues[rows[t] * model.actions.length + actions[t]] - rowValues[rows[t]]);
}

/** What chance added at each turn: reward + V(next row) − Q(row, action). */
export function trueLuck(feed: Feed): Float64Array {
  const { rows, actions, model, outcomes } = feed.episodes;
  const { rowActionValues, rowValues } = feed.oracles.values;
  return perTurn(feed, (t) => {
    const next = model.rowOf[model.next[outcomes[t]]];
    const q = rowActionValues[rows[t] * model.actions.length + actions[t]];
    return model.reward[outcomes[t]] + (next < 0 ? 0 : rowValues[next]) - q;
  });
}

/**
 * 1 where a judge finds a step right: where its advantage is not negative, the judge's errors aside. Judges look at what is
 * wanted, also where the reward does not.
 */
function foundRight(feed: Feed): Float64Array {
  const { rows, actions, model } = feed.episodes;
  const truth = trueAdvantage(feed, feed.oracles.wanted);
  return truth.map((a, t) => {
    const sound = feed.errors.judge[rows[t] * model.actions.length + actions[t]] > 0;
    return a >= -1e-6 === sound ? 1 : 0;
  });
}

const stepReward = (feed: Feed) => perTurn(feed, (t) => feed.episodes.model.reward[feed.episodes.outcomes[t]]);

const logprob = (feed: Feed) => {
  const { rows, actions } = feed.episodes;
  return perTurn(feed, (t) => feed.policy.logProbability(rows[t], actions[t]));
};

/** Entropy of the choice at each turn. */
const entropy = (feed: Feed) => perTurn(feed, (t) => feed.policy.entropy(feed.episodes.rows[t]));

/** log π_prm(a | row) with π_prm ∝ π_ref exp(A / β): a reward model hidden in a policy, as good as the action critic. */
function implicitLogprob(feed: Feed): Float64Array {
  const { rows, actions, model } = feed.episodes;
  const { oracles } = feed;
  const logits = new Float64Array(model.actions.length);
  return perTurn(feed, (t) => {
    const p = oracles.reference.probabilities(rows[t]);
    let top = Number.NEGATIVE_INFINITY;
    for (let a = 0; a < logits.length; a++) {
      logits[a] =
        p[a] === 0 ? Number.NEGATIVE_INFINITY : Math.log(p[a]) + oracles.actionCritic(rows[t], a) / implicitBeta;
      top = Math.max(top, logits[a]);
    }
    const total = logits.reduce((sum, logit) => sum + Math.exp(logit - top), 0);
    return Math.min(0, logits[actions[t]] - top - Math.log(total));
  });
}

/** Ids of the nodes of the tree of what was done and seen; equal within a group where the whole way is equal. */
function nodes(feed: Feed): ColumnValues {
  const { actions, outcomes, turns, count, model } = feed.episodes;
  const ids: string[] = [];
  for (let i = 0; i < count; i++) {
    let id = "";
    for (let t = turns[i]; t < turns[i + 1]; t++) {
      id += `/${model.actions[actions[t]]} ${model.observation[outcomes[t]]}`;
      ids.push(id);
    }
  }
  return ids;
}

const views = (feed: Feed) => Array.from(feed.episodes.rows, (row) => feed.episodes.model.rows[row].view);
const agents = (feed: Feed) => Array.from(feed.episodes.rows, (row) => feed.episodes.model.rows[row].agent);
const taken = (feed: Feed) => Array.from(feed.episodes.actions, (action) => feed.episodes.model.actions[action]);

/** log P(right answer) as the policy would give it now, between log 0.001 and 0. */
const beliefAfter = (feed: Feed) => {
  const won = collected(feed);
  return perTurn(feed, (t) =>
    Math.log(Math.min(1, Math.max(0.001, won[t] + feed.oracles.belief(stateAfter(feed, t))))),
  );
};
const beliefBefore = (feed: Feed) =>
  Float64Array.from({ length: feed.episodes.count }, (_, i) =>
    Math.log(Math.min(1, Math.max(0.001, feed.oracles.belief(startOf(feed, i))))),
  );

const mean = (values: readonly number[]) => values.reduce((sum, x) => sum + x, 0) / values.length;

/** Mean return of continuations played after each turn; the end is known. */
function sampledAfter(feed: Feed): Float64Array {
  const won = collected(feed);
  return perTurn(feed, (t, _, last) => won[t] + (last ? 0 : mean(continued(feed, stateAfter(feed, t), continuations))));
}

/** Mean return of continuations played before each turn, on the token of its action. */
function sampledBefore(feed: Feed): Float64Array {
  const { model, outcomes, states } = feed.episodes;
  const won = collected(feed);
  return onTokens(
    feed,
    perTurn(feed, (t) => won[t] - model.reward[outcomes[t]] + mean(continued(feed, states[t], continuations))),
  );
}

const sampledStart = (feed: Feed) =>
  Float64Array.from({ length: feed.episodes.count }, (_, i) => mean(continued(feed, startOf(feed, i), continuations)));

/** How many of the continuations after each turn end well. */
function correctAfter(feed: Feed): Float64Array {
  const won = collected(feed);
  return perTurn(
    feed,
    (t) => continued(feed, stateAfter(feed, t), continuations).filter((reward) => won[t] + reward > 0.5).length,
  );
}

/** Outcome when the turn is done by the reference policy instead, and the rest by the policy. */
function rewardWithout(feed: Feed): Float64Array {
  const { model, states, outcomes, rows } = feed.episodes;
  const won = collected(feed);
  return perTurn(feed, (t) => {
    const other = feed.oracles.reference.sample(rows[t], feed.random);
    const outcome = outcomeOf(model, states[t], other, feed.random);
    const rest = continued(feed, model.next[outcome], 1)[0];
    feed.extra.turns += 1;
    return won[t] - model.reward[outcomes[t]] + model.reward[outcome] + rest;
  });
}

/** Reward of one more episode from each start, always taking the likeliest action. */
function greedyReward(feed: Feed): Float64Array {
  const { model, count } = feed.episodes;
  const likeliest = (row: number) => {
    const p = feed.policy.probabilities(row);
    return p.reduce((best, x, a) => (x > p[best] ? a : best), 0);
  };
  return Float64Array.from({ length: count }, (_, i) => {
    const { reward, turns } = playOn(model, feed.policy, startOf(feed, i), feed.random, likeliest);
    feed.extra.turns += turns;
    return reward;
  });
}

/** Reward of one more episode from each start, by the reference policy. */
function referenceReward(feed: Feed): Float64Array {
  const { model, count } = feed.episodes;
  return Float64Array.from({ length: count }, (_, i) => {
    const { reward, turns } = playOn(model, feed.oracles.reference, startOf(feed, i), feed.random);
    feed.extra.turns += turns;
    return reward;
  });
}

/** log h(a | row, return to go). */
function hindsightLogprob(feed: Feed): Float64Array {
  const { model, rows, actions, outcomes } = feed.episodes;
  const odds = hindsightOdds(model, feed.policy, feed.oracles.values.occupancy);
  const won = collected(feed);
  return perTurn(feed, (t, i) => {
    const toGo = feed.rewards[i] - won[t] + model.reward[outcomes[t]];
    return Math.log(odds(rows[t], actions[t], toGo));
  });
}

/** The tool calls that actions stand for. */
function calls(feed: Feed): ColumnValues {
  const { environment } = feed.episodes.model;
  return { json: taken(feed).map((action) => [environment.call?.(action)].filter((call) => call != null)) };
}

const hasCalls = (environment: ExactEnvironment) =>
  environment.allActions().some((action) => environment.call?.(action) != null);

/** Calls that lead to the goal, as the environment knows them. */
function gold(feed: Feed): ColumnValues {
  const { environment, snapshots } = feed.episodes.model;
  const byStart = new Map<number, unknown>();
  const metas = Array.from({ length: feed.episodes.count }, (_, i) => {
    const start = startOf(feed, i);
    if (!byStart.has(start)) {
      environment.restore(snapshots[start]);
      byStart.set(start, environment.meta?.() ?? {});
    }
    return byStart.get(start);
  });
  return { json: metas };
}

const outcome = (feed: Feed) => feed.rewards;
const everywhere = (value: number) => (feed: Feed) => new Float64Array(feed.episodes.count).fill(value);

/** An outcome as a reward model would score it: the reward with an error drawn for each rollout. */
const modelled = (scale: (reward: number) => number) => (feed: Feed) =>
  feed.rewards.map((reward) => scale(reward + 0.2 * (feed.random.uniform() - 0.5)));

/** The columns that the benchmark can give to methods, by path. */
export const signals: Readonly<Record<string, Signal>> = {
  "rollout.reward": signal("episode", outcome),
  "rewards.accuracy": signal("episode", outcome),
  "rewards.task": signal("episode", outcome),
  "rewards.outcome": signal("episode", outcome),
  "rewards.rule": signal("episode", outcome),
  "rewards.execution": signal("episode", outcome),
  "rewards.page": signal("episode", outcome),
  "rewards.format": signal("episode", everywhere(1)),
  "rewards.trajectory": signal("process model", modelled(share)),
  "signals.rm_logit": signal(
    "process model",
    modelled((x) => Math.log(share(x) / (1 - share(x)))),
  ),
  "signals.gt_logprob_0": signal("answer", beliefBefore),
  "signals.mc_value_0": signal("samples", sampledStart),
  "signals.greedy_reward": signal("samples", greedyReward),
  "signals.ref_reward_1": signal("samples", referenceReward),
  "signals.return_prediction_0": signal("critic", (feed) =>
    Float64Array.from({ length: feed.episodes.count }, (_, i) =>
      feed.oracles.critic(feed.episodes.model.rowOf[startOf(feed, i)]),
    ),
  ),
  meta: { ...signal("answer", gold), isIn: hasCalls },
  "turns.agent": signal("episode", agents),
  "turns.state": signal("episode", views),
  "turns.action": signal("episode", taken),
  "turns.node": signal("episode", nodes),
  "turns.tool_calls": { ...signal("episode", calls), isIn: hasCalls },
  "turns.reward": signal("episode", stepReward),
  "turns.duration_s": signal("episode", (feed) => perTurn(feed, () => 1)),
  "turns.entropy": signal("policy", entropy),
  "turns.logprob": signal("policy", logprob),
  "turns.hindsight_logprob": signal("critic", hindsightLogprob),
  "turns.value": signal("critic", (feed) => perTurn(feed, (t) => feed.oracles.critic(feed.episodes.rows[t]))),
  "turns.potential": signal("critic", (feed) => perTurn(feed, (t) => feed.oracles.critic(feed.episodes.rows[t]))),
  "turns.q_value": signal("critic", (feed) =>
    perTurn(feed, (t) => feed.oracles.actionCritic(feed.episodes.rows[t], feed.episodes.actions[t])),
  ),
  "turns.return_prediction": signal("critic", predictedReturn),
  "turns.prm": signal("process model", processScore),
  "turns.gt_logprob": signal("answer", beliefAfter),
  "turns.reward_without": signal("samples", rewardWithout),
  "steps.prm": signal("process model", processScore),
  "steps.reward": signal("episode", stepReward),
  "steps.node": signal("episode", nodes),
  "steps.mc_value": signal("samples", sampledAfter),
  "steps.mc_correct": signal("samples", correctAfter),
  "steps.mc_total": signal("samples", (feed) => perTurn(feed, () => continuations)),
  "steps.critique_1": signal("judge", (feed) => foundRight(feed).map((right) => 1 - right)),
  "steps.valid": signal("judge", foundRight),
  "tokens.logprob": signal("policy", (feed) => onTokens(feed, logprob(feed))),
  "tokens.old_logprob": signal("policy", (feed) => onTokens(feed, logprob(feed))),
  "tokens.ref_logprob": signal("policy", (feed) => {
    const { rows, actions } = feed.episodes;
    return onTokens(
      feed,
      perTurn(feed, (t) => feed.oracles.reference.logProbability(rows[t], actions[t])),
    );
  }),
  "tokens.entropy": signal("policy", (feed) => onTokens(feed, entropy(feed))),
  "tokens.sum_pi_squared": signal("policy", (feed) =>
    onTokens(
      feed,
      perTurn(feed, (t) => feed.policy.probabilities(feed.episodes.rows[t]).reduce((sum, p) => sum + p * p, 0)),
    ),
  ),
  "tokens.reward": signal("episode", (feed) => onTokens(feed, stepReward(feed))),
  "tokens.value": signal("critic", (feed) =>
    onTokens(
      feed,
      perTurn(feed, (t) => feed.oracles.critic(feed.episodes.rows[t])),
    ),
  ),
  "tokens.prm_logprob": signal("process model", (feed) => onTokens(feed, implicitLogprob(feed))),
  "tokens.mc_value": signal("samples", sampledBefore),
};

/** Rewards without the part that comes with the last turn: what cards call the reward of an intermediate turn. */
export const intermediateReward = signal("episode", (feed) =>
  perTurn(feed, (t, _, last) => (last ? 0 : feed.episodes.model.reward[feed.episodes.outcomes[t]])),
);

/** The reward that comes with the last turn. */
export const finalReward = signal("episode", (feed) => {
  const { model, turns, outcomes, count } = feed.episodes;
  return Float64Array.from({ length: count }, (_, i) => model.reward[outcomes[turns[i + 1] - 1]]);
});

/** Verdicts of a judge or verifier on single turns: 1 right, 0 wrong. */
export const verdicts = signal("judge", foundRight);

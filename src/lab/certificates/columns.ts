import type { Episode, EpisodeToken, EpisodeTurn } from "./episodes.ts";

/** How a column is worked out: a cell per turn (or step), per token, or one per rollout. */
export type Feeder =
  | { level: "turn"; cell: (turn: FedTurn) => unknown }
  | { level: "token"; cell: (token: FedToken) => unknown }
  | { level: "rollout"; cell: (episode: FedEpisode) => unknown }
  | { level: "reference"; cells: (episode: FedEpisode) => unknown[] };

/** Whether columns of a learned critic hold exact values, or fixed wrong ones. */
export type Critic = "exact" | "wrong";

/** What a feeder can see. */
export interface FedEpisode {
  episode: Episode;
  critic: Critic;
  /** Everything that was paid. */
  total: number;
}
export interface FedTurn extends FedEpisode {
  turn: EpisodeTurn;
  index: number;
  /** E[total] before and after the turn, and what was paid before it. */
  before: number;
  after: number;
  paid: number;
  reward: number;
  last: boolean;
}
export interface FedToken extends FedTurn {
  token: EpisodeToken;
  /** E[total] before this token. */
  tokenBefore: number;
  /** Whether it is the last token of the rollout. */
  final: boolean;
}

/** The turns of an episode with what is known before and after each. */
export function fedTurns(episode: Episode, critic: Critic): FedTurn[] {
  const { total } = episode.trajectory;
  let paid = 0;
  return episode.turns.map((turn, index) => {
    const reward = turn.tokens.reduce((sum, token) => sum + token.reward, 0);
    const last = index === episode.turns.length - 1;
    const before = index === 0 ? episode.solved.expected("") : lastOf(episode.turns[index - 1].tokens).after;
    const after = lastOf(turn.tokens).after;
    const fed = { episode, critic, total, turn, index, before, after, paid, reward, last };
    paid += reward;
    return fed;
  });
}

export function fedTokens(turns: readonly FedTurn[]): FedToken[] {
  return turns.flatMap((fed) =>
    fed.turn.tokens.map((token, k) => ({
      ...fed,
      token,
      tokenBefore: k === 0 ? fed.before : fed.turn.tokens[k - 1].after,
      final: fed.last && k === fed.turn.tokens.length - 1,
    })),
  );
}

const lastOf = <T>(list: readonly T[]): T => list[list.length - 1];

/** How wrong a wrong critic is: another number for every path, the same for every rollout that comes by. */
function error(critic: Critic, path: string): number {
  if (critic === "exact") return 0;
  let sum = 0.4;
  for (const [k, letter] of [...path].entries()) sum += (0.3 * ((letter.charCodeAt(0) % 4) - 1)) / (k + 1);
  return sum;
}

/** Outcome of the episode in which the most likely action is taken everywhere. */
function greedy({ solved }: Episode): number {
  let best = solved.trajectories;
  for (let t = 0; best.length > 1; t++) {
    const likely = best.reduce((a, b) => (b.choices[t].probability > a.choices[t].probability ? b : a)).choices[t].node;
    best = best.filter(({ path }) => path.startsWith(likely));
  }
  return best[0].outcome;
}

/** What is expected as a share of 1, as it would be without any change of the rewards: chances are no rewards. */
const chance = ({ episode }: FedEpisode, expected: number) =>
  Math.min(1, Math.max(0, episode.solved.unchanged(expected)));

/** A likelihood in (0, 1) that grows with what is expected. */
const likelihood = (fed: FedEpisode, expected: number) => 0.05 + 0.9 * chance(fed, expected);

const turn = (cell: (fed: FedTurn) => unknown): Feeder => ({ level: "turn", cell });
const token = (cell: (fed: FedToken) => unknown): Feeder => ({ level: "token", cell });
const rollout = (cell: (fed: FedEpisode) => unknown): Feeder => ({ level: "rollout", cell });

const logprob = token(({ token: { choice } }) => (choice === null ? 0 : Math.log(choice.probability)));
const turnLogprob = turn(({ turn: { tokens } }) =>
  tokens.reduce((sum, { choice }) => sum + (choice === null ? 0 : Math.log(choice.probability)), 0),
);
/** Share of what a token gains that an implicit reward model says in its log-ratio: small, so that log p stays below 0. */
const implicitShare = 0.25;
const outcome = rollout(({ episode }) => episode.trajectory.outcome);
const expectedAfter = turn(({ after }) => after);
const predictionAfter = turn((fed) => fed.after + error(fed.critic, fed.turn.node));
const potential = turn((fed) => fed.before - fed.paid + error(fed.critic, fed.turn.state));
const valueBefore = potential;
const reward = turn((fed) => fed.reward);
const state = turn((fed) => fed.turn.state);
const node = turn((fed) => fed.turn.node);
const decides = ({ turn: { tokens } }: FedTurn) => tokens.some(({ choice }) => choice !== null);
const action = turn((fed) => (decides(fed) ? fed.turn.choice.action : "-"));
const hindsightLogprob = turn((fed) =>
  decides(fed) ? Math.log(fed.episode.solved.hindsight(fed.turn.choice, fed.total)) : 0,
);

/**
 * Columns that can be fed from a solved task. Signals that stand for knowledge of the future (values, process rewards,
 * likelihoods of the answer) hold what is exactly expected; the reference policy is the policy itself.
 */
export const feeders: Readonly<Record<string, Feeder>> = {
  "rollout.reward": outcome,
  "rewards.task": outcome,
  "rewards.accuracy": outcome,
  "rewards.execution": outcome,
  "rewards.rule": outcome,
  "rewards.outcome": outcome,
  "rewards.primary": outcome,
  "rewards.page": outcome,
  "rewards.goal": outcome,
  "rewards.trajectory": outcome,
  "rewards.auxiliary": outcome,
  "rewards.relationship": rollout(() => 1),
  "rewards.knowledge": rollout(() => 1),
  "rewards.format": rollout(() => 1),
  "rewards.length": rollout(() => 1),
  "rewards.preference": rollout(({ episode }) => 2 * episode.trajectory.outcome - 1),
  "signals.greedy_reward": rollout(({ episode }) => greedy(episode)),
  "signals.ref_reward_1": rollout(({ episode }) => episode.solved.expected("")),
  "signals.rm_logit": rollout((fed) => {
    const p = Math.min(1 - 1e-9, Math.max(1e-9, chance(fed, fed.total)));
    return Math.log(p / (1 - p));
  }),
  "signals.answer": rollout(({ episode }) => episode.trajectory.path),
  "signals.gt_logprob_0": rollout((fed) => Math.log(likelihood(fed, fed.episode.solved.expected("")))),
  "signals.mc_value_0": rollout(({ episode }) => episode.solved.expected("")),
  "reference.logprob": {
    level: "reference",
    cells: (fed) => [Math.log(Math.max(1e-9, chance(fed, fed.total)))],
  },

  "turns.agent": turn((fed) => fed.turn.agent),
  "turns.reward": reward,
  "turns.value": valueBefore,
  "turns.value_low": valueBefore,
  "turns.value_high": valueBefore,
  "turns.switch": turn(() => 1),
  "turns.state": state,
  "turns.node": node,
  "turns.action": action,
  "turns.logprob": turnLogprob,
  "turns.hindsight_logprob": hindsightLogprob,
  "turns.potential": potential,
  "turns.prm": expectedAfter,
  "turns.gt_logprob": turn((fed) => Math.log(likelihood(fed, fed.after))),
  "turns.return_prediction": predictionAfter,
  "turns.entropy": turn((fed) => (decides(fed) ? fed.turn.choice.entropy : 0)),
  "turns.attribution_goal": turn(() => 3),
  "turns.attribution_relationship": turn(() => 3),
  "turns.attribution_knowledge": turn(() => 3),
  "turns.subgoal_1": turn((fed) => (decides(fed) && "ag".includes(fed.turn.choice.action) ? 1 : 0)),
  "turns.duration_s": turn(() => 1),
  "turns.aux_reward": turn((fed) => 0.5 * (fed.after - fed.before)),
  "turns.reward_without": turn((fed) => fed.total - (fed.after - fed.before)),
  "turns.role": turn(() => "orchestrator"),
  "turns.event": turn(() => "aggregate"),
  "turns.tests_passed": turn((fed) =>
    Array.from({ length: 4 }, (_, k) => (fed.last && k < Math.round(4 * chance(fed, fed.total)) ? 1 : 0)),
  ),

  "steps.reward": reward,
  "steps.prm": expectedAfter,
  "steps.mc_value": expectedAfter,
  "steps.mc_correct": turn((fed) => Math.round(64 * chance(fed, fed.after))),
  "steps.mc_total": turn(() => 64),
  "steps.node": node,
  "steps.valid": turn(() => 1),
  "steps.has_answer": turn(({ last }) => (last ? 1 : 0)),
  "steps.pfr": turn(({ before, after }) => after - before),
  "steps.potential": potential,

  "tokens.logprob": logprob,
  "tokens.old_logprob": logprob,
  "tokens.ref_logprob": logprob,
  "tokens.logprob_no_prompt": token(({ token: { choice } }) => (choice === null ? 0 : -1)),
  "tokens.prm_logprob": token(
    ({ token: { choice, after }, tokenBefore }) =>
      (choice === null ? 0 : Math.log(choice.probability)) + implicitShare * (after - tokenBefore),
  ),
  "tokens.value": token((fed) => fed.tokenBefore - fed.paid + error(fed.critic, fed.turn.state)),
  "tokens.mc_value": token(({ tokenBefore }) => tokenBefore),
  "tokens.reward": token((fed) => fed.token.reward),
  "tokens.entropy": token(({ token: { choice } }) => choice?.entropy ?? 0),
  "tokens.sum_pi_squared": token(({ token: { choice } }) => choice?.squares ?? 1),
  "tokens.flow_score": token((fed) => likelihood(fed, fed.token.after)),
};

/** Columns that have to be learned or thought up, and may be wrong. */
export const criticColumns: ReadonlySet<string> = new Set([
  "tokens.value",
  "turns.value",
  "turns.value_low",
  "turns.value_high",
  "turns.potential",
  "turns.return_prediction",
]);

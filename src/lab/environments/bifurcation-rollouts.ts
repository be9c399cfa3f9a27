import {
  type BifurcationEpisode,
  type BifurcationTask,
  bifurcationValues,
  episodeCredit,
  onTrack,
} from "../../mechanisms/bifurcation.ts";
import type { RolloutObject } from "../../rollouts/index.ts";
import { Random } from "../random.ts";

/** A policy of a bifurcation task, π[(2 t + m) K + a]; `null` takes every action with the same probability. */
export type BifurcationPolicy = Float64Array | null;

function probabilities({ actions }: BifurcationTask, policy: BifurcationPolicy, t: number, m: number): Float64Array {
  const from = (2 * t + m) * actions;
  return policy === null ? new Float64Array(actions).fill(1 / actions) : policy.subarray(from, from + actions);
}

/**
 * Plays a task to its end.
 * @param start step and status to go on from; what lies before is left out. Default: the beginning, on track.
 */
export function playBifurcation(
  task: BifurcationTask,
  policy: BifurcationPolicy,
  random: Random,
  start: { step: number; status: number } = { step: 0, status: 0 },
): BifurcationEpisode & { actions: number[]; status: number[] } {
  const actions: number[] = [];
  const status = [start.status];
  for (let t = start.step; t < task.steps.length; t++) {
    const m = status[status.length - 1];
    const action = random.choose(probabilities(task, policy, t, m));
    actions.push(action);
    status.push(random.uniform() < onTrack(task.steps[t], m, action) ? 0 : 1);
  }
  const success = status[status.length - 1] === 0 ? task.pOn : task.pOff;
  return { actions, status, reward: random.uniform() < success ? 1 : 0 };
}

/** Mean entropy of the policy over steps and statuses, in nats. */
function meanEntropy(task: BifurcationTask, policy: BifurcationPolicy): number {
  if (policy === null || policy.length === 0) return Math.log(task.actions);
  const total = policy.reduce((sum, p) => (p > 0 ? sum - p * Math.log(p) : sum), 0);
  return total / (2 * task.steps.length);
}

export interface BifurcationSampleOptions {
  task: BifurcationTask;
  policy?: BifurcationPolicy;
  /** Name of the group. */
  group: string;
  /** Rollouts in the group. */
  size: number;
  seed: number;
  /** Leave the status out, so that a method sees the actions only. Default false. */
  hidden?: boolean;
}

/**
 * A group of rollouts in the wire format, a turn of one token per step: `turns.{end,action,state,status}`,
 * `tokens.{id,logprob,entropy,value}`, and the exact truth under the policy, `turns.true_advantage`, `turns.luck`,
 * `tokens.true_advantage`; reward = V_0 + Σ true_advantage + Σ luck + `signals.residual`. `meta` describes the task.
 * With `hidden` there is neither state, status nor value. Equal seeds give equal rollouts.
 */
export function* sampleBifurcation(options: BifurcationSampleOptions): Generator<RolloutObject> {
  const { task, policy = null, group, size, seed, hidden = false } = options;
  const { actions: K, steps } = task;
  const solved = bifurcationValues(task, policy);
  const random = new Random(seed);
  const places = (kind: string) => steps.flatMap((step, t) => (step.kind === kind ? [t] : []));
  const meta = {
    environment: "bifurcation",
    horizon: steps.length,
    actions: K,
    gates: places("gate"),
    repairs: places("repair"),
    slip: steps.map(({ slip }) => slip).reduce((most, slip) => Math.max(most, slip), 0),
    rho: steps.map(({ rho }) => rho).reduce((least, rho) => Math.min(least, rho), 1),
    p_on: task.pOn,
    p_off: task.pOff,
    policy_entropy: meanEntropy(task, policy),
    restorable: true,
    seed,
    samples: size,
    tokens: size * steps.length,
  };
  for (let k = 0; k < size; k++) {
    const episode = playBifurcation(task, policy, random);
    const { advantage, luck, residual } = episodeCredit(solved, K, episode);
    const taken = episode.actions.map((_, t) => probabilities(task, policy, t, episode.status[t]));
    const status = episode.status.slice(0, -1);
    const seen = {
      state: status.map((m, t) => `step ${t + 1}, ${m === 0 ? "on" : "off"} track`),
      status,
    };
    const values = status.map((m, t) => solved.values[2 * t + m]);
    yield {
      id: `${group}-${String(k + 1).padStart(String(size).length, "0")}`,
      group,
      reward: episode.reward,
      signals: { residual },
      turns: {
        end: episode.actions.map((_, t) => t + 1),
        action: episode.actions,
        ...(hidden ? {} : seen),
        true_advantage: [...advantage],
        luck: [...luck],
      },
      tokens: {
        id: episode.actions,
        logprob: taken.map((row, t) => Math.log(row[episode.actions[t]])),
        entropy: taken.map((row) => row.reduce((sum, p) => (p > 0 ? sum - p * Math.log(p) : sum), 0)),
        ...(hidden ? {} : { value: values }),
        true_advantage: [...advantage],
      },
      meta,
    };
  }
}

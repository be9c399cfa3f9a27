import type { Batch } from "../../rollouts/index.ts";
import type { Environment } from "../environments/environment.ts";
import type { Policy } from "../policies/policy.ts";
import { type CreditCall, readsValues } from "./credit.ts";
import { Stage } from "./episodes.ts";
import type { Metrics } from "./metrics.ts";
import { makeOptimiser } from "./optimiser.ts";
import type { TrainingSettings } from "./settings.ts";
import { Trainer, type TrainerState } from "./trainer.ts";
import { type Truth, truthOf } from "./truth.ts";

/** What is compared in a run: one method, or several in a row, under a name. */
export interface Arm {
  name: string;
  calls: readonly CreditCall[];
}

/** A run of training. */
export interface TrainOptions {
  environment: () => Environment;
  /** A policy from a seed: equal seeds give equal policies. `withValue`: methods of the arm read values of a learned critic. */
  policy: (seed: number, withValue: boolean) => Policy;
  arms: readonly Arm[];
  seeds: readonly number[];
  settings: TrainingSettings;
  /** Updates between checkpoints; null = only the last. Default null. */
  checkpointEvery?: number | null;
  /** Updates between samples of rollouts; null = none. Default null. */
  rolloutsEvery?: number | null;
  /** States to go on from, as a checkpoint gave them. */
  resume?: (arm: string, seed: number) => TrainerState | null;
  /** Ends the run after the update under way, with a checkpoint of everything. */
  signal?: AbortSignal;
  now?: () => number;
}

interface Where {
  arm: string;
  seed: number;
  /** Updates done. */
  update: number;
}

/** Something that happened while training. */
export type TrainingEvent =
  | {
      type: "begin";
      /** Expected true reward of the best policy, where it is known. */
      best: number | null;
      arms: readonly string[];
      seeds: readonly number[];
    }
  | ({ type: "metrics"; metrics: Metrics } & Where)
  | ({ type: "rollouts"; batch: Batch } & Where)
  | ({ type: "evaluation"; trueReward: number; exact: boolean } & Where)
  | ({ type: "checkpoint"; state: TrainerState } & Where)
  | { type: "done"; interrupted: boolean };

interface Running {
  arm: Arm;
  seed: number;
  trainer: Trainer;
  /** Updates at the last checkpoint. */
  kept: number;
}

/** Longest time without letting others have a turn, in milliseconds. */
const patience = 40;
const pause = () => new Promise<void>((resolve) => setTimeout(resolve, 0));

/**
 * Trains every arm with every seed, update after update in turn, so that all curves grow together. Yields what happens; the
 * terminal, a page or a test listens. With the same options the same numbers come, times apart, also when a run was
 * interrupted and resumed.
 * @throws InputError when a method cannot be fed by the environment and the policy.
 */
export async function* train(options: TrainOptions): AsyncGenerator<TrainingEvent, void, undefined> {
  const { settings, signal, now = () => performance.now() } = options;
  const stage = new Stage(options.environment);
  const runs: Running[] = [];
  let truth: Truth | null | undefined;
  for (const seed of options.seeds) {
    for (const arm of options.arms) {
      const policy = options.policy(seed, readsValues(arm.calls));
      if (truth === undefined) truth = truthOf(stage.first, policy);
      const optimiser = makeOptimiser(settings, policy.kind);
      const trainer = new Trainer({ stage, policy, optimiser, calls: arm.calls, settings, seed, truth, now });
      const state = options.resume?.(arm.name, seed) ?? null;
      if (state !== null) trainer.restore(state);
      runs.push({ arm, seed, trainer, kept: trainer.update });
    }
  }
  yield { type: "begin", best: truth?.best ?? null, arms: options.arms.map(({ name }) => name), seeds: options.seeds };
  let last = now();
  const rounds = Array.from({ length: settings.updates }, (_, k) => k);
  for (const round of rounds) {
    for (const run of runs) {
      if (run.trainer.update !== round) continue;
      if (signal?.aborted) break;
      yield* updated(run, options);
      if (now() - last > patience) {
        await pause();
        last = now();
      }
    }
    if (signal?.aborted) break;
  }
  for (const run of runs) if (run.kept < run.trainer.update) yield checkpoint(run);
  yield { type: "done", interrupted: signal?.aborted === true };
}

const whereOf = ({ arm, seed, trainer }: Running): Where => ({ arm: arm.name, seed, update: trainer.update });

function checkpoint(run: Running): TrainingEvent {
  run.kept = run.trainer.update;
  return { type: "checkpoint", state: run.trainer.state, ...whereOf(run) };
}

/** One update of one run, and what falls due with it. */
function* updated(run: Running, options: TrainOptions): Generator<TrainingEvent> {
  const { settings, rolloutsEvery = null, checkpointEvery = null } = options;
  const { trainer } = run;
  const evaluation = (): TrainingEvent => {
    const { true_reward, exact } = trainer.evaluate();
    return { type: "evaluation", trueReward: true_reward, exact, ...whereOf(run) };
  };
  if (trainer.update === 0) yield evaluation();
  const { metrics, batch } = trainer.step();
  const where = whereOf(run);
  const due = (every: number | null) =>
    every !== null && (where.update % every === 0 || where.update === settings.updates);
  yield { type: "metrics", metrics, ...where };
  if (rolloutsEvery !== null && (where.update === 1 || due(rolloutsEvery))) yield { type: "rollouts", batch, ...where };
  if (due(settings.evaluate_every)) yield evaluation();
  if (due(checkpointEvery)) yield checkpoint(run);
}

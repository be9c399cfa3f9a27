import { missingReads } from "../../methods/reads.ts";
import { klValue } from "../../operators/kl.ts";
import { type Batch, InputError } from "../../rollouts/index.ts";
import type { Optimiser, OptimiserState } from "../optimisers/optimiser.ts";
import type { Parameters, Policy } from "../policies/policy.ts";
import { Random, type RandomState } from "../random.ts";
import { atPolicy, type CreditCall, credit, readColumns, type TokenCredit, tokenCredit } from "./credit.ts";
import { choosesActions, type Episode, play, type Stage, type Start } from "./episodes.ts";
import { learn } from "./learn.ts";
import { fidelity, type Metrics, mean, spread } from "./metrics.ts";
import type { TokenLogprobs } from "./policy-gradient.ts";
import { inPrecision } from "./precision.ts";
import { atTrace, type Recorded, recordEpisodes } from "./record.ts";
import { seenRewards } from "./rewards.ts";
import type { TrainingSettings } from "./settings.ts";
import { playNeeds, supply } from "./supply.ts";
import type { Truth } from "./truth.ts";
import { type ValueState, ValueTable } from "./values.ts";

/** What a trainer is made of. */
export interface TrainerParts {
  stage: Stage;
  policy: Policy;
  optimiser: Optimiser;
  /** Methods, one after another; what the last one writes is learned from. */
  calls: readonly CreditCall[];
  settings: TrainingSettings;
  seed: number;
  truth: Truth | null;
  /** Milliseconds since some moment; the browser's and Node's `performance.now`. */
  now: () => number;
}

/** Everything that going on to the same numbers needs. */
export interface TrainerState {
  update: number;
  parameters: Parameters;
  facts: Record<string, string>;
  shapes: Record<string, readonly number[]>;
  optimiser: OptimiserState;
  reference: { parameters: Parameters; facts: Record<string, string> } | null;
  values: ValueState;
  random: RandomState;
}

/** What one update gave. */
export interface Updated {
  metrics: Metrics;
  /** The rollouts with the columns of credit. */
  batch: Batch;
}

/** Trains one policy with one method and one seed, an update at a time. */
export class Trainer {
  readonly #parts: TrainerParts;
  readonly #random: Random;
  readonly #values: ValueTable;
  readonly #wanted: ReadonlySet<string>;
  #reference: Policy | null;
  #update = 0;

  constructor(parts: TrainerParts) {
    const { policy, settings, calls, seed } = parts;
    this.#parts = parts;
    this.#random = new Random(seed);
    this.#values = new ValueTable(settings.value_lr);
    this.#wanted = readColumns(calls);
    this.#reference = this.#needsReference ? policy.copy() : null;
  }

  /** Updates done so far. */
  get update(): number {
    return this.#update;
  }

  get policy(): Policy {
    return this.#parts.policy;
  }

  get #needsReference(): boolean {
    const { settings, policy } = this.#parts;
    const columns = ["tokens.ref_logprob", "signals.ref_reward_*"];
    return settings.kl_coef > 0 || columns.some((path) => this.#wanted.has(path)) || choosesActions(policy);
  }

  /**
   * Samples a batch, credits it, and learns from it.
   * @throws InputError when a method lacks a column, writes no advantage, or refuses the rollouts.
   */
  step(): Updated {
    const { now, settings } = this.#parts;
    const begun = now();
    const episodes = this.#sample();
    const supplied = this.#supplied(episodes);
    const before = now();
    const credited = this.#credited(supplied.recorded.batch);
    const given = tokenCredit(supplied.recorded.batch, credited, supplied.recorded.rows, this.#parts.calls);
    const after = now();
    const learned = learn(this.#parts, this.#random, { episodes, given, ...supplied });
    this.#values.learn(episodes);
    const end = now();
    this.#update++;
    const { reference_every } = settings;
    if (this.#reference !== null && reference_every !== null && this.#update % reference_every === 0) {
      this.#reference = this.policy.copy();
    }
    const seconds = {
      sample_s: (before - begun) / 1000,
      credit_s: (after - before) / 1000,
      learn_s: (end - after) / 1000,
    };
    const metrics: Metrics = {
      update: this.#update,
      ...this.#sampledMetrics(episodes, supplied),
      ...learned,
      advantage_mean: mean(given.advantage),
      advantage_std: spread(given.advantage),
      ...this.#truthMetrics(supplied, given),
      extra_turns: supplied.turns,
      ...seconds,
      credit_share: (after - before) / Math.max(end - begun, 1e-9),
    };
    return { metrics, batch: credited };
  }

  /** Expected true reward of the policy where it can be worked out, else the mean over episodes of their own. */
  evaluate(): { true_reward: number; exact: boolean } {
    const { truth, stage, settings, policy } = this.#parts;
    if (truth !== null) return { true_reward: truth.values(policy).value, exact: true };
    const chance = new Random(0x5eed);
    const tasks = stage.first.tasks ?? 1;
    const starts = Array.from({ length: settings.evaluation_episodes }, (_, k) => ({
      group: `e${k}`,
      seed: chance.bits(),
      task: k % tasks,
      draw: chance.bits(),
    }));
    const { temperature, top_p } = settings;
    const played = play(stage, policy, starts, { sampling: { temperature, topP: top_p } });
    return { true_reward: mean(played.map(({ trueReward }) => trueReward)), exact: false };
  }

  get state(): TrainerState {
    const { policy, optimiser } = this.#parts;
    const reference = this.#reference;
    return {
      update: this.#update,
      parameters: copies(policy.parameters()),
      facts: policy.facts(),
      shapes: policy.shapes(),
      optimiser: optimiser.state(),
      reference: reference === null ? null : { parameters: copies(reference.parameters()), facts: reference.facts() },
      values: this.#values.state,
      random: this.#random.state,
    };
  }

  /** Goes on from a state of a trainer with the same parts. */
  restore(state: TrainerState): void {
    const { policy, optimiser } = this.#parts;
    policy.load(state.parameters, state.facts);
    policy.changed();
    optimiser.restore(state.optimiser);
    if (this.#reference !== null && state.reference !== null) {
      this.#reference.load(state.reference.parameters, state.reference.facts);
      this.#reference.changed();
    }
    this.#values.state = state.values;
    this.#random.state = state.random;
    this.#update = state.update;
  }

  #sample(): Episode[] {
    const { stage, policy, settings } = this.#parts;
    const random = this.#random;
    const tasks = stage.first.tasks ?? 1;
    const starts: Start[] = [];
    for (let g = 0; g < settings.groups; g++) {
      const task = random.below(tasks);
      const shared = random.bits();
      for (let k = 0; k < settings.group_size; k++) {
        const seed = settings.same_start ? shared : random.bits();
        starts.push({ group: `u${this.#update + 1}-g${g + 1}`, seed, task, draw: random.bits() });
      }
    }
    const sampling = { temperature: settings.temperature, topP: settings.top_p };
    return play(stage, policy, starts, { sampling, ...playNeeds(this.#wanted) });
  }

  #supplied(episodes: readonly Episode[]): Supplied {
    const { stage, policy, settings, truth } = this.#parts;
    const { extras, reference, turns } = supply(
      {
        stage,
        policy,
        reference: this.#reference,
        values: this.#values,
        truth,
        random: this.#random,
        settings,
        wanted: this.#wanted,
      },
      episodes,
    );
    const rewards = seenRewards(episodes, reference, settings);
    const made = recordEpisodes(policy, episodes, rewards, extras);
    const recorded = { ...made, batch: inPrecision(made.batch, settings.advantage_dtype) };
    const old = new Float64Array(recorded.traceTokens);
    let at = 0;
    for (const { trace } of episodes) {
      old.set(trace.logprob, at);
      at += trace.logprob.length;
    }
    const picked = atTrace(old, recorded);
    const logprobs = {
      logprob: picked,
      old: picked,
      reference: reference === null ? null : atTrace(reference, recorded),
    };
    const truths = extras.tokens.true_advantage;
    return { recorded, logprobs, turns, truth: truths === undefined ? null : atTrace(truths, recorded), rewards };
  }

  #credited(batch: Batch): Batch {
    const { calls, stage, policy } = this.#parts;
    const { id } = stage.first.facts;
    const hint = `environment ${id} with a ${policy.kind} policy gives ${batch.paths.join(", ")}`;
    if (this.#update === 0) {
      const lacking = missingReads(batch, calls[0].method);
      if (lacking.length > 0) {
        const at = { method: calls[0].method.id, column: lacking.join(", "), hint };
        throw new InputError("the method reads a column that sampling does not give", at);
      }
    }
    try {
      return credit(batch, calls);
    } catch (error) {
      throw error instanceof InputError ? error.located({ hint }) : error;
    }
  }

  #sampledMetrics(episodes: readonly Episode[], { recorded, logprobs, rewards }: Supplied) {
    const entropy = atPolicy(recorded.batch.numbers("tokens.entropy"), recorded.rows);
    const { reference, old } = logprobs;
    return {
      reward: mean(rewards),
      true_reward: mean(episodes.map(({ trueReward }) => trueReward)),
      entropy: mean(entropy),
      kl: reference === null ? null : mean(old.map((l, t) => klValue("k3", l - reference[t]))),
      length: recorded.rows.tokens.length / episodes.length,
      turns: mean(episodes.map(({ turns }) => turns.length)),
    };
  }

  #truthMetrics({ truth }: Supplied, given: TokenCredit) {
    return truth === null ? { credit_correlation: null, credit_sign: null } : fidelity(given.advantage, truth);
  }
}

interface Supplied {
  recorded: Recorded;
  logprobs: TokenLogprobs;
  turns: number;
  truth: Float64Array | null;
  rewards: Float64Array;
}

function copies(parameters: Parameters): Parameters {
  return Object.fromEntries(Object.entries(parameters).map(([name, values]) => [name, values.slice()]));
}

import { missingReads } from "../../methods/reads.ts";
import { klValue } from "../../operators/kl.ts";
import { type Batch, InputError } from "../../rollouts/index.ts";
import type { Optimiser, OptimiserState } from "../optimisers/optimiser.ts";
import type { Parameters, Policy } from "../policies/policy.ts";
import { Random, type RandomState } from "../random.ts";
import { atPolicy, type CreditCall, credit, readColumns, type TokenCredit, tokenCredit } from "./credit.ts";
import { choosesActions, type Episode, play, type Stage, type Start } from "./episodes.ts";
import { fidelity, type Metrics, mean, spread } from "./metrics.ts";
import { stepWeights, type TokenLogprobs } from "./policy-gradient.ts";
import { inPrecision } from "./precision.ts";
import { type Recorded, recordEpisodes } from "./record.ts";
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
    const learned = this.#learn(episodes, supplied.recorded, supplied.logprobs, given);
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
    const rewards = Float64Array.from(episodes, (episode) =>
      settings.reward === "true" ? episode.trueReward : episode.reward,
    );
    if (settings.kl_in === "reward" && settings.kl_coef > 0 && reference !== null) {
      charge(rewards, episodes, reference, settings);
    }
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

  /** Steps of the optimiser over the batch; what they say, as means. */
  #learn(episodes: readonly Episode[], recorded: Recorded, sampled: TokenLogprobs, given: TokenCredit) {
    const { settings, optimiser, policy } = this.#parts;
    const sums = { loss: 0, clip_fraction: 0, approx_kl: 0, gradient_norm: 0 };
    let steps = 0;
    let rate = 0;
    for (let epoch = 0; epoch < settings.epochs; epoch++) {
      for (const members of this.#minibatches(episodes.length)) {
        const traces = Array.from(members, (i) => episodes[i].trace);
        const logprobs = steps === 0 ? sampled : this.#current(episodes, recorded, sampled, members);
        const made = stepWeights(recorded.rows, given, logprobs, members, settings);
        const coefficients = this.#coefficients(episodes, members, made.weight, made.entropyWeight);
        const { gradient } = policy.gradient(traces, coefficients);
        const update = optimiser.update(policy.parameters(), gradient);
        policy.changed();
        rate = update.rate;
        steps++;
        sums.loss += made.loss;
        sums.clip_fraction += made.clipFraction;
        sums.approx_kl += made.approxKl;
        sums.gradient_norm += update.gradientNorm;
      }
    }
    const means = Object.fromEntries(Object.entries(sums).map(([name, total]) => [name, total / steps]));
    return { ...(means as typeof sums), lr: rate };
  }

  /** Log-probabilities of these rollouts under the policy as it is now; those of the others stay as they are. */
  #current(
    episodes: readonly Episode[],
    { rows }: Recorded,
    sampled: TokenLogprobs,
    members: ArrayLike<number>,
  ): TokenLogprobs {
    const traces = Array.from(members, (i) => episodes[i].trace);
    const now = this.policy.evaluate(traces).logprob;
    const logprob = sampled.logprob.slice();
    let first = 0;
    traces.forEach(({ mask }, m) => {
      let at = rows.offsets[members[m]];
      for (let k = 0; k < mask.length; k++) if (mask[k] === 1) logprob[at++] = now[first + k];
      first += mask.length;
    });
    return { ...sampled, logprob };
  }

  /** Rollouts of each step: all of them, or dealt out at random. */
  #minibatches(count: number): Int32Array[] {
    const { minibatches } = this.#parts.settings;
    const order = Int32Array.from({ length: count }, (_, i) => i);
    if (minibatches === 1) return [order];
    for (let i = count - 1; i > 0; i--) {
      const j = this.#random.below(i + 1);
      [order[i], order[j]] = [order[j], order[i]];
    }
    const parts = Math.min(minibatches, count);
    return Array.from({ length: parts }, (_, k) =>
      order.slice(Math.floor((k * count) / parts), Math.floor(((k + 1) * count) / parts)).sort(),
    );
  }

  /** Derivatives of the loss by every token of the traces of this step. */
  #coefficients(episodes: readonly Episode[], members: Int32Array, weight: Float64Array, entropyWeight: Float64Array) {
    const { settings, policy } = this.#parts;
    const total = members.reduce((sum, i) => sum + episodes[i].trace.mask.length, 0);
    const logprob = new Float64Array(total);
    const entropy = new Float64Array(total);
    const value = new Float64Array(total);
    let at = 0;
    let chosen = 0;
    for (const i of members) {
      const { trace, turns } = episodes[i];
      let toCome = episodes[i].reward;
      let turn = 0;
      for (let k = 0; k < trace.mask.length; k++, at++) {
        while (turn < turns.length && k >= turns[turn].end) toCome -= turns[turn++].reward;
        if (trace.mask[k] === 0) continue;
        logprob[at] = -weight[chosen];
        entropy[at] = -entropyWeight[chosen];
        if (trace.value !== null) value[at] = (settings.value_coef * (trace.value[k] - toCome)) / weight.length;
        chosen++;
      }
    }
    return {
      logprob,
      ...(settings.entropy_coef > 0 ? { entropy } : {}),
      ...(policy.hasValue && settings.value_coef > 0 ? { value } : {}),
    };
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

/** Numbers of all traces at the tokens that the policy chose. */
function atTrace(values: ArrayLike<number>, { traceIndex }: Recorded): Float64Array {
  return Float64Array.from(traceIndex, (k) => values[k]);
}

/** Takes the divergence from the reference off the rewards: R − kl_coef Σ_t KL_t. */
function charge(
  rewards: Float64Array,
  episodes: readonly Episode[],
  reference: Float64Array,
  { kl_coef, kl_kind }: TrainingSettings,
): void {
  let at = 0;
  episodes.forEach(({ trace }, i) => {
    for (let k = 0; k < trace.mask.length; k++, at++) {
      if (trace.mask[k] === 1) rewards[i] -= kl_coef * klValue(kl_kind, trace.logprob[k] - reference[at]);
    }
  });
}

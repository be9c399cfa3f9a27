import { assign } from "../../methods/assign.ts";
import type { Method } from "../../methods/method.ts";
import { findMethod } from "../../methods/registry.ts";
import { Batch } from "../../rollouts/index.ts";
import type { Random } from "../random.ts";
import type { SoftmaxTable } from "../softmax-table.ts";
import { type Credit, creditOf } from "./credit.ts";
import type { Entry } from "./entries.ts";
import { sampleEpisodes } from "./episodes.ts";
import { type Feed, feedOf, perTurn } from "./feed.ts";
import { ModelErrors, type Oracles, oraclesOf } from "./oracles.ts";
import { rolloutsFor, signalsFor } from "./rollouts.ts";
import { type Signal, trueAdvantage } from "./signals.ts";
import type { TaskSetting } from "./tasks.ts";

/** Credit that no method gives, to hold the others against: the truth itself, and the bare outcome. */
const yardsticks: Readonly<Record<string, (feed: Feed) => Float64Array>> = {
  "true advantage": trueAdvantage,
  "bare reward": (feed) => perTurn(feed, (_, i) => feed.rewards[i]),
};

export const yardstickIds = Object.keys(yardsticks);

/** A method (or yardstick) on a task with a seed: what samples, feeds and credits. */
export class Bench {
  /** `null` for a yardstick. */
  readonly method: Method | null;
  readonly setting: TaskSetting;
  /** Signals that the method is given. */
  readonly given: ReadonlyMap<string, Signal>;
  readonly #entry: Entry;
  readonly #errors: ModelErrors;

  /** @param columns the columns to give; default: all that the method reads and the benchmark knows. */
  constructor(entry: Entry, setting: TaskSetting, seed: number, columns?: readonly string[]) {
    this.method = Object.hasOwn(yardsticks, entry.method) ? null : findMethod(entry.method);
    this.setting = setting;
    this.#entry = entry;
    const known = this.method === null ? new Map<string, Signal>() : signalsFor(this.method, setting.model.environment);
    this.given = columns === undefined ? known : new Map([...known].filter(([path]) => columns.includes(path)));
    this.#errors = new ModelErrors(setting.model, seed);
  }

  /** The models that a method may ask, for this policy. */
  oracles(policy: SoftmaxTable): Oracles {
    return oraclesOf(this.setting.model, policy, this.#errors, this.setting.task.gameable === true);
  }

  /** Groups of episodes of a policy. Streams of chance are the same for all methods. */
  sample(policy: SoftmaxTable, oracles: Oracles, groups: number, size: number, random: Random): Feed {
    const episodes = sampleEpisodes(this.setting.model, policy, groups, size, random);
    return feedOf(episodes, policy, oracles, this.#errors, random.bits(), this.setting.pivotalEps);
  }

  /** @throws InputError when the method refuses the rollouts; Error when it adds no credit to them. */
  credit(feed: Feed, given = this.given): Credit {
    if (this.method === null) {
      return { column: this.#entry.method, values: yardsticks[this.#entry.method](feed), weights: null };
    }
    return this.#creditIn(rolloutsFor(feed, given), feed, this.method);
  }

  /** Seconds that crediting takes, making the columns aside: the least of a few runs. */
  seconds(feed: Feed, runs: number): number {
    if (this.method === null) return 0;
    const batch = rolloutsFor(feed, this.given);
    let least = Number.POSITIVE_INFINITY;
    for (let k = 0; k < runs; k++) {
      const fresh = new Batch(batch.parts); // nothing that the run before kept is used
      const start = performance.now();
      this.#creditIn(fresh, feed, this.method);
      least = Math.min(least, performance.now() - start);
    }
    return least / 1000;
  }

  #creditIn(batch: Batch, feed: Feed, method: Method): Credit {
    const credit = creditOf(batch, assign(batch, method, this.#entry.params), feed, method);
    if (credit === null) throw new Error(`${method.id} gave no credit`);
    return credit;
  }
}

/**
 * Adds the policy gradient of a credit to a policy: Σ over turns of weight · credit · ∂ log π / ∂ θ, divided by the number of
 * episodes.
 */
export function gather(policy: SoftmaxTable, feed: Feed, { values, weights }: Credit): void {
  const { rows, actions, count } = feed.episodes;
  for (let t = 0; t < values.length; t++) {
    const weight = weights === null ? 1 : weights[t];
    policy.accumulate(rows[t], actions[t], (weight * values[t]) / count);
  }
}

/** The gradient that a credit gives at a policy. */
export function creditGradient(policy: SoftmaxTable, feed: Feed, credit: Credit): Float64Array {
  const scratch = policy.copy();
  gather(scratch, feed, credit);
  return scratch.gradient;
}

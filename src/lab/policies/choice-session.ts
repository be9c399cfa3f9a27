import { InputError } from "../../rollouts/index.ts";
import type { ActionList } from "./action-list.ts";
import { Distribution } from "./distribution.ts";
import type { Choice, Moment, Request, Sampling, Session, Trace } from "./policy.ts";
import { Recording } from "./recording.ts";
import { requireSampling } from "./sampling.ts";
import { Slots } from "./slots.ts";

/** What a policy that chooses among whole actions makes of a view. Views into its memory, stale at the next look. */
export interface Outlook {
  logits: ArrayLike<number>;
  /** Where the row of logits begins. */
  from: number;
  value: number;
  hidden: Float32Array | null;
}

/** A policy that chooses among whole actions: one token per action. */
export interface ChoiceModel {
  readonly actions: ActionList;
  readonly width: number;
  readonly hasValue: boolean;
  look(view: string): Outlook;
}

const noPrompt = new Int32Array(0);

/** Episodes of a policy that chooses among whole actions by the view alone. */
export class ChoiceSession implements Session {
  readonly #model: ChoiceModel;
  readonly #sampling: Sampling;
  readonly #slots = new Slots<Recording>();
  readonly #distribution: Distribution;

  constructor(model: ChoiceModel, sampling: Sampling) {
    requireSampling(sampling);
    this.#model = model;
    this.#sampling = sampling;
    this.#distribution = new Distribution(model.actions.size);
  }

  open(): number {
    const { hasValue, width } = this.#model;
    return this.#slots.add(new Recording(noPrompt, hasValue, this.#sampling.hidden ? width : 0));
  }

  choose(requests: readonly Request[]): Choice[] {
    return requests.map((request) => this.#choose(request));
  }

  #choose({ slot, view, actions, random }: Request): Choice {
    const recording = this.#slots.at(slot);
    const { actions: all } = this.#model;
    const allowed = all.mask(actions);
    const outlook = this.#model.look(view);
    const distribution = this.#distribution;
    distribution.of(outlook.logits, outlook.from, allowed);
    const { entropy } = distribution;
    const action = distribution.draw(random, this.#sampling);
    const logprob = distribution.logprob(action);
    const samplingLogprob = Math.log(distribution.probabilities[action]);
    const hidden = this.#sampling.hidden && outlook.hidden !== null ? outlook.hidden.slice() : null;
    recording.chose(action, allowed, { logprob, samplingLogprob, entropy, value: outlook.value }, hidden);
    recording.saw(view);
    return { action: all.texts[action], from: recording.length - 1, to: recording.length };
  }

  observe(slot: number): void {
    this.#slots.at(slot);
  }

  score({ slot, view, actions }: Moment, action: string): number {
    this.#slots.at(slot);
    const { actions: all } = this.#model;
    const k = all.index(action);
    const allowed = all.mask(actions);
    if (allowed !== null && allowed[k] === 0) {
      throw new InputError("the action may not be taken here", { expected: actions.join(", "), got: action });
    }
    const { logits, from } = this.#model.look(view);
    this.#distribution.of(logits, from, allowed);
    return this.#distribution.logprob(k);
  }

  length(slot: number): number {
    return this.#slots.at(slot).length;
  }

  fork(slot: number): number {
    return this.#slots.add(this.#slots.at(slot).copy());
  }

  trace(slot: number): Trace {
    return this.#slots.at(slot).trace();
  }

  close(slot: number): void {
    this.#slots.close(slot);
  }
}

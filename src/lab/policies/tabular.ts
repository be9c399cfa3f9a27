import { InputError } from "../../rollouts/index.ts";
import { ActionList } from "./action-list.ts";
import { countTokens, emptyEvaluation, requireCoefficients, requireSameShape, requireTraces } from "./arrays.ts";
import { ChoiceSession, type Outlook } from "./choice-session.ts";
import { Distribution } from "./distribution.ts";
import { readList, requireSameFacts } from "./facts.ts";
import type { Coefficients, Evaluation, Gradient, Parameters, Policy, Recorded, Sampling, Session } from "./policy.ts";

export interface TabularOptions {
  /** Every action, in the order of the columns. */
  actions: readonly string[];
  /** Views known beforehand, in the order of the rows; others get a row when they are met first. */
  views?: readonly string[];
  /** Whether every view has a value as well. Default false. */
  value?: boolean;
}

/** An array with room to grow at its end. */
class Growing {
  #room = new Float64Array(0);
  #length = 0;

  get values(): Float64Array {
    return this.#room.subarray(0, this.#length);
  }

  set values(given: ArrayLike<number>) {
    this.#room = Float64Array.from(given);
    this.#length = given.length;
  }

  /** The array with all its room: entries beyond `length` are zero. */
  get room(): Float64Array {
    return this.#room;
  }

  grow(count: number): void {
    this.#length += count;
    if (this.#length <= this.#room.length) return;
    const room = new Float64Array(Math.max(64, 2 * this.#length));
    room.set(this.#room);
    this.#room = room;
  }
}

/**
 * A tabular softmax policy: a row of logits per view, a column per action, π(a | view) = softmax(θ[view])_a over the
 * legal actions. All logits and values start at 0: uniform. Parameters `logits` [views, actions] and, with a value
 * head, `values` [views].
 */
export class TabularPolicy implements Policy {
  readonly kind = "tabular";
  readonly width = 0;
  readonly hasValue: boolean;
  readonly actions: ActionList;
  readonly #rows = new Map<string, number>();
  readonly #logits = new Growing();
  readonly #values = new Growing();
  readonly #distribution: Distribution;

  constructor({ actions, views = [], value = false }: TabularOptions) {
    this.actions = new ActionList(actions);
    this.hasValue = value;
    this.#distribution = new Distribution(this.actions.size);
    for (const view of views) this.row(view);
  }

  /** Row of a view; a view that was not met yet gets the next one. */
  row(view: string): number {
    let row = this.#rows.get(view);
    if (row === undefined) {
      row = this.#rows.size;
      this.#rows.set(view, row);
      this.#logits.grow(this.actions.size);
      this.#values.grow(1);
    }
    return row;
  }

  /** Views in the order of the rows. */
  views(): string[] {
    return [...this.#rows.keys()];
  }

  text(id: number): string {
    return this.actions.texts[id] ?? "";
  }

  parameters(): Parameters {
    const logits = this.#logits.values;
    return this.hasValue ? { logits, values: this.#values.values } : { logits };
  }

  shapes(): Record<string, readonly number[]> {
    const logits = [this.#rows.size, this.actions.size];
    return this.hasValue ? { logits, values: [this.#rows.size] } : { logits };
  }

  changed(): void {}

  /** @param facts with `views`, the rows are those of the saved policy; without, those of this one. */
  load(parameters: Parameters, facts: Readonly<Record<string, string>> = {}): void {
    const views = facts.views === undefined ? this.views() : readList(facts, "views");
    requireSameFacts(facts, this.facts(), ["kind", "actions"]);
    const shape: Parameters = { logits: new Float64Array(views.length * this.actions.size) };
    if (this.hasValue) shape.values = new Float64Array(views.length);
    requireSameShape(parameters, shape, "a parameter");
    this.#rows.clear();
    views.forEach((view, row) => {
      this.#rows.set(view, row);
    });
    if (this.#rows.size !== views.length) throw new InputError("a view is listed twice", { column: "views" });
    this.#logits.values = parameters.logits;
    this.#values.values = this.hasValue ? parameters.values : new Float64Array(views.length);
  }

  facts(): Record<string, string> {
    return { kind: this.kind, actions: JSON.stringify(this.actions.texts), views: JSON.stringify(this.views()) };
  }

  look(view: string): Outlook {
    const row = this.row(view);
    return { logits: this.#logits.room, from: row * this.actions.size, value: this.#values.room[row], hidden: null };
  }

  session(sampling: Sampling = {}): Session {
    return new ChoiceSession(this, sampling);
  }

  evaluate(traces: readonly Recorded[]): Evaluation {
    requireTraces(traces, this.actions.size);
    const made = emptyEvaluation(countTokens(traces), this.hasValue, 0);
    let t = 0;
    for (const trace of traces) {
      for (let k = 0; k < trace.tokens.length; k++, t++) {
        const { logits, from, value } = this.look(trace.views[k]);
        this.#distribution.of(logits, from, trace.allowed[k]);
        made.logprob[t] = this.#distribution.logprob(trace.tokens[k]);
        made.entropy[t] = this.#distribution.entropy;
        if (made.value !== null) made.value[t] = value;
      }
    }
    return made;
  }

  /** ∂ log π(a) / ∂ θ_b = 1[a = b] − π_b and ∂ entropy / ∂ θ_b = −π_b (log π_b + entropy), for the legal b. */
  gradient(traces: readonly Recorded[], coefficients: Coefficients): Gradient {
    requireCoefficients(coefficients, countTokens(traces), this.hasValue);
    const evaluation = this.evaluate(traces); // gives every view its row
    const gradient: Parameters = { logits: new Float64Array(this.#logits.values.length) };
    if (this.hasValue) gradient.values = new Float64Array(this.#rows.size);
    const { logprob, entropy, value } = coefficients;
    const p = this.#distribution.probabilities;
    let t = 0;
    for (const trace of traces) {
      for (let k = 0; k < trace.tokens.length; k++, t++) {
        const row = this.row(trace.views[k]);
        const from = row * this.actions.size;
        this.#distribution.of(this.#logits.room, from, trace.allowed[k]);
        const spread = entropy === undefined ? 0 : entropy[t];
        for (let b = 0; b < p.length; b++) {
          if (p[b] === 0) continue;
          const turn = spread === 0 ? 0 : spread * (Math.log(p[b]) + evaluation.entropy[t]);
          gradient.logits[from + b] -= p[b] * (logprob[t] + turn);
        }
        gradient.logits[from + trace.tokens[k]] += logprob[t];
        if (value !== undefined) gradient.values[row] += value[t];
      }
    }
    return { gradient, evaluation };
  }

  copy(): TabularPolicy {
    const made = new TabularPolicy({ actions: this.actions.texts, views: this.views(), value: this.hasValue });
    made.load(this.parameters());
    return made;
  }
}

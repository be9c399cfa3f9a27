import { numpy as np } from "@jax-js/jax";
import { InputError } from "../../rollouts/index.ts";
import { Random } from "../random.ts";
import { ActionList } from "./action-list.ts";
import {
  addTo,
  blocksOf,
  copied,
  countTokens,
  emptyEvaluation,
  requireCoefficients,
  requireSameShape,
  requireTraces,
  zerosLike,
} from "./arrays.ts";
import { bucket } from "./buckets.ts";
import { ChoiceSession, type Outlook } from "./choice-session.ts";
import {
  type Arrays,
  blockedLogit,
  type CompiledNetwork,
  compiledNetwork,
  type Decisions,
  type Network,
  type Outcomes,
} from "./compiled.ts";
import { requireSameFacts } from "./facts.ts";
import { type Features, wordFeatures } from "./features.ts";
import { glorot } from "./initial.ts";
import type { Coefficients, Evaluation, Gradient, Parameters, Policy, Recorded, Sampling, Session } from "./policy.ts";

export interface MlpOptions {
  /** Every action, in the order of the logits. */
  actions: readonly string[];
  /** What the network sees of a view. Default `wordFeatures()`. */
  features?: Features;
  /** Widths of the hidden layers. Default [64]. */
  hidden?: readonly number[];
  /** Whether there is a value head. Default false. */
  value?: boolean;
  /** Seed of the initial weights. */
  seed: number;
}

/** Most rows of one compiled call. */
const mostRows = 1024;

interface Shape {
  inputs: number;
  hidden: readonly number[];
  actions: number;
  hasValue: boolean;
}

function shapesOf({ inputs, hidden, actions, hasValue }: Shape): Record<string, readonly number[]> {
  const shapes: Record<string, readonly number[]> = {};
  let width = inputs;
  hidden.forEach((outputs, l) => {
    shapes[`layer${l}.weight`] = [width, outputs];
    shapes[`layer${l}.bias`] = [outputs];
    width = outputs;
  });
  shapes["logits.weight"] = [width, actions];
  shapes["logits.bias"] = [actions];
  if (hasValue) {
    shapes["value.weight"] = [width, 1];
    shapes["value.bias"] = [1];
  }
  return shapes;
}

/** The network in the terms of `@jax-js/jax`: tanh layers, then logits and value. */
function network(layers: number, hasValue: boolean): Network {
  return (p: Arrays, { features }: Arrays) => {
    let x = features;
    for (let l = 0; l < layers; l++) x = np.tanh(np.matmul(x, p[`layer${l}.weight`]).add(p[`layer${l}.bias`]));
    const logits = np.matmul(x.ref, p["logits.weight"]).add(p["logits.bias"]);
    if (!hasValue) return { logits, hidden: x };
    const value = np.matmul(x.ref, p["value.weight"]).add(p["value.bias"]);
    return { logits, hidden: x, value: value.reshape([value.shape[0]]) };
  };
}

/** out = x · weight + bias, for one row. Numbers of x that are zero cost nothing. */
function affine(x: ArrayLike<number>, weight: ArrayLike<number>, bias: ArrayLike<number>, out: Float64Array): void {
  const outputs = out.length;
  out.set(bias);
  for (let i = 0; i < x.length; i++) {
    const scale = x[i];
    if (scale === 0) continue;
    for (let j = 0, from = i * outputs; j < outputs; j++) out[j] += scale * weight[from + j];
  }
}

/**
 * A policy that maps numbers of a view to logits over a fixed list of actions: tanh layers, softmax over the legal
 * actions, and a value head if asked for. It starts almost uniform. Parameters `layerN.weight` [in, out],
 * `layerN.bias`, `logits.weight`, `logits.bias`, `value.weight`, `value.bias`, in single precision.
 */
export class MlpPolicy implements Policy {
  readonly kind = "mlp";
  readonly width: number;
  readonly hasValue: boolean;
  readonly actions: ActionList;
  readonly #options: MlpOptions;
  readonly #features: Features;
  readonly #shapes: Record<string, readonly number[]>;
  readonly #parameters: Parameters = {};
  readonly #layers: Float64Array[];
  readonly #logits: Float64Array;
  readonly #network: CompiledNetwork;

  /** @throws InputError when a width is not a whole number above 0. */
  constructor(options: MlpOptions) {
    const { actions, features = wordFeatures(), hidden = [64], value = false, seed } = options;
    if (hidden.length === 0 || !hidden.every((width) => Number.isInteger(width) && width > 0)) {
      const place = { column: "hidden", expected: "widths of at least one layer", got: `[${hidden.join(", ")}]` };
      throw new InputError("an MLP needs hidden layers", place);
    }
    this.#options = options;
    this.actions = new ActionList(actions);
    this.hasValue = value;
    this.width = hidden[hidden.length - 1];
    this.#features = features;
    this.#layers = hidden.map((width) => new Float64Array(width));
    this.#logits = new Float64Array(actions.length);
    this.#shapes = shapesOf({ inputs: features.size, hidden, actions: actions.length, hasValue: value });
    this.#network = compiledNetwork(`mlp ${hidden.length} ${value}`, () => network(hidden.length, value));
    const random = new Random(seed);
    for (const [name, shape] of Object.entries(this.#shapes)) {
      const scale = name.startsWith("logits") ? 0.01 : 1;
      const [inputs, outputs] = shape;
      this.#parameters[name] = shape.length === 1 ? new Float32Array(inputs) : glorot(inputs, outputs, random, scale);
    }
  }

  text(id: number): string {
    return this.actions.texts[id] ?? "";
  }

  parameters(): Parameters {
    return this.#parameters;
  }

  shapes(): Record<string, readonly number[]> {
    return this.#shapes;
  }

  changed(): void {}

  load(parameters: Parameters, facts: Readonly<Record<string, string>> = {}): void {
    requireSameFacts(facts, this.facts(), ["kind", "actions"]);
    requireSameShape(parameters, this.#parameters, "a parameter");
    for (const [name, values] of Object.entries(this.#parameters)) values.set(parameters[name]);
  }

  facts(): Record<string, string> {
    return { kind: this.kind, actions: JSON.stringify(this.actions.texts) };
  }

  look(view: string): Outlook {
    const p = this.#parameters;
    let x = this.#features.of(view);
    this.#layers.forEach((out, l) => {
      affine(x, p[`layer${l}.weight`], p[`layer${l}.bias`], out);
      for (let j = 0; j < out.length; j++) out[j] = Math.tanh(out[j]);
      x = out;
    });
    affine(x, p["logits.weight"], p["logits.bias"], this.#logits);
    let value = 0;
    if (this.hasValue) {
      value = p["value.bias"][0];
      for (let j = 0; j < x.length; j++) value += x[j] * p["value.weight"][j];
    }
    return { logits: this.#logits, from: 0, value, hidden: Float32Array.from(x) };
  }

  session(sampling: Sampling = {}): Session {
    return new ChoiceSession(this, sampling);
  }

  evaluate(traces: readonly Recorded[], { hidden = false }: { hidden?: boolean } = {}): Evaluation {
    requireTraces(traces, this.actions.size);
    const rows = rowsOf(traces);
    const made = emptyEvaluation(rows.length, this.hasValue, hidden ? this.width : 0);
    this.#inChunks(rows, (decisions, from, count) => {
      this.#take(made, this.#network.forward(blocksOf(this.#parameters, this.#shapes), decisions, hidden), from, count);
    });
    return made;
  }

  gradient(traces: readonly Recorded[], coefficients: Coefficients): Gradient {
    requireCoefficients(coefficients, countTokens(traces), this.hasValue);
    requireTraces(traces, this.actions.size);
    const rows = rowsOf(traces);
    const evaluation = emptyEvaluation(rows.length, this.hasValue, 0);
    const gradient = zerosLike(this.#parameters);
    this.#inChunks(rows, (decisions, from, count) => {
      const size = decisions.taken.length;
      const part = (given: ArrayLike<number> | undefined) => {
        const weights = new Float32Array(size);
        if (given !== undefined) for (let k = 0; k < count; k++) weights[k] = given[from + k];
        return weights;
      };
      const { logprob, entropy, value } = coefficients;
      const weights = { logprob: part(logprob), entropy: part(entropy), value: this.hasValue ? part(value) : null };
      const made = this.#network.gradient(blocksOf(this.#parameters, this.#shapes), decisions, weights);
      this.#take(evaluation, made.outcomes, from, count);
      addTo(gradient, made.gradient);
    });
    return { gradient, evaluation };
  }

  copy(): MlpPolicy {
    const made = new MlpPolicy(this.#options);
    made.load(copied(this.#parameters));
    return made;
  }

  #inChunks(rows: readonly Row[], call: (decisions: Decisions, from: number, count: number) => void): void {
    for (let from = 0; from < rows.length; from += mostRows) {
      const chunk = rows.slice(from, from + mostRows);
      call(this.#decisions(chunk), from, chunk.length);
    }
  }

  #decisions(rows: readonly Row[]): Decisions {
    const size = bucket(rows.length, 16, mostRows);
    const inputs = this.#features.size;
    const choices = this.actions.size;
    const features = new Float32Array(size * inputs);
    const taken = new Int32Array(size);
    const blocked = new Float32Array(size * choices);
    rows.forEach(({ view, action, allowed }, k) => {
      features.set(this.#features.of(view), k * inputs);
      taken[k] = action;
      if (allowed === null) return;
      for (let a = 0; a < choices; a++) if (allowed[a] === 0) blocked[k * choices + a] = blockedLogit;
    });
    return { inputs: { features: { data: features, shape: [size, inputs] } }, taken, blocked };
  }

  #take(into: Evaluation, from: Outcomes, at: number, count: number): void {
    into.logprob.set(from.logprob.subarray(0, count), at);
    into.entropy.set(from.entropy.subarray(0, count), at);
    if (from.value !== null) into.value?.set(from.value.subarray(0, count), at);
    if (from.hidden !== null) into.hidden?.set(from.hidden.subarray(0, count * this.width), at * this.width);
  }
}

interface Row {
  view: string;
  action: number;
  allowed: Uint8Array | null;
}

function rowsOf(traces: readonly Recorded[]): Row[] {
  return traces.flatMap(({ tokens, views, allowed }) =>
    Array.from(tokens, (action, k): Row => ({ view: views[k], action, allowed: allowed[k] })),
  );
}

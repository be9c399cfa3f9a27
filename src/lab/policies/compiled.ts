import { defaultDevice, jit, lax, nn, numpy as np, valueAndGrad } from "@jax-js/jax";

export type Arrays = { [name: string]: np.Array };

/** Numbers with a shape, on their way to the device. */
export interface Block {
  data: Float32Array | Int32Array;
  shape: number[];
}

/** What a network makes of its inputs, a row per decision. */
export type NetworkOutput = {
  /** [rows, choices]; there may be more columns that can never be chosen (`blockedLogit`). */
  logits: np.Array;
  /** [rows, width]. */
  hidden: np.Array;
  /** [rows]; left out without a value head. */
  value?: np.Array;
};

/** A function of parameters and inputs, all of which it uses up (reference counting of `@jax-js/jax`). */
export type Network = (parameters: Arrays, inputs: Arrays) => NetworkOutput;

/** Decisions of one call, padded to its rows. */
export interface Decisions {
  inputs: Record<string, Block>;
  /** Which choice was taken, per row. */
  taken: Int32Array;
  /** [rows, columns of logits]: 0 where a choice is allowed, else `blockedLogit`; null = all are. */
  blocked: Float32Array | null;
}

/** Numbers per row. */
export interface Outcomes {
  logprob: Float32Array;
  entropy: Float32Array;
  value: Float32Array | null;
  /** [rows, width]; null unless asked for. */
  hidden: Float32Array | null;
}

/** Derivatives of the loss, per row. */
export interface Weights {
  logprob: Float32Array;
  entropy: Float32Array;
  value: Float32Array | null;
}

/** Added to the logit of a choice that is not allowed. */
export const blockedLogit = -1e9;

type Scores = { logprob: np.Array; entropy: np.Array; hidden: np.Array; value?: np.Array };
type Call = { inputs: Arrays; taken: np.Array; blocked?: np.Array };

/** log π of the taken choices and entropies, from the logits of a network. */
function scores(network: Network, parameters: Arrays, { inputs, taken, blocked }: Call): Scores {
  const { logits, ...rest } = network(parameters, inputs);
  const choices = logits.shape[1];
  const open = blocked === undefined ? logits : logits.add(blocked);
  const top = lax.stopGradient(np.max(open.ref, -1, { keepdims: true }));
  const centred = open.sub(top);
  const weights = np.exp(centred.ref);
  const total = np.sum(weights.ref, -1);
  const logTotal = np.log(total.ref);
  const mean = np.sum(weights.mul(centred.ref), -1).div(total);
  const logprob = np.sum(centred.mul(nn.oneHot(taken, choices)), -1).sub(logTotal.ref);
  return { logprob, entropy: logTotal.sub(mean), ...rest };
}

function data(array: np.Array): Float32Array {
  return array.dataSync() as Float32Array;
}

function outcomes({ logprob, entropy, hidden, value }: Scores, withHidden: boolean): Outcomes {
  const made = { logprob: data(logprob), entropy: data(entropy), value: value === undefined ? null : data(value) };
  if (withHidden) return { ...made, hidden: data(hidden) };
  hidden.dispose();
  return { ...made, hidden: null };
}

/**
 * A network with a choice at every row, compiled for the WebAssembly backend once per shape of its inputs. Numbers go
 * in and out as plain arrays; nothing stays on the device between calls.
 */
export class CompiledNetwork {
  readonly #forward: (parameters: Arrays, call: Call) => Scores;
  readonly #gradient: (parameters: Arrays, call: Call, weights: Arrays) => [[np.Array, Scores], Arrays];

  constructor(network: Network) {
    const loss = (parameters: Arrays, call: Call, weights: Arrays): [np.Array, Scores] => {
      const made = scores(network, parameters, call);
      const terms = [np.sum(weights.logprob.mul(made.logprob.ref)), np.sum(weights.entropy.mul(made.entropy.ref))];
      if (made.value !== undefined) terms.push(np.sum(weights.value.mul(made.value.ref)));
      return [terms.reduce((sum, term) => sum.add(term)), made];
    };
    this.#forward = jit((parameters: Arrays, call: Call) => scores(network, parameters, call));
    this.#gradient = jit(valueAndGrad(loss, { hasAux: true })) as never;
  }

  forward(parameters: Record<string, Block>, decisions: Decisions, withHidden: boolean): Outcomes {
    return outcomes(this.#forward(putAll(parameters), putCall(decisions)), withHidden);
  }

  /** Σ_rows weights.logprob · ∂log π + weights.entropy · ∂entropy + weights.value · ∂value, by parameter. */
  gradient(
    parameters: Record<string, Block>,
    decisions: Decisions,
    weights: Weights,
  ): { gradient: Record<string, Float32Array>; outcomes: Outcomes } {
    const rows = [weights.logprob.length];
    const given: Arrays = {
      logprob: np.array(weights.logprob, { shape: rows }),
      entropy: np.array(weights.entropy, { shape: rows }),
    };
    if (weights.value !== null) given.value = np.array(weights.value, { shape: rows });
    const [[loss, made], gradient] = this.#gradient(putAll(parameters), putCall(decisions), given);
    loss.dispose();
    const entries = Object.entries(gradient).map(([name, array]): [string, Float32Array] => [name, data(array)]);
    return { gradient: Object.fromEntries(entries), outcomes: outcomes(made, false) };
  }
}

function putAll(blocks: Record<string, Block>): Arrays {
  defaultDevice("wasm");
  return Object.fromEntries(Object.entries(blocks).map(([name, { data, shape }]) => [name, np.array(data, { shape })]));
}

function putCall({ inputs, taken, blocked }: Decisions): Call {
  const call: Call = { inputs: putAll(inputs), taken: np.array(taken, { shape: [taken.length] }) };
  if (blocked !== null) call.blocked = np.array(blocked, { shape: [taken.length, blocked.length / taken.length] });
  return call;
}

const networks = new Map<string, CompiledNetwork>();

/**
 * The network of this name, made once: policies of equal shape, a reference and its student for one, share what was
 * compiled.
 */
export function compiledNetwork(name: string, make: () => Network): CompiledNetwork {
  let made = networks.get(name);
  if (made === undefined) {
    made = new CompiledNetwork(make());
    networks.set(name, made);
  }
  return made;
}

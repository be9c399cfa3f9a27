import type { Random } from "../random.ts";

export type Floats = Float32Array | Float64Array;

/** Arrays by name: parameters of a policy, or a gradient with the same names and lengths. */
export type Parameters = Record<string, Floats>;

/** How an action is drawn. */
export interface Sampling {
  /** Logits are divided by it; 0 takes the likeliest. Default 1. */
  temperature?: number;
  /**
   * Only the likeliest tokens that together reach this probability (after the temperature) are drawn from. Default 1:
   * all.
   */
  topP?: number;
  /**
   * Most tokens of one action; one that is not ended by then is cut off. Default 32. Policies with one token per action
   * need one.
   */
  maxTokens?: number;
  /** Whether the hidden state under each sampled token is kept in the trace. Default false. */
  hidden?: boolean;
}

/** The moment before an action. */
export interface Moment {
  /** Which sequence of the session. */
  slot: number;
  /** `environment.view()`: the state of tabular and MLP policies; token policies go by what they have read instead. */
  view: string;
  /** `environment.actions()`: what may be taken now. */
  actions: readonly string[];
}

/** One episode that has to act now. */
export interface Request extends Moment {
  /** Where chance comes from; one per episode makes an episode independent of what else is sampled beside it. */
  random: Random;
}

/** An action that was drawn: its tokens are now the last ones of the trace. */
export interface Choice {
  /** Text for `environment.step`. */
  action: string;
  /** Rows of the trace that are this action's tokens: `from` inclusive, `to` exclusive. */
  from: number;
  to: number;
}

/**
 * What a policy read and did in one episode, in the layout of a rollout: one row per token of the response. Policies
 * that choose among whole actions have one token per action (its number in the action list) and none of the
 * environment. This is all that working out log-probabilities anew needs.
 */
export interface Recorded {
  /** Token ids before the response; empty for policies that choose among whole actions. */
  readonly prompt: Int32Array;
  /** Token ids of the response, observations included. */
  readonly tokens: Int32Array;
  /** 1 where the policy chose the token, 0 where the environment wrote it. */
  readonly mask: Uint8Array;
  /** Per token, the view it was chosen in; empty for token policies. */
  readonly views: readonly string[];
  /** Per token, which ids could be chosen (1) and which not (0); null where all could, and where mask is 0. */
  readonly allowed: readonly (Uint8Array | null)[];
}

/** An episode with what was known of each token when it was drawn. */
export interface Trace extends Recorded {
  /**
   * log π of each token when it was drawn, among the allowed ones, at temperature 1 and without top-p; 0 where mask is
   * 0.
   */
  readonly logprob: Float64Array;
  /** Log-probability under the distribution it was drawn from (temperature and top-p applied); 0 where mask is 0. */
  readonly samplingLogprob: Float64Array;
  /** Entropy of π (temperature 1, all allowed tokens) in nats where a token was chosen; 0 where mask is 0. */
  readonly entropy: Float64Array;
  /** Value before each token; null without a value head. At masked-out tokens 0. */
  readonly value: Float64Array | null;
  /**
   * Hidden state from which each chosen token was drawn, `policy.width` numbers per row (0 where mask is 0); null
   * unless asked for.
   */
  readonly hidden: Float32Array | null;
}

/** Episodes in progress. Slots are independent of each other. */
export interface Session {
  /**
   * Begins an episode and gives its slot.
   * @param prompt what the agent is told first; read by token policies.
   */
  open(prompt: string): number;
  /** Draws one action for each of several episodes (each slot at most once). */
  choose(requests: readonly Request[]): Choice[];
  /** Appends what the environment answered: token policies read it (mask 0), others ignore it. */
  observe(slot: number, text: string): void;
  /**
   * log π(action | this moment) at temperature 1: how likely a given action is here, as a whole. Nothing is appended.
   */
  score(moment: Moment, action: string): number;
  /** Tokens of the response so far. After `observe`, this is the `end` of the turn. */
  length(slot: number): number;
  /** A second episode with the same past, at no cost of reading it again. */
  fork(slot: number): number;
  /** A copy of what happened so far. */
  trace(slot: number): Trace;
  /** Frees the slot; its number may be given again. */
  close(slot: number): void;
}

/** Numbers of recorded tokens under the present parameters: one per token of all traces, trace after trace. */
export interface Evaluation {
  /** log π of each token among the allowed ones at temperature 1; 0 where mask is 0. */
  logprob: Float64Array;
  /** Entropy in nats; 0 where mask is 0. */
  entropy: Float64Array;
  /** Value before each token (0 where mask is 0); null without a value head. */
  value: Float64Array | null;
  /** Hidden states, `policy.width` numbers per token; null unless asked for. */
  hidden: Float32Array | null;
}

/**
 * Derivatives of a loss by what `evaluate` gives, one number per token of all traces. The loss itself (ratio, clipping,
 * KL, aggregation) is the trainer's: it says dL/dlogprob, and the policy carries that back to its parameters.
 */
export interface Coefficients {
  logprob: ArrayLike<number>;
  entropy?: ArrayLike<number>;
  /** Needs a value head. */
  value?: ArrayLike<number>;
}

export interface Gradient {
  /**
   * dL/dparameters = Σ_t logprob_t · ∂log π_t + entropy_t · ∂entropy_t + value_t · ∂value_t, under the names of
   * `parameters()`.
   */
  gradient: Parameters;
  /** What `evaluate` gives for the same traces: it falls out of the same pass. */
  evaluation: Evaluation;
}

/**
 * A policy with parameters that can be trained: tabular, MLP or transformer. The trainer treats them alike: it samples
 * through a session, turns traces into rollouts, and asks for the gradient of its loss.
 */
export interface Policy {
  readonly kind: "tabular" | "mlp" | "transformer";
  /** Numbers in one hidden state; 0 for tabular policies. */
  readonly width: number;
  readonly hasValue: boolean;
  /** Text of a token id. */
  text(id: number): string;
  /**
   * The parameters themselves, not copies, in a fixed order. An optimiser writes to them in place and then calls
   * `changed()`. A tabular policy that learns of its states as it meets them puts longer arrays here: take them anew
   * for every update.
   */
  parameters(): Parameters;
  /** Shapes of the parameters, row-major: what `safetensors` writes beside them. */
  shapes(): Record<string, readonly number[]>;
  /** Has to be called after the parameters were written to. */
  changed(): void;
  /**
   * Sets all parameters to copies of those given.
   * @throws InputError on missing or unknown names, wrong lengths, and facts that are not those of this policy.
   */
  load(parameters: Parameters, facts?: Readonly<Record<string, string>>): void;
  /**
   * Texts to keep beside the parameters (`metadata` of safetensors), and to give to `load`: shape, vocabulary, states.
   */
  facts(): Record<string, string>;
  /** Episodes sampled with the parameters as they are; a session ends when they change. */
  session(sampling?: Sampling): Session;
  /** Log-probabilities, entropies, values and hidden states of recorded tokens under the present parameters. */
  evaluate(traces: readonly Recorded[], options?: { hidden?: boolean }): Evaluation;
  gradient(traces: readonly Recorded[], coefficients: Coefficients): Gradient;
  /** An independent policy with the same parameters: a reference to stay close to, a snapshot of the past. */
  copy(): Policy;
}

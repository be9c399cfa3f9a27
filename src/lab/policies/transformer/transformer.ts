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
} from "../arrays.ts";
import { type CompiledNetwork, compiledNetwork } from "../compiled.ts";
import { requireSameFacts } from "../facts.ts";
import type { Coefficients, Evaluation, Gradient, Parameters, Policy, Recorded, Sampling, Session } from "../policy.ts";
import { gather, type PaddedBatch, padded, scatter } from "./batches.ts";
import { Decoder } from "./decoder.ts";
import { network } from "./network.ts";
import { TransformerSession } from "./session.ts";
import { type FullShape, fullShape, initialParameters, parameterShapes, type TransformerShape } from "./shape.ts";
import { Spellings, Words } from "./vocabulary.ts";

export interface TransformerOptions extends TransformerShape {
  /** Every piece (`splitWords`) that prompts, actions and observations can be made of; others are read as unknown. */
  words: readonly string[];
  /** What one action is: words up to an end that the policy writes (`turn`, the default), or one word. */
  level?: "turn" | "token";
  /**
   * Whether only legal actions can be written: at every token the probabilities of those that go on towards one of the
   * legal actions are scaled to sum to one. Default false: anything can be written.
   */
  constrained?: boolean;
  /** Seed of the initial weights. */
  seed: number;
}

/**
 * A small decoder-only transformer over words. Sampling runs in plain loops with cached keys and values;
 * log-probabilities and gradients of recorded episodes run in `@jax-js/jax`, padded to few shapes, each of which is
 * compiled once. Parameters are in single precision, named as in `parameterShapes`.
 */
export class TransformerPolicy implements Policy {
  readonly kind = "transformer";
  readonly shape: FullShape;
  readonly words: Words;
  readonly spellings: Spellings | null;
  readonly #options: TransformerOptions;
  readonly #parameters: Parameters;
  readonly #network: CompiledNetwork;
  #decoder: Decoder | undefined;

  constructor(options: TransformerOptions) {
    const { words, level = "turn", constrained = false, seed } = options;
    this.#options = options;
    this.words = new Words(words, level === "turn");
    this.spellings = constrained ? new Spellings(this.words) : null;
    this.shape = fullShape(options, this.words.choices, this.words.size);
    this.#parameters = initialParameters(this.shape, seed);
    this.#network = compiledNetwork(`transformer ${JSON.stringify(this.shape)}`, () => network(this.shape));
  }

  get width(): number {
    return this.shape.width;
  }

  get hasValue(): boolean {
    return this.shape.value;
  }

  text(id: number): string {
    return this.words.text(id);
  }

  parameters(): Parameters {
    return this.#parameters;
  }

  shapes(): Record<string, readonly number[]> {
    return parameterShapes(this.shape);
  }

  changed(): void {
    this.#decoder = undefined;
  }

  load(parameters: Parameters, facts: Readonly<Record<string, string>> = {}): void {
    requireSameFacts(facts, this.facts(), ["kind", "words", "shape"]);
    requireSameShape(parameters, this.#parameters, "a parameter");
    for (const [name, values] of Object.entries(this.#parameters)) values.set(parameters[name]);
    this.changed();
  }

  facts(): Record<string, string> {
    return { kind: this.kind, words: JSON.stringify(this.words.words), shape: JSON.stringify(this.shape) };
  }

  /** The network in plain loops, with the parameters as they are now; made anew after `changed`. */
  decoder(): Decoder {
    this.#decoder ??= new Decoder(this.shape, this.#parameters);
    return this.#decoder;
  }

  session(sampling: Sampling = {}): Session {
    return new TransformerSession(this, sampling);
  }

  evaluate(traces: readonly Recorded[], { hidden = false }: { hidden?: boolean } = {}): Evaluation {
    const made = emptyEvaluation(countTokens(traces), this.hasValue, hidden ? this.width : 0);
    for (const batch of this.#batches(traces)) {
      gather(
        this.#network.forward(blocksOf(this.#parameters, this.shapes()), batch.decisions, hidden),
        batch,
        made,
        this.width,
      );
    }
    return made;
  }

  gradient(traces: readonly Recorded[], coefficients: Coefficients): Gradient {
    const tokens = countTokens(traces);
    requireCoefficients(coefficients, tokens, this.hasValue);
    const evaluation = emptyEvaluation(tokens, this.hasValue, 0);
    const gradient = zerosLike(this.#parameters);
    for (const batch of this.#batches(traces)) {
      const made = this.#network.gradient(blocksOf(this.#parameters, this.shapes()), batch.decisions, {
        logprob: scatter(coefficients.logprob, batch),
        entropy: scatter(coefficients.entropy, batch),
        value: this.hasValue ? scatter(coefficients.value, batch) : null,
      });
      gather(made.outcomes, batch, evaluation, this.width);
      addTo(gradient, made.gradient);
    }
    return { gradient, evaluation };
  }

  copy(): TransformerPolicy {
    const made = new TransformerPolicy(this.#options);
    made.load(copied(this.#parameters));
    return made;
  }

  #batches(traces: readonly Recorded[]): Iterable<PaddedBatch> {
    requireTraces(traces, this.words.choices, this.words.size);
    return padded(traces, this.shape, this.words.start, this.spellings !== null);
  }
}

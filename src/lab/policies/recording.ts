import type { Trace } from "./policy.ts";

/** What is known of a token when it is drawn. */
export interface DrawnToken {
  logprob: number;
  samplingLogprob: number;
  entropy: number;
  value: number;
}

const environments: DrawnToken = { logprob: 0, samplingLogprob: 0, entropy: 0, value: 0 };

/** A trace while it grows. */
export class Recording {
  readonly prompt: Int32Array;
  readonly #hasValue: boolean;
  /** Numbers of one hidden state; 0 = none are kept. */
  readonly #width: number;
  #tokens: number[] = [];
  #mask: number[] = [];
  #views: string[] = [];
  #allowed: (Uint8Array | null)[] = [];
  #drawn: DrawnToken[] = [];
  #hidden: (Float32Array | null)[] = [];

  constructor(prompt: Int32Array, hasValue: boolean, width: number) {
    this.prompt = prompt;
    this.#hasValue = hasValue;
    this.#width = width;
  }

  get length(): number {
    return this.#tokens.length;
  }

  /** A token that the policy chose. */
  chose(token: number, allowed: Uint8Array | null, drawn: DrawnToken, hidden: Float32Array | null): void {
    this.#tokens.push(token);
    this.#mask.push(1);
    this.#allowed.push(allowed);
    this.#drawn.push(drawn);
    this.#hidden.push(hidden);
  }

  /** The view in which the last token was chosen. */
  saw(view: string): void {
    this.#views.push(view);
  }

  /** Tokens that the environment wrote. */
  read(tokens: Int32Array): void {
    for (const token of tokens) {
      this.#tokens.push(token);
      this.#mask.push(0);
      this.#allowed.push(null);
      this.#drawn.push(environments);
      this.#hidden.push(null);
    }
  }

  copy(): Recording {
    const made = new Recording(this.prompt, this.#hasValue, this.#width);
    made.#tokens = this.#tokens.slice();
    made.#mask = this.#mask.slice();
    made.#views = this.#views.slice();
    made.#allowed = this.#allowed.slice();
    made.#drawn = this.#drawn.slice();
    made.#hidden = this.#hidden.slice();
    return made;
  }

  trace(): Trace {
    const column = (name: keyof DrawnToken) => Float64Array.from(this.#drawn, (drawn) => drawn[name]);
    return {
      prompt: this.prompt,
      tokens: Int32Array.from(this.#tokens),
      mask: Uint8Array.from(this.#mask),
      views: this.#views.slice(),
      allowed: this.#allowed.slice(),
      logprob: column("logprob"),
      samplingLogprob: column("samplingLogprob"),
      entropy: column("entropy"),
      value: this.#hasValue ? column("value") : null,
      hidden: this.#width > 0 ? this.#hiddenRows() : null,
    };
  }

  #hiddenRows(): Float32Array {
    const rows = new Float32Array(this.length * this.#width);
    this.#hidden.forEach((row, k) => {
      if (row !== null) rows.set(row, k * this.#width);
    });
    return rows;
  }
}

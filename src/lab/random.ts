/** State of a generator: four words. */
export type RandomState = readonly [number, number, number, number];

function splitmix(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x9e3779b9) | 0;
    let word = state ^ (state >>> 16);
    word = Math.imul(word, 0x21f0aaad);
    word ^= word >>> 15;
    word = Math.imul(word, 0x735a2d97);
    return word ^ (word >>> 15);
  };
}

const rotl = (word: number, by: number) => (word << by) | (word >>> (32 - by));

/**
 * Random numbers that are the same on every machine for the same seed: xoshiro128** (Blackman and Vigna, 2018), its
 * state filled by a 32-bit splitmix of the seed. The state can be read and set, so that an episode can be replayed.
 */
export class Random {
  #a = 0;
  #b = 0;
  #c = 0;
  #d = 0;

  /** @param seed a whole number (its low 32 bits count). */
  constructor(seed: number) {
    const next = splitmix(seed);
    this.state = [next(), next(), next(), next() | 1];
  }

  get state(): RandomState {
    return [this.#a, this.#b, this.#c, this.#d];
  }

  set state(words: RandomState) {
    [this.#a, this.#b, this.#c, this.#d] = words;
  }

  /** The next 32 bits as a whole number from 0. */
  bits(): number {
    const result = Math.imul(rotl(Math.imul(this.#b, 5), 7), 9);
    const t = this.#b << 9;
    this.#c ^= this.#a;
    this.#d ^= this.#b;
    this.#b ^= this.#c;
    this.#a ^= this.#d;
    this.#c ^= t;
    this.#d = rotl(this.#d, 11);
    return result >>> 0;
  }

  /** A number in [0, 1) with 53 random bits. */
  uniform(): number {
    return ((this.bits() >>> 5) * 2 ** 26 + (this.bits() >>> 6)) / 2 ** 53;
  }

  /** A whole number in [0, count). */
  below(count: number): number {
    return Math.floor(this.uniform() * count);
  }

  /**
   * An index drawn with the given probabilities (they need not sum to one exactly; the last possible one takes the
   * rest).
   */
  choose(probabilities: ArrayLike<number>): number {
    let left = this.uniform();
    let last = 0;
    for (let k = 0; k < probabilities.length; k++) {
      if (probabilities[k] <= 0) continue;
      last = k;
      left -= probabilities[k];
      if (left < 0) return k;
    }
    return last;
  }
}

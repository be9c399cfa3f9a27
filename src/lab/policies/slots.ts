/** Numbered places that are given, freed and given again, lowest first. */
export class Slots<T> {
  readonly #taken: (T | undefined)[] = [];

  add(value: T): number {
    let slot = this.#taken.indexOf(undefined);
    if (slot < 0) slot = this.#taken.length;
    this.#taken[slot] = value;
    return slot;
  }

  /** @throws Error when nothing is there: the caller closed it or never opened it. */
  at(slot: number): T {
    const value = this.#taken[slot];
    if (value === undefined) throw new Error(`slot ${slot} is not open`);
    return value;
  }

  close(slot: number): void {
    this.at(slot);
    this.#taken[slot] = undefined;
  }
}

import { describe, InputError } from "../../rollouts/index.ts";

/** All actions of a task, numbered, and which of them may be taken. */
export class ActionList {
  readonly texts: readonly string[];
  readonly #index = new Map<string, number>();
  readonly #masks = new Map<string, Uint8Array | null>();

  /** @throws InputError when the list is empty or names an action twice. */
  constructor(texts: readonly string[]) {
    if (texts.length === 0) throw new InputError("a policy needs actions to choose from", { got: "an empty list" });
    texts.forEach((text, k) => {
      if (this.#index.has(text)) throw new InputError("an action is listed twice", { got: describe(text) });
      this.#index.set(text, k);
    });
    this.texts = [...texts];
  }

  get size(): number {
    return this.texts.length;
  }

  /** @throws InputError when there is no such action. */
  index(text: string): number {
    const k = this.#index.get(text);
    if (k !== undefined) return k;
    const expected = `one of ${this.texts.slice(0, 8).join(", ")}${this.size > 8 ? ", …" : ""}`;
    throw new InputError("the policy does not know this action", { expected, got: describe(text) });
  }

  /**
   * 1 at the actions that may be taken, null when all may. Equal lists give the same array.
   * @throws InputError when none may be taken, or one is unknown.
   */
  mask(actions: readonly string[]): Uint8Array | null {
    const key = actions.join("\n");
    const known = this.#masks.get(key);
    if (known !== undefined) return known;
    if (actions.length === 0) throw new InputError("no action may be taken here", { hint: "the episode is over" });
    const mask = new Uint8Array(this.size);
    for (const action of actions) mask[this.index(action)] = 1;
    const made = mask.includes(0) ? mask : null;
    this.#masks.set(key, made);
    return made;
  }
}

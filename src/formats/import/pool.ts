import {
  type Batch,
  BatchBuilder,
  checkRollout,
  type FaultPlace,
  InputError,
  type RolloutObject,
} from "../../rollouts/index.ts";

interface Pooled {
  rollout: RolloutObject;
  place: FaultPlace;
}

/**
 * Gathers rollouts from any number of files and gives them out with the members of a group together, in order of the
 * groups' first appearance: logs are mostly written trial after trial, while everything downstream wants whole groups.
 */
export class RolloutPool {
  readonly #seen = new Map<string, FaultPlace>();
  #groups = new Map<string, Pooled[]>();
  #last = "";
  /** Bytes of text behind the rollouts that wait. */
  bytes = 0;
  /** Rollouts taken so far. */
  rollouts = 0;

  /**
   * Takes one rollout.
   * @throws InputError when it does not conform or its id was used before; nothing of it is taken then.
   */
  add(rollout: RolloutObject, place: FaultPlace, bytes: number): void {
    try {
      checkRollout(rollout);
    } catch (error) {
      throw error instanceof InputError ? error.located(place) : error;
    }
    const before = this.#seen.get(rollout.id);
    if (before !== undefined) {
      const where = before.line === undefined ? before.file : `${before.file}:${before.line}`;
      throw new InputError("this id was already used", { ...place, rollout: rollout.id, hint: `first in ${where}` });
    }
    this.#seen.set(rollout.id, place);
    const key = rollout.group === undefined || rollout.group === null ? `id ${rollout.id}` : `group ${rollout.group}`;
    const members = this.#groups.get(key);
    if (members === undefined) this.#groups.set(key, [{ rollout, place }]);
    else members.push({ rollout, place });
    this.#last = key;
    this.rollouts++;
    this.bytes += bytes;
  }

  /**
   * A batch of what waits; null when nothing does.
   * @param all whether this is the end; otherwise the group that came last, which may go on, stays.
   */
  take(all: boolean): Batch | null {
    const kept = all ? undefined : this.#groups.get(this.#last);
    const builder = new BatchBuilder();
    for (const members of this.#groups.values()) {
      if (members !== kept) for (const { rollout, place } of members) builder.add(rollout, place);
    }
    this.#groups = kept === undefined ? new Map() : new Map([[this.#last, kept]]);
    this.bytes = 0;
    return builder.size === 0 ? null : builder.finish();
  }
}

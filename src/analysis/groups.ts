import { policyLengths } from "../operators/mask.ts";
import type { Batch } from "../rollouts/index.ts";

/** What the length of a rollout counts: policy tokens where there are tokens, else turns, steps or messages. */
export type LengthUnit = "tokens" | "turns" | "steps" | "messages";

export interface Lengths {
  min: number;
  median: number;
  max: number;
}

export interface GroupSummary {
  /** Name of the group; the id of a rollout that is alone. */
  name: string;
  size: number;
  unscored: number;
  /** Rewards of the scored rollouts, ascending. */
  rewards: readonly number[];
  /** Mean reward (for rewards of 0 and 1 the pass rate), `null` when none is scored. */
  mean: number | null;
  /** Population standard deviation of the rewards; `null` when none is scored. */
  spread: number | null;
  lengths: Lengths;
}

export interface GroupsSummary {
  groups: readonly GroupSummary[];
  rollouts: number;
  unscored: number;
  /** Whether all rewards are 0 or 1, so that means are pass rates. */
  binary: boolean;
  mean: number | null;
  /** Groups of two or more scored rollouts with equal rewards: group-relative methods give them nothing. */
  withoutSpread: number;
  unit: LengthUnit;
  lengths: Lengths;
}

function lengthsOf(values: readonly number[]): Lengths {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.round(share * (sorted.length - 1))] ?? 0;
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 === 1 ? sorted[middle] : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
  return { min: at(0), median, max: at(1) };
}

const units: readonly LengthUnit[] = ["tokens", "turns", "steps", "messages"];

/** Lengths of all rollouts of a batch in one unit. */
function measured(batch: Batch, unit: LengthUnit): ArrayLike<number> {
  if (unit === "tokens") return policyLengths(batch);
  if (unit === "messages") {
    const cells = batch.has("messages") ? batch.cells("messages") : [];
    return Array.from({ length: batch.size }, (_, i) => (Array.isArray(cells[i]) ? cells[i].length : 0));
  }
  const offsets = batch.offsets(unit === "turns" ? "turn" : "step");
  return Int32Array.from({ length: batch.size }, (_, i) => offsets[i + 1] - offsets[i]);
}

interface Collected {
  rewards: number[];
  unscored: number;
  lengths: Record<LengthUnit, number[]>;
}

/** Collects what groups look like from batches handed in one after another; a group may come in pieces. */
export class GroupCollector {
  readonly #groups = new Map<string, Collected>();

  add(batch: Batch): void {
    const scored = batch.validity("rollout.reward");
    const rewards = batch.has("rollout.reward") ? batch.numbers("rollout.reward", { absent: 0, missing: 0 }) : null;
    const lengths = units.map((unit) => measured(batch, unit));
    for (let i = 0; i < batch.size; i++) {
      const name = batch.groupNames[i];
      const key = name === null ? `rollout ${batch.ids[i]}` : `group ${name}`;
      let group = this.#groups.get(key);
      if (group === undefined) {
        group = { rewards: [], unscored: 0, lengths: { tokens: [], turns: [], steps: [], messages: [] } };
        this.#groups.set(key, group);
      }
      if (rewards === null || scored?.[i] === 0) group.unscored++;
      else group.rewards.push(rewards[i]);
      units.forEach((unit, k) => {
        group.lengths[unit].push(lengths[k][i]);
      });
    }
  }

  /** The summary of all that was added, groups in the order of their first rollout. */
  finish(): GroupsSummary {
    const all = [...this.#groups.values()];
    const unit = units.find((one) => all.some(({ lengths }) => lengths[one].some((n) => n > 0))) ?? "tokens";
    const groups = [...this.#groups].map(([key, group]) => summary(key.slice(key.indexOf(" ") + 1), group, unit));
    const rewards = all.flatMap((group) => group.rewards);
    return {
      groups,
      rollouts: groups.reduce((sum, group) => sum + group.size, 0),
      unscored: groups.reduce((sum, group) => sum + group.unscored, 0),
      binary: rewards.length > 0 && rewards.every((reward) => reward === 0 || reward === 1),
      mean: meanOf(rewards),
      withoutSpread: groups.filter((group) => group.rewards.length > 1 && group.spread === 0).length,
      unit,
      lengths: lengthsOf(all.flatMap((group) => group.lengths[unit])),
    };
  }
}

function meanOf(values: readonly number[]): number | null {
  return values.length === 0 ? null : values.reduce((sum, x) => sum + x / values.length, 0);
}

function spreadOf(sorted: readonly number[], mean: number | null): number | null {
  if (mean === null) return null;
  if (sorted[0] === sorted[sorted.length - 1]) return 0;
  return Math.sqrt(sorted.reduce((sum, x) => sum + (x - mean) ** 2 / sorted.length, 0));
}

function summary(name: string, { rewards, unscored, lengths }: Collected, unit: LengthUnit): GroupSummary {
  const sorted = [...rewards].sort((a, b) => a - b);
  const mean = meanOf(sorted);
  return {
    name,
    size: rewards.length + unscored,
    unscored,
    rewards: sorted,
    mean,
    spread: spreadOf(sorted, mean),
    lengths: lengthsOf(lengths[unit]),
  };
}

/** The groups of one batch. */
export function summarizeGroups(batch: Batch): GroupsSummary {
  const collector = new GroupCollector();
  collector.add(batch);
  return collector.finish();
}

import type { Runs } from "../../operators/runs.ts";
import { describe, InputError } from "../../rollouts/index.ts";

/** What the table counts; only rows inside runs are looked at. */
export interface CountedRows {
  readonly state: readonly unknown[];
  readonly action: readonly unknown[];
  /** Recorded π(a | x) of a row of a rollout, `null` when it is to be counted too. */
  readonly probability: (row: number, rollout: number) => number | null;
}

/** Numbers 0, 1, … by first appearance of a key, and how often each came. */
class Counter<K> {
  readonly #numbers = new Map<K, number>();
  readonly counts: number[] = [];

  add(key: K): number {
    let number = this.#numbers.get(key);
    if (number === undefined) {
      number = this.counts.length;
      this.#numbers.set(key, number);
      this.counts.push(0);
    }
    this.counts[number]++;
    return number;
  }
}

/** Text and numbers are their own key, anything else its JSON; a number and its text are two keys. */
function keyOf(cell: unknown, what: string): string | number | boolean {
  if (typeof cell === "number" || typeof cell === "boolean") return cell;
  if (typeof cell === "string") return `"${cell}`;
  if (cell !== null && typeof cell === "object") return JSON.stringify(cell);
  throw new InputError(`a row has no ${what}`, {
    column: what,
    expected: "text, a number or JSON",
    got: describe(cell),
  });
}

/** Bin of a return: 9 significant digits, or the number of its interval. */
function binOf(z: number, width: number): number {
  return width > 0 ? Math.floor(z / width + 1e-9) : Number(z.toPrecision(9)) + 0;
}

/** Two numbers as one key; exact as long as both stay below 2^26. */
const pairBase = 2 ** 26;

/**
 * Ratio π / h of every row inside the runs, h counted over all of them:
 * h = (n(x, a, z) + prior · π) / (n(x, z) + prior), π = n(x, a) / n(x) where it is not recorded.
 */
export function hindsightTable(
  rows: CountedRows,
  { offsets, starts, ends }: Runs,
  returns: Float64Array,
  { prior, bin_width }: { prior: number; bin_width: number },
  out: Float64Array,
): void {
  const states = new Counter<string | number | boolean>();
  const actions = new Counter<string | number | boolean>();
  const bins = new Counter<number>();
  const stateActions = new Counter<number>();
  const stateBins = new Counter<number>();
  const all = new Counter<number>();
  const keys = new Int32Array(4 * returns.length);
  const visit = (each: (row: number, rollout: number) => void) => {
    for (let i = 0; i + 1 < offsets.length; i++) {
      for (let run = offsets[i]; run < offsets[i + 1]; run++) {
        for (let row = starts[run]; row < ends[run]; row++) each(row, i);
      }
    }
  };
  visit((row) => {
    const x = states.add(keyOf(rows.state[row], "state"));
    const a = actions.add(keyOf(rows.action[row], "action"));
    const z = bins.add(binOf(returns[row], bin_width));
    const xa = stateActions.add(x * pairBase + a);
    keys[4 * row] = x;
    keys[4 * row + 1] = xa;
    keys[4 * row + 2] = stateBins.add(x * pairBase + z);
    keys[4 * row + 3] = all.add(xa * pairBase + z);
  });
  visit((row, rollout) => {
    const at = 4 * row;
    const pi = rows.probability(row, rollout) ?? stateActions.counts[keys[at + 1]] / states.counts[keys[at]];
    const h = (all.counts[keys[at + 3]] + prior * pi) / (stateBins.counts[keys[at + 2]] + prior);
    out[row] = pi / h;
  });
}

import type { ExactModel } from "../exact/model.ts";
import type { SoftmaxTable } from "../softmax-table.ts";

type Odds = Map<number, number>;

/** Returns that differ by rounding only are one. */
const rounded = (value: number) => Math.round(value * 1e9) / 1e9;

function add(to: Odds, from: Odds, weight: number, shift: number): void {
  for (const [value, p] of from) {
    const key = rounded(value + shift);
    to.set(key, (to.get(key) ?? 0) + weight * p);
  }
}

/**
 * The probability of an action in hindsight, h(a | row, Z) = π(a | row) P(Z | row, a) / P(Z | row), exact: the distribution
 * of the return to go is worked out for every state, and averaged over the states that look alike, weighted by how often
 * the policy passes through them.
 * @returns h of a row, an action, and the return from there on.
 */
export function hindsightOdds(
  model: ExactModel,
  policy: SoftmaxTable,
  occupancy: Float64Array,
): (row: number, action: number, toGo: number) => number {
  const columns = model.actions.length;
  const byState: Odds[] = [];
  const byRow = model.rows.map((): Odds => new Map());
  const byPair = Array.from({ length: model.rows.length * columns }, (): Odds => new Map());
  for (let s = 0; s < model.states; s++) {
    const odds: Odds = new Map();
    const row = model.rowOf[s];
    if (row < 0) odds.set(0, 1);
    for (let o = model.options[s]; o < model.options[s + 1]; o++) {
      const own: Odds = new Map();
      for (let k = model.outcomes[o]; k < model.outcomes[o + 1]; k++) {
        add(own, byState[model.next[k]], model.probability[k], model.reward[k]);
      }
      const p = policy.probability(row, model.actionOf[o]);
      add(odds, own, p, 0);
      add(byPair[row * columns + model.actionOf[o]], own, p * occupancy[s], 0);
    }
    byState.push(odds);
    if (row >= 0) add(byRow[row], odds, occupancy[s], 0);
  }
  return (row, action, toGo) => {
    const whole = byRow[row].get(rounded(toGo)) ?? 0;
    const part = byPair[row * columns + action].get(rounded(toGo)) ?? 0;
    return whole === 0 ? policy.probability(row, action) : Math.min(1, part / whole);
  };
}

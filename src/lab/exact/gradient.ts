import type { SoftmaxTable } from "../softmax-table.ts";
import type { ExactModel } from "./model.ts";
import { type ExactValues, exactValues } from "./values.ts";

/**
 * Exact policy gradient of a tabular softmax policy, [row · actions + column]:
 * ∂J / ∂θ[row, a] = visits(row) π(a | row) (Q(row, a) − V(row)).
 * @param values values of this very policy, when they are known already.
 */
export function exactGradient(
  model: ExactModel,
  policy: SoftmaxTable,
  values: ExactValues = exactValues(model, policy),
): Float64Array {
  const columns = model.actions.length;
  const { visits, rowValues, rowActionValues } = values;
  const gradient = new Float64Array(visits.length * columns);
  for (let row = 0; row < visits.length; row++) {
    if (visits[row] === 0) continue;
    const p = policy.probabilities(row);
    for (let a = 0; a < columns; a++) {
      if (p[a] === 0) continue;
      gradient[row * columns + a] = visits[row] * p[a] * (rowActionValues[row * columns + a] - rowValues[row]);
    }
  }
  return gradient;
}

import { InputError } from "../../rollouts/index.ts";
import { constants, type Finding, notApplicable, rounding } from "./certificate.ts";
import { groupSizes, type Setting, solution } from "./setting.ts";
import { policyCount, samplePotential, tasks } from "./tasks.ts";
import { type GradientCase, gradientCase, gradientPair } from "./unbiased.ts";

const norm = (values: Float64Array) => Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));

/** How far two expected gradients are apart: as they are, and after the second is stretched to fit best. */
function distances(before: Float64Array, after: Float64Array): { plain: number; stretched: number; factor: number } {
  const length = Math.max(norm(before), norm(after));
  if (length < 1e-12) return { plain: 0, stretched: 0, factor: 1 };
  const inner = before.reduce((sum, value, k) => sum + value * after[k], 0);
  const factor = inner / Math.max(norm(before) ** 2, 1e-300);
  return {
    plain: norm(before.map((value, k) => value - after[k])) / length,
    stretched: norm(before.map((value, k) => factor * value - after[k])) / length,
    factor,
  };
}

interface Shaped {
  before: GradientCase;
  after: GradientCase;
  distance: ReturnType<typeof distances>;
}

/**
 * Potential shaping: γΦ(s') − Φ(s) added to the rewards of the steps (Φ = 0 at the end) leaves the expected gradient as it
 * is. Single credits may change.
 */
export function shapingLaw(setting: Setting): Finding {
  if (setting.plan.layout === "outcome") return notApplicable("it reads no rewards of steps");
  const gamma = typeof setting.params.gamma === "number" ? setting.params.gamma : 1;
  const found: Shaped[] = [];
  const refusals: string[] = [];
  const change = { potential: { of: samplePotential, gamma } };
  for (const task of tasks) {
    try {
      for (const size of groupSizes(setting, solution(setting, task, 0))) {
        for (let policy = 0; policy < policyCount; policy++) {
          const before = gradientCase(setting, task, policy, { groups: 1, size }, "exact");
          const after = gradientCase(setting, task, policy, { groups: 1, size }, "exact", change);
          found.push({ before, after, distance: distances(before.expected, after.expected) });
        }
      }
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      refusals.push(error.message);
    }
  }
  if (found.length === 0) return notApplicable(`it refuses every case: ${refusals[0]}`);
  if (found.every(({ before }) => norm(before.expected) < 1e-12)) {
    return notApplicable("its credit is zero on every task here");
  }
  const largest = Math.max(...found.map(({ distance }) => distance.plain));
  const cases = found.reduce((sum, { before }) => sum + before.cases, 0);
  const notes = refusals.length > 0 ? [`refuses some of the cases: ${refusals[0]}`] : [];
  const wrong = found.filter(({ distance }) => distance.plain > constants);
  if (wrong.length === 0) {
    if (largest > rounding) notes.push("up to the small constants of its normalisation");
    return { verdict: "yes", cases, largest, notes };
  }
  const isFactor = wrong.every(({ distance }) => distance.stretched <= constants && distance.factor > 0);
  const least = Math.min(...wrong.map(({ before }) => before.cases));
  const [worst] = wrong
    .filter(({ before }) => before.cases === least)
    .sort((a, b) => b.distance.plain - a.distance.plain);
  const what = `Φ is added to the rewards of the steps as ${gamma === 1 ? "" : `${gamma} · `}Φ(after) − Φ(before)`;
  const counterexample = gradientPair(setting, worst.before, worst.after, what);
  return { verdict: isFactor ? "factor" : "no", cases, largest, notes, counterexample };
}

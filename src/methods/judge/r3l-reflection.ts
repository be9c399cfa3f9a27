/** What a reflection is worth, 1/0 for true/false; `pivot` is the step from which to retry. */
export interface Verdict {
  valid: 0 | 1;
  perfect: 0 | 1;
  pivot: number | null;
}

const unusable: Verdict = { valid: 0, perfect: 0, pivot: null };
const needed = ["trajectory_summary", "root_cause_analysis", "trajectory_outcome"];

/** A step number: numbers are cut to whole ones towards 0, text must be a whole number; null for anything else. */
function stepNumber(value: unknown): number | null {
  if (typeof value === "string") return /^\s*[+-]?\d+\s*$/.test(value) ? Number(value) + 0 : null;
  return typeof value === "number" && Number.isFinite(value) ? Math.trunc(value) + 0 : null;
}

/** Checks a report of a trajectory of `steps` steps that a policy wrote about itself. */
export function checkReflection(report: unknown, steps: number): Verdict {
  if (report === null || typeof report !== "object" || Array.isArray(report)) return unusable;
  const fields = report as Record<string, unknown>;
  if (!needed.every((key) => Object.hasOwn(fields, key))) return unusable;
  const outcome = fields.trajectory_outcome;
  if (outcome === "success") return { valid: 1, perfect: 1, pivot: null };
  if (outcome !== "failure" && outcome !== "success_but_inefficient") return unusable;
  if ((fields.improvement_suggestion ?? null) === null) return unusable;
  const pivot = stepNumber(fields.retry_from_step);
  return pivot === null || pivot < 0 || pivot >= steps ? unusable : { valid: 1, perfect: 0, pivot };
}

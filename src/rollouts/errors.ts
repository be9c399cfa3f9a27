/** Where a fault was found and what would mend it. Every field is optional; the message names those that are known. */
export interface FaultPlace {
  file?: string;
  /** 1-based line of a text file. */
  line?: number;
  /** Id of the rollout. */
  rollout?: string;
  /** Path of the column, for example `tokens.logprob`. */
  column?: string;
  /** Id of the method that asked. */
  method?: string;
  expected?: string;
  got?: string;
  /** What the person can do about it. */
  hint?: string;
}

function sentence(problem: string, at: FaultPlace): string {
  const where: string[] = [];
  if (at.file !== undefined) where.push(at.line === undefined ? at.file : `${at.file}:${at.line}`);
  else if (at.line !== undefined) where.push(`line ${at.line}`);
  if (at.rollout !== undefined) where.push(`rollout ${JSON.stringify(at.rollout)}`);
  if (at.column !== undefined) where.push(`column ${at.column}`);
  if (at.method !== undefined) where.push(`method ${at.method}`);
  const parts = [where.length > 0 ? `${where.join(", ")}: ${problem}` : problem];
  if (at.expected !== undefined && at.got !== undefined) parts.push(`expected ${at.expected}, got ${at.got}`);
  else if (at.expected !== undefined) parts.push(`expected ${at.expected}`);
  else if (at.got !== undefined) parts.push(`got ${at.got}`);
  const text = parts.join("; ");
  return at.hint === undefined ? text : `${text} (${at.hint})`;
}

/**
 * Bad input: something the caller gave is wrong. Its message is one sentence that names file, line, rollout, column,
 * what was expected, what came and what to do, as far as they are known. The command line exits with 2.
 */
export class InputError extends Error {
  override readonly name = "InputError";
  readonly problem: string;
  readonly at: FaultPlace;

  constructor(problem: string, at: FaultPlace = {}) {
    super(sentence(problem, at));
    this.problem = problem;
    this.at = at;
  }

  /** The same fault with more known about its place; what was already known wins. */
  located(more: FaultPlace): InputError {
    const known = Object.fromEntries(Object.entries(this.at).filter(([, value]) => value !== undefined));
    return new InputError(this.problem, { ...more, ...known });
  }
}

/** A short, safe rendering of any value for the "got" part of a message. */
export function describe(value: unknown): string {
  if (value === undefined) return "nothing";
  if (value === null) return "null";
  if (typeof value === "string")
    return value.length > 40 ? `${JSON.stringify(value.slice(0, 37))}…` : JSON.stringify(value);
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value === "object") return "an object";
  return String(value);
}

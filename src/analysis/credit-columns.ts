import { type Batch, levelKey } from "../rollouts/index.ts";
import { creditAt } from "./series.ts";

/** Levels in the order in which their credit is easiest to read beside a transcript. */
const readingOrder = ["turn", "step", "token", "rollout"] as const;

/** Names that a method's column may have, likeliest first. */
const names = ["advantage", "credit"];

function isCredit(batch: Batch, path: string): boolean {
  return creditAt(batch, path) !== null;
}

/** Whether a name is a method's with more behind it: `gigpo_step` beside `gigpo`. */
function isPartOfAnother(id: string, known: ReadonlyMap<string, string>): boolean {
  for (let at = id.indexOf("_"); at > 0; at = id.indexOf("_", at + 1)) if (known.has(id.slice(0, at))) return true;
  return false;
}

/**
 * The columns that hold credit: the plain one of a single method (`turns.advantage`, else of steps, tokens,
 * rollouts), else one per method of a file that holds several (`turns.grpo_advantage`). Empty when there is none.
 */
export function creditColumns(batch: Batch): string[] {
  for (const name of names) {
    for (const level of readingOrder) {
      const path = `${levelKey(level)}.${name}`;
      if (batch.has(path) && isCredit(batch, path)) return [path];
    }
    const byMethod = new Map<string, string>();
    for (const level of readingOrder) {
      const prefix = `${levelKey(level)}.`;
      for (const path of batch.paths) {
        if (!path.startsWith(prefix) || !path.endsWith(`_${name}`) || !isCredit(batch, path)) continue;
        const method = path.slice(prefix.length, -name.length - 1);
        if (!byMethod.has(method)) byMethod.set(method, path);
      }
    }
    const methods = [...byMethod].filter(([id]) => !isPartOfAnother(id, byMethod));
    if (methods.length > 0) return methods.map(([, path]) => path);
  }
  return [];
}

const levelOfPath = (path: string) => path.slice(0, path.indexOf("."));
const nameOfPath = (path: string) => path.slice(path.indexOf(".") + 1);

/** What columns are called beside a transcript: the method of `turns.grpo_advantage`, else the path. */
export function creditTitle(path: string): string {
  const ending = names.map((name) => `_${name}`).find((one) => path.endsWith(one));
  return ending === undefined ? path : nameOfPath(path).slice(0, -ending.length);
}

/** Titles of columns side by side: their levels where only these tell them apart, else `creditTitle`. */
export function creditTitles(paths: readonly string[]): string[] {
  const same =
    paths.length > 1 && paths.every((path) => path.includes(".") && nameOfPath(path) === nameOfPath(paths[0]));
  return paths.map(same ? levelOfPath : creditTitle);
}

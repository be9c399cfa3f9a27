import { type Batch, levelKey } from "../rollouts/index.ts";
import { creditAt } from "./series.ts";

/** Levels in the order in which their credit is easiest to read beside a transcript. */
const readingOrder = ["turn", "step", "token", "rollout"] as const;

/** Names that a method's column may have, likeliest first. */
const names = ["advantage", "credit"];

function isCredit(batch: Batch, path: string): boolean {
  return creditAt(batch, path) !== null;
}

/**
 * The columns that hold credit: the plain one of a single method (`turns.advantage`, else of steps, tokens, rollouts), else
 * one per method of a file that holds several (`turns.grpo_advantage`). Empty when there is none.
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
    if (byMethod.size > 0) return [...byMethod.values()];
  }
  return [];
}

/** What a column is called beside a transcript: the method of `turns.grpo_advantage`, else the path. */
export function creditTitle(path: string): string {
  const name = names.map((one) => `_${one}`).find((ending) => path.endsWith(ending));
  return name === undefined ? path : path.slice(path.indexOf(".") + 1, -name.length);
}

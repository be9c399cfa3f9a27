import { InputError } from "./errors.ts";

/**
 * The tables of a rollout. `rollout` has one row per rollout; the others are jagged: each rollout has its own number of
 * rows. `reference` is the reference answer, `edge` the relations between turns of a multi-agent run.
 */
export type Level = "rollout" | "turn" | "step" | "token" | "reference" | "edge";

/** Levels below the rollout, whose rows are counted by offsets. */
export type JaggedLevel = Exclude<Level, "rollout">;

/** Key of a jagged level in JSON, which is also the first part of its column paths. */
export const jaggedKeys = {
  turns: "turn",
  steps: "step",
  tokens: "token",
  reference: "reference",
  edges: "edge",
} as const satisfies Record<string, JaggedLevel>;

export const jaggedLevels: readonly JaggedLevel[] = ["turn", "step", "token", "reference", "edge"];

const keyByLevel: Record<Level, string> = {
  rollout: "rollout",
  turn: "turns",
  step: "steps",
  token: "tokens",
  reference: "reference",
  edge: "edges",
};

/** First part of the paths of a level: `turn` → `turns`. */
export function levelKey(level: Level): string {
  return keyByLevel[level];
}

/** First parts of rollout-level paths: `rollout.reward`, `rewards.NAME`, `signals.NAME`, `meta.NAME`. */
const rolloutKeys = new Set(["rollout", "rewards", "signals", "meta"]);

/**
 * Level of a column path such as `tokens.logprob`, `signals.duration_s` or `messages`.
 * @throws InputError when the path has no known level.
 */
export function levelOf(path: string): Level {
  if (path === "messages" || path === "meta") return "rollout";
  const dot = path.indexOf(".");
  const key = dot < 0 ? path : path.slice(0, dot);
  if (dot > 0 && dot < path.length - 1) {
    if (rolloutKeys.has(key)) return "rollout";
    if (Object.hasOwn(jaggedKeys, key)) return jaggedKeys[key as keyof typeof jaggedKeys];
  }
  throw new InputError("not a column path", {
    column: path,
    expected: "LEVEL.NAME with LEVEL one of rollout, rewards, signals, meta, turns, steps, tokens, reference, edges",
    got: JSON.stringify(path),
  });
}

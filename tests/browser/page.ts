// What the test runs twice: in Node by importing this module, in the page by loading its bundle.
import {
  assign,
  batchFromObjects,
  type CaseResult,
  compareMethods,
  findMethod,
  methods,
  type RolloutObject,
  rolloutObject,
  runCase,
  summarizeGroups,
  transcriptOf,
  type VectorFile,
} from "../../src/core.ts";
import { halfTrained } from "../../src/lab/environments/key-door-policy.ts";
import { sampleKeyDoor } from "../../src/lab/environments/key-door-rollouts.ts";

/** Methods of all levels that the rollouts of the key-door task can feed. */
const credited = [
  "gae",
  "grpo",
  "rloo",
  "reinforce-pp",
  "tempo",
  "gigpo",
  "matchtir",
  "igpo",
  "kl-shaping",
  "turn-ppo",
];

/** Rollouts sampled, credited, compared and laid out for reading: all of it plain JSON. */
export function thread() {
  const tasks = [
    { lockers: 4, turns: 6, porter: 0.6 },
    { lockers: 6, turns: 8, porter: 0.5 },
  ];
  const rollouts: RolloutObject[] = [...sampleKeyDoor({ tasks, size: 6, policy: halfTrained, seed: 7 })];
  const batch = batchFromObjects(rollouts);
  const compared = credited.map((id) => ({ method: findMethod(id), params: {} }));
  const { skipped, aligned, agreement } = compareMethods(batch, compared);
  return JSON.parse(
    JSON.stringify({
      credit: Object.fromEntries(
        credited.map((id) => {
          const result = assign(batch, id);
          return [id, Array.from({ length: batch.size }, (_, i) => rolloutObject(result, i))];
        }),
      ),
      skipped,
      level: aligned.level,
      agreement,
      groups: summarizeGroups(batch),
      transcript: transcriptOf(assign(batch, "gigpo"), 0),
    }),
  );
}

/** All cases of vector files whose method is in the catalogue. */
export async function runVectors(files: readonly VectorFile[]): Promise<Record<string, CaseResult[]>> {
  const results: Record<string, CaseResult[]> = {};
  for (const { id, cases } of files) {
    if (!methods.has(id)) continue;
    results[id] = [];
    for (const one of cases) results[id].push(await runCase(id, one));
  }
  return results;
}

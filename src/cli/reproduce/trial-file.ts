import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import type { Scale, Trial } from "../../lab/experiments/experiment.ts";
import { writeWhole } from "./whole-file.ts";

/** Where finished trials are kept, in the folder that the command is run in. */
export const trialFolder = ".apportion/claims";

/** Which trial: everything that its numbers depend on, besides the code of the experiment that `version` stands for. */
export interface TrialKey {
  id: string;
  version: number;
  scale: Scale;
  seed: number;
}

/** A trial and how long it took. */
export interface TimedTrial {
  trial: Trial;
  milliseconds: number;
}

const schema = z.object({
  id: z.string(),
  version: z.number(),
  scale: z.enum(["full", "slice"]),
  seed: z.number(),
  milliseconds: z.number(),
  trial: z.object({
    measures: z.record(z.string(), z.number()),
    curves: z.record(z.string(), z.array(z.number().nullable())).optional(),
  }),
});

export function trialPath({ id, version, scale, seed }: TrialKey): string {
  return join(trialFolder, id, `v${version}-${scale}-${seed}.json`);
}

/** A trial of an earlier run; `null` when there is none, or when its file is not one. */
export async function readTrial(key: TrialKey): Promise<TimedTrial | null> {
  let found: z.infer<typeof schema>;
  try {
    found = schema.parse(JSON.parse(await readFile(trialPath(key), "utf8")));
  } catch {
    return null; // missing or damaged: it is run again
  }
  const { id, version, scale, seed, milliseconds, trial } = found;
  if (id !== key.id || version !== key.version || scale !== key.scale || seed !== key.seed) return null;
  const { measures, curves } = trial;
  if (curves === undefined) return { trial: { measures }, milliseconds };
  // JSON has no NaN: gaps of a curve are kept as null.
  const whole = Object.entries(curves).map(([name, values]) => [name, values.map((value) => value ?? Number.NaN)]);
  return { trial: { measures, curves: Object.fromEntries(whole) }, milliseconds };
}

export async function keepTrial(key: TrialKey, { trial, milliseconds }: TimedTrial): Promise<void> {
  await writeWhole(trialPath(key), `${JSON.stringify({ ...key, milliseconds, trial })}\n`);
}

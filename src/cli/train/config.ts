import { z } from "zod";
import { type Arm, type TrainingSettings, trainingSettings } from "../../lab/training/index.ts";
import { policyKinds } from "../../lab/training/policies.ts";
import { methodParams } from "../../methods/assign.ts";
import { findMethod } from "../../methods/registry.ts";
import { InputError } from "../../rollouts/errors.ts";

const params = z.record(z.string(), z.unknown());

/** What a run is: `config.json` of its folder. With the same version of apportion it gives the same numbers again. */
export const runConfig = z.object({
  apportion: z.string(),
  environment: z.object({ id: z.string(), params }),
  policy: z.object({ kind: z.enum(policyKinds), params }),
  methods: z.array(z.object({ name: z.string(), calls: z.array(z.object({ id: z.string(), params })).min(1) })).min(1),
  seeds: z.array(z.int()).min(1),
  settings: trainingSettings,
  checkpoint_every: z.int().min(1),
  rollouts_every: z.int().min(1),
});

export type RunConfig = z.output<typeof runConfig> & { settings: TrainingSettings };

/**
 * The configuration of a folder.
 * @throws InputError when it is not one.
 */
export function parseConfig(text: string, file: string): RunConfig {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new InputError("not JSON", { file, got: (error as Error).message });
  }
  const parsed = runConfig.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new InputError("not the configuration of a training run", {
    file,
    column: issue.path.join("."),
    expected: issue.message,
  });
}

/** The arms of a run, their methods looked up. */
export function armsOf(config: RunConfig): Arm[] {
  return config.methods.map(({ name, calls }) => ({
    name,
    calls: calls.map(({ id, params: given }) => {
      const method = findMethod(id);
      return { method, params: methodParams(method, given) };
    }),
  }));
}

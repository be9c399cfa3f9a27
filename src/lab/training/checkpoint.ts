import { describe, InputError } from "../../rollouts/index.ts";
import type { OptimiserState } from "../optimisers/optimiser.ts";
import type { Parameters } from "../policies/policy.ts";
import { readSafetensors, type Tensor, writeSafetensors } from "../policies/safetensors.ts";
import type { RandomState } from "../random.ts";
import type { TrainerState } from "./trainer.ts";
import type { ValueState } from "./values.ts";

/** A checkpoint as two files: the policy alone, and what else going on needs. */
export interface CheckpointFiles {
  /** Parameters and facts of the policy. */
  policy: Uint8Array;
  /** State of the optimiser, reference policy, learned values, chance and count of updates. */
  state: Uint8Array;
}

const flat = (data: Tensor["data"]): Tensor => ({ shape: [data.length], data });

const prefixed = (prefix: string, arrays: Parameters | OptimiserState): [string, Tensor][] =>
  Object.entries(arrays).map(([name, data]) => [`${prefix}/${name}`, flat(data)]);

/** The files of a checkpoint, both safetensors. Equal states give equal bytes. */
export function writeCheckpoint(state: TrainerState): CheckpointFiles {
  const { parameters, shapes, facts, optimiser, reference, values, random, update } = state;
  const tensors = Object.fromEntries(
    Object.entries(parameters).map(([name, data]) => [name, { shape: shapes[name], data }] as const),
  );
  const more = [
    ...prefixed("optimiser", optimiser),
    ...(reference === null ? [] : prefixed("reference", reference.parameters)),
    ["values", flat(Float64Array.from(values.values))] as [string, Tensor],
  ];
  const metadata = {
    update: JSON.stringify(update),
    random: JSON.stringify(random),
    views: JSON.stringify(values.views),
    reference: JSON.stringify(reference?.facts ?? null),
  };
  return {
    policy: writeSafetensors({ tensors, metadata: facts }),
    state: writeSafetensors({ tensors: Object.fromEntries(more), metadata }),
  };
}

/**
 * Reads a checkpoint back.
 * @param names names of the files, for messages.
 * @throws InputError when a file is damaged or is no such file.
 */
export function readCheckpoint(files: CheckpointFiles, names: { policy: string; state: string }): TrainerState {
  const policy = readSafetensors(files.policy, names.policy);
  const state = readSafetensors(files.state, names.state);
  const parsed = (name: string): unknown => {
    try {
      return JSON.parse(state.metadata[name]);
    } catch {
      const at = { file: names.state, column: name, got: describe(state.metadata[name]) };
      throw new InputError("this is not the state of a training run", at);
    }
  };
  const under = <T>(prefix: string): Record<string, T> =>
    Object.fromEntries(
      Object.entries(state.tensors)
        .filter(([name]) => name.startsWith(`${prefix}/`))
        .map(([name, { data }]) => [name.slice(prefix.length + 1), data as T]),
    );
  const facts = parsed("reference") as Record<string, string> | null;
  return {
    update: parsed("update") as number,
    random: parsed("random") as RandomState,
    parameters: Object.fromEntries(
      Object.entries(policy.tensors).map(([name, { data }]) => [name, data]),
    ) as Parameters,
    shapes: Object.fromEntries(Object.entries(policy.tensors).map(([name, { shape }]) => [name, shape])),
    facts: policy.metadata,
    optimiser: under<Float64Array>("optimiser"),
    reference: facts === null ? null : { parameters: under("reference"), facts },
    values: { views: parsed("views") as string[], values: Array.from(state.tensors.values.data) } satisfies ValueState,
  };
}

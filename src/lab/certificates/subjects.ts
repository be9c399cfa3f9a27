import type { Method } from "../../methods/method.ts";
import { findMethod, methods } from "../../methods/registry.ts";
import { specials } from "./specials.ts";

/** A method with parameters: a row of the table. */
export interface Subject {
  method: Method;
  /** Parameters that differ from the defaults. */
  params: Readonly<Record<string, unknown>>;
}

const centred = { norm_by_std: false };
const plain = { whiten_advantage: false };

/** Choices of parameters that change what holds, worth a row of their own beside the defaults. */
const variants: readonly [id: string, params: Readonly<Record<string, unknown>>][] = [
  ["counterfactual", centred],
  ["dr-grpo", { loss_scale: 16 }],
  ["dr-mas", centred],
  ["dr-mas", { singleton: "zero" }],
  ["gae", plain],
  ["gae", { whiten_advantage: false, lam: 0.95 }],
  ["gigpo", { gamma: 1, norm_by_std: false }],
  ["gpg", { alpha: "none" }],
  ["gpg", { f_norm: "std" }],
  ["grpo", centred],
  ["grpo-passk", centred],
  ["grpo-process", centred],
  ["hiper", { norm_adv: false, lam_seg: 1 }],
  ["hybrid-multi-aspect", { p_max: 0 }],
  ["igpo", centred],
  ["m-grpo", centred],
  ["matchtir", { gamma: 1 }],
  ["mt-grpo", { baseline: "turn_index_sum", norm_by_std: false }],
  ["mt-grpo", { baseline: "fixed", norm_by_std: false, leave_one_out: true }],
  ["mt-grpo", { baseline: "alive", norm_by_std: false, leave_one_out: true }],
  ["orchestration-traces", { scale: false }],
  ["page-llm", { lam: 1 }],
  ["ppr", plain],
  ["prime", plain],
  ["pure", plain],
  ["reinforce-pp", { baseline: "group_mean" }],
  ["remax", { gamma: 0.9 }],
  ["rloo", { normalize_batch: true }],
  ["rudder", { credit: "return" }],
  ["shapley", centred],
  ["sotopia-rl", { agent: "ann" }],
  ["spo", plain],
  ["tempo", centred],
  ["tempo", { norm_by_std: false, td_weight: 0 }],
  ["trace", { turn_weight: 0, norm_by_std: false }],
  ["treeps-rag", { leaf_scale: "none" }],
  ["treeps-rag", { leaf_scale: "none", local_weight: 0 }],
  ["turn-ppo", { gamma: 1, lam: 1, whiten_advantage: "none" }],
  ["two-stage", { variant: "grpo", norm_by_std: false }],
  ["vineppo", plain],
];

/** The defaults of a method, then its variants. */
export function subjectsOf(method: Method): Subject[] {
  const own = variants.filter(([id]) => id === method.id).map(([, params]) => ({ method, params }));
  return [{ method, params: specials[method.id]?.params ?? {} }, ...own];
}

/** Every method of the registry, or those named, with the variants of each. */
export function allSubjects(ids: readonly string[] = [...methods.keys()]): Subject[] {
  return ids.flatMap((id) => subjectsOf(findMethod(id)));
}

/** Parameters as on the command line: `norm_by_std=false gamma=1`. */
export function paramsText(params: Readonly<Record<string, unknown>>): string {
  return Object.entries(params)
    .map(([name, value]) => `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`)
    .join(" ");
}

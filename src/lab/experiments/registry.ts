import type { Experiment } from "./experiment.ts";

/** Experiments by the id of their card; each is loaded when it is asked for. */
export const experiments: Readonly<Record<string, () => Promise<{ experiment: Experiment }>>> = {
  gpg: () => import("./gpg.ts"),
  grpo: () => import("./grpo.ts"),
  "grpo-passk": () => import("./grpo-passk.ts"),
  igpo: () => import("./igpo.ts"),
  "mt-grpo": () => import("./mt-grpo.ts"),
  opo: () => import("./opo.ts"),
  "reinforce-pp": () => import("./reinforce-pp.ts"),
  remax: () => import("./remax.ts"),
  rloo: () => import("./rloo.ts"),
  tempo: () => import("./tempo.ts"),
  trace: () => import("./trace.ts"),
  "turn-ppo": () => import("./turn-ppo.ts"),
  verpo: () => import("./verpo.ts"),
  vpr: () => import("./vpr.ts"),
};

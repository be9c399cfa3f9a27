import type { Experiment } from "./experiment.ts";

/** Experiments by the id of their card; each is loaded when it is asked for. */
export const experiments: Readonly<Record<string, () => Promise<{ experiment: Experiment }>>> = {
  a2tgpo: () => import("./a2tgpo.ts"),
  "clip-delta": () => import("./clip-delta.ts"),
  dapo: () => import("./dapo.ts"),
  "dr-grpo": () => import("./dr-grpo.ts"),
  gae: () => import("./gae.ts"),
  gigpo: () => import("./gigpo.ts"),
  gpg: () => import("./gpg.ts"),
  "grpo-passk": () => import("./grpo-passk.ts"),
  grpo: () => import("./grpo.ts"),
  hiper: () => import("./hiper.ts"),
  igpo: () => import("./igpo.ts"),
  "mt-grpo": () => import("./mt-grpo.ts"),
  opo: () => import("./opo.ts"),
  pure: () => import("./pure.ts"),
  "reinforce-pp": () => import("./reinforce-pp.ts"),
  remax: () => import("./remax.ts"),
  rloo: () => import("./rloo.ts"),
  tempo: () => import("./tempo.ts"),
  trace: () => import("./trace.ts"),
  "turn-ppo": () => import("./turn-ppo.ts"),
  "two-stage": () => import("./two-stage.ts"),
  verpo: () => import("./verpo.ts"),
  vineppo: () => import("./vineppo.ts"),
  vpr: () => import("./vpr.ts"),
};

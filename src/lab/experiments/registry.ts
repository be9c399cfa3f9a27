import type { Experiment } from "./experiment.ts";

/** Experiments by the id of their card; each is loaded when it is asked for. */
export const experiments: Readonly<Record<string, () => Promise<{ experiment: Experiment }>>> = {
  igpo: () => import("./igpo.ts"),
  tempo: () => import("./tempo.ts"),
};

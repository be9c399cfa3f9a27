import { AdamW } from "../optimisers/adamw.ts";
import type { Optimiser } from "../optimisers/optimiser.ts";
import { schedule } from "../optimisers/schedule.ts";
import { Sgd } from "../optimisers/sgd.ts";
import type { Policy } from "../policies/policy.ts";
import type { TrainingSettings } from "./settings.ts";

/** Learning rates where nothing is said. */
const rates = { tabular: 0.1, mlp: 0.01, transformer: 0.003 } as const;

/** The learning rate of a run: as set, else by the kind of policy. */
export const learningRate = (settings: TrainingSettings, kind: Policy["kind"]) => settings.lr ?? rates[kind];

/** The optimiser that the settings describe. */
export function makeOptimiser(settings: TrainingSettings, kind: Policy["kind"]): Optimiser {
  const { updates, epochs, minibatches, warmup, clip_norm: maxNorm } = settings;
  const falling = schedule({
    kind: settings.schedule,
    rate: learningRate(settings, kind),
    warmup,
    total: updates * epochs * minibatches,
  });
  if (settings.optimiser === "sgd") return new Sgd({ schedule: falling, momentum: settings.momentum, maxNorm });
  const { beta1, beta2, adam_eps: eps, weight_decay: weightDecay } = settings;
  return new AdamW({ schedule: falling, beta1, beta2, eps, weightDecay, maxNorm });
}

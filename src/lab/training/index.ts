export { type CheckpointFiles, readCheckpoint, writeCheckpoint } from "./checkpoint.ts";
export type { CreditCall } from "./credit.ts";
export { type Metrics, timings } from "./metrics.ts";
export { settleTraining, type TrainingSettings, trainingSettings } from "./settings.ts";
export { type Arm, type TrainingEvent, type TrainOptions, train } from "./train.ts";
export { Trainer, type TrainerParts, type TrainerState } from "./trainer.ts";

export { Batch, type BatchParts, type Groups, type LevelRows, type NumbersOptions } from "./batch.ts";
export { type BranchReading, firstTree, type Lines, readAsLines } from "./branches.ts";
export { BatchBuilder, type BuilderOptions, batchFromObjects } from "./builder.ts";
export { cellBytes, NumberCells } from "./cells.ts";
export {
  type Column,
  type ColumnValues,
  type FloatArray,
  firstNonFinite,
  type JsonColumn,
  LaterColumn,
  markFinite,
  type NumericArray,
  type NumericColumn,
  rolloutOfRow,
  type StringColumn,
} from "./column.ts";
export { describe, type FaultPlace, InputError } from "./errors.ts";
export { foldLines } from "./fold-lines.ts";
export { type JaggedLevel, jaggedKeys, jaggedLevels, type Level, levelKey, levelOf } from "./levels.ts";
export { ResultMemory } from "./memory.ts";
export { rolloutObject, rolloutObjects, setOwn } from "./objects.ts";
export {
  checkEnds,
  checkPointers,
  checkRollout,
  type RolloutObject,
  reservedKeys,
  type Storage,
  storageOf,
} from "./schema.ts";
export { concatBatches, selectRollouts } from "./select.ts";
export { batchBytes, sliceRollouts } from "./slice.ts";
export { batchFaults } from "./validate.ts";

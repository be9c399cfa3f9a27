/** The part of Apportion that runs anywhere, browsers included: rollouts, operators, methods, analysis. */
export * from "./analysis/index.ts";
export * from "./conformance/run.ts";
export { type AssignOptions, assign, methodParams } from "./methods/assign.ts";
export * from "./methods/method.ts";
export { missingReads, parseRead } from "./methods/reads.ts";
export { closest, findMethod, methods } from "./methods/registry.ts";
export * from "./rollouts/index.ts";

// One line per method, sorted by file: the registry lists whatever is exported here.
export { gae } from "./critic/gae.ts";
export { grpo } from "./group/grpo.ts";

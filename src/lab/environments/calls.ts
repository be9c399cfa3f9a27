import type { ToolCall } from "./environment.ts";

/** A call as an agent writes it: `open(3)`, `search(Ada, birthplace)`. */
export function callText(call: ToolCall): string {
  return `${call.name}(${Object.values(call.arguments).join(", ")})`;
}

import { request as message } from "../../../src/formats/otlp/protobuf.ts";
import type { request } from "./requests.ts";

/** A request in JSON form as protobuf. */
export function encodeRequest(json: unknown): Uint8Array {
  const copy = structuredClone(json) as ReturnType<typeof request>;
  for (const span of copy.resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans))) {
    for (const name of ["traceId", "spanId", "parentSpanId"] as const) {
      const id = span[name];
      if (id !== undefined) span[name] = Buffer.from(id, "hex").toString("base64");
    }
  }
  return message.encode(message.fromObject(copy)).finish();
}

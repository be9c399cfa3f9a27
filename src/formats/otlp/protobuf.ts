import protobuf from "protobufjs/light.js";
import { InputError } from "../../rollouts/index.ts";

type Fields = Record<string, { id: number; type: string; rule?: "repeated" }>;

const field = (id: number, type: string) => ({ id, type });
const many = (id: number, type: string) => ({ id, type, rule: "repeated" as const });

/** Messages of opentelemetry/proto/trace/v1 and what they consist of; fields that nobody reads are left out. */
const messages: Record<string, Fields> = {
  Request: { resourceSpans: many(1, "ResourceSpans") },
  ResourceSpans: { resource: field(1, "Resource"), scopeSpans: many(2, "ScopeSpans") },
  Resource: { attributes: many(1, "KeyValue") },
  ScopeSpans: { spans: many(2, "Span") },
  Span: {
    traceId: field(1, "bytes"),
    spanId: field(2, "bytes"),
    parentSpanId: field(4, "bytes"),
    name: field(5, "string"),
    startTimeUnixNano: field(7, "fixed64"),
    endTimeUnixNano: field(8, "fixed64"),
    attributes: many(9, "KeyValue"),
    events: many(11, "Event"),
    status: field(15, "Status"),
  },
  Event: { name: field(2, "string"), attributes: many(3, "KeyValue") },
  Status: { message: field(2, "string"), code: field(3, "int32") },
  KeyValue: { key: field(1, "string"), value: field(2, "AnyValue") },
  AnyValue: {
    stringValue: field(1, "string"),
    boolValue: field(2, "bool"),
    intValue: field(3, "int64"),
    doubleValue: field(4, "double"),
    arrayValue: field(5, "ArrayValue"),
    kvlistValue: field(6, "KeyValueList"),
    bytesValue: field(7, "bytes"),
  },
  ArrayValue: { values: many(1, "AnyValue") },
  KeyValueList: { values: many(1, "KeyValue") },
};

const root = protobuf.Root.fromJSON({
  nested: Object.fromEntries(Object.entries(messages).map(([name, fields]) => [name, { fields }])),
});
/** An OTLP trace request. */
export const request = root.lookupType("Request");

interface Encoded {
  resourceSpans?: { scopeSpans?: { spans?: Record<string, unknown>[] }[] }[];
}

/** Ids as the hexadecimal text that OTLP's JSON form has; toObject gives bytes in base64. */
function hexIds(span: Record<string, unknown>): void {
  for (const name of ["traceId", "spanId", "parentSpanId"]) {
    if (typeof span[name] === "string") span[name] = Buffer.from(span[name], "base64").toString("hex");
  }
}

/**
 * An OTLP trace request from protobuf to its JSON form.
 * @throws InputError when the bytes are no such message.
 */
export function decodeRequest(bytes: Uint8Array): unknown {
  let decoded: Encoded;
  try {
    const message = request.decode(bytes);
    decoded = request.toObject(message, { longs: String, bytes: String, arrays: true }) as Encoded;
  } catch (error) {
    throw new InputError("not an OTLP trace request in protobuf", { got: (error as Error).message });
  }
  for (const group of decoded.resourceSpans ?? []) {
    for (const scope of group.scopeSpans ?? []) scope.spans?.forEach(hexIds);
  }
  return decoded;
}

import { describe, InputError } from "../../rollouts/index.ts";
import { isObject, type JsonObject } from "../import/fields.ts";

/** Something that happened during a span. */
export interface SpanEvent {
  name: string;
  attributes: JsonObject;
}

/** One span of a trace, whichever encoding it came in. */
export interface Span {
  /** 32 hexadecimal digits. */
  traceId: string;
  /** 16 hexadecimal digits. */
  spanId: string;
  /** `null` for the root of a trace. */
  parentId: string | null;
  name: string;
  /** Nanoseconds since 1970, as text: they do not fit into a double. */
  start: string;
  end: string;
  attributes: JsonObject;
  events: SpanEvent[];
  /** What went wrong; `null` when nothing did. */
  error: string | null;
  /** Name of the program that made it. */
  service: string | null;
}

/** A value of an attribute: the one field of an AnyValue that is set. */
function anyValue(value: unknown, depth = 0): unknown {
  if (!isObject(value) || depth > 50) return null;
  const { stringValue, boolValue, intValue, doubleValue, arrayValue, kvlistValue, bytesValue } = value;
  if (stringValue !== undefined && stringValue !== null) return String(stringValue);
  if (typeof boolValue === "boolean") return boolValue;
  if (intValue !== undefined && intValue !== null) return Number(intValue);
  if (doubleValue !== undefined && doubleValue !== null) return Number(doubleValue);
  if (isObject(arrayValue)) return listOf(arrayValue.values).map((one) => anyValue(one, depth + 1));
  if (isObject(kvlistValue)) return attributesOf(kvlistValue.values, depth + 1);
  return typeof bytesValue === "string" ? bytesValue : null;
}

const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);

/** A list of keys and values as an object; the last of equal keys counts. */
function attributesOf(list: unknown, depth = 0): JsonObject {
  const attributes = listOf(list)
    .filter(isObject)
    .filter(({ key }) => typeof key === "string" && key !== "__proto__");
  return Object.fromEntries(attributes.map(({ key, value }) => [key as string, anyValue(value, depth)]));
}

const hex = /^[0-9a-f]+$/i;

function idOf(value: unknown, digits: number, field: string): string {
  if (typeof value === "string" && value.length === digits && hex.test(value)) return value.toLowerCase();
  throw new InputError(`a span has no valid ${field}`, {
    expected: `${digits} hexadecimal digits`,
    got: describe(value),
  });
}

function timeOf(value: unknown): string {
  const text = String(value ?? "0");
  return /^\d{1,20}$/.test(text) ? text : "0";
}

function spanOf(value: unknown, resource: JsonObject): Span {
  if (!isObject(value)) throw new InputError("not a span", { expected: "an object", got: describe(value) });
  const { name, status, parentSpanId } = value;
  const parent = typeof parentSpanId === "string" && parentSpanId !== "" ? parentSpanId : null;
  const code = isObject(status) ? status.code : undefined;
  const isError = code === 2 || code === "STATUS_CODE_ERROR";
  const message = isObject(status) && typeof status.message === "string" ? status.message : "";
  const service = resource["service.name"];
  return {
    traceId: idOf(value.traceId, 32, "traceId"),
    spanId: idOf(value.spanId, 16, "spanId"),
    parentId: parent === null ? null : idOf(parent, 16, "parentSpanId"),
    name: typeof name === "string" ? name : "",
    start: timeOf(value.startTimeUnixNano),
    end: timeOf(value.endTimeUnixNano),
    attributes: attributesOf(value.attributes),
    events: listOf(value.events)
      .filter(isObject)
      .map((event) => ({ name: String(event.name ?? ""), attributes: attributesOf(event.attributes) })),
    error: isError ? message || "error" : null,
    service: typeof service === "string" ? service : null,
  };
}

/**
 * The spans of an OTLP request in JSON form: `resourceSpans` → `scopeSpans` → `spans`.
 * @throws InputError when it is no such request, or a span lacks its ids.
 */
export function spansOf(request: unknown): Span[] {
  if (!isObject(request) || !Array.isArray(request.resourceSpans)) {
    throw new InputError("not an OTLP trace request", {
      expected: "an object with resourceSpans",
      got: describe(request),
    });
  }
  return request.resourceSpans.filter(isObject).flatMap((group) => {
    const resource = isObject(group.resource) ? attributesOf(group.resource.attributes) : {};
    const scopes = listOf(group.scopeSpans ?? group.instrumentationLibrarySpans).filter(isObject);
    return scopes.flatMap((scope) => listOf(scope.spans).map((span) => spanOf(span, resource)));
  });
}

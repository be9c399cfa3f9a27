import type { FastifySchemaCompiler } from "fastify";
import { z } from "zod";
import { HttpError } from "./problem.ts";

declare module "fastify" {
  /** What the OpenAPI document says of a route. */
  interface FastifySchema {
    summary?: string;
    description?: string;
    tags?: readonly string[];
    /** Content types of the body, JSON when left out. */
    consumes?: readonly string[];
  }
}

const sources = new WeakMap<object, z.ZodType>();

/** JSON Schema of a zod schema for the OpenAPI document; `validator` finds its way back to the zod schema. */
export function schemaOf(schema: z.ZodType): Record<string, unknown> {
  const { $schema: _dialect, ...rest } = z.toJSONSchema(schema, { io: "input" });
  sources.set(rest, schema);
  return rest;
}

/** What `schema` makes of a value. @throws HttpError 400 naming the place, what was expected and what came. */
export function parsed<T>(schema: z.ZodType<T>, value: unknown, part: string): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw new HttpError(400, `${[part, ...issue.path].join("/")}: ${issue.message}`);
}

/** Queries and paths are text: numbers in them are read as such where the schema wants numbers. */
function withNumbers(schema: z.ZodType, value: unknown): unknown {
  if (!(schema instanceof z.ZodObject) || value === null || typeof value !== "object") return value;
  const wanted = (schemaOf(schema).properties ?? {}) as Record<string, { type?: string }>;
  const read = ([name, text]: [string, unknown]): [string, unknown] => {
    const isNumber = wanted[name]?.type === "integer" || wanted[name]?.type === "number";
    return [name, isNumber && typeof text === "string" && text.trim() !== "" ? Number(text) : text];
  };
  return Object.fromEntries(Object.entries(value).map(read));
}

/** Checks requests with the zod schemas that their routes were declared with. */
export const validator: FastifySchemaCompiler<object> = ({ schema, httpPart = "body" }) => {
  const source = sources.get(schema) ?? z.unknown();
  return (value) => {
    try {
      return { value: parsed(source, httpPart === "body" ? value : withNumbers(source, value), httpPart) };
    } catch (error) {
      return { error: error as HttpError };
    }
  };
};

export const runName = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/)
  .describe("name of a run");

/** Which part of a list to give. */
export const paging = {
  offset: z.int().min(0).max(1e9).default(0).describe("rows to leave out"),
  limit: z.int().min(1).max(1000).default(100).describe("most rows to give"),
};

/** A rollout in the wire format; what is in it is checked where it is read. */
export const rollout = z.looseObject({ id: z.string() });

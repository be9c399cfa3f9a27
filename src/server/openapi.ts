import type { FastifyInstance, RouteOptions } from "fastify";

interface RouteSchema {
  summary?: string;
  description?: string;
  tags?: string[];
  params?: ObjectSchema;
  querystring?: ObjectSchema;
  body?: unknown;
  consumes?: string[];
}

interface ObjectSchema {
  properties?: Record<string, { description?: string }>;
  required?: string[];
}

function parameters(place: "path" | "query", schema: ObjectSchema | undefined) {
  return Object.entries(schema?.properties ?? {}).map(([name, property]) => ({
    name,
    in: place,
    required: place === "path" || schema?.required?.includes(name) === true,
    description: property.description,
    schema: property,
  }));
}

const problem = { description: "What is wrong, as application/problem+json" };

function operation(method: string, schema: RouteSchema) {
  const { summary, description, tags, params, querystring, body, consumes = ["application/json"] } = schema;
  const takesBody = method === "post" && (body !== undefined || schema.consumes !== undefined);
  const content = Object.fromEntries(
    consumes.map((type) => [type, type === "application/json" ? { schema: body ?? {} } : {}]),
  );
  return {
    summary,
    description,
    tags,
    parameters: [...parameters("path", params), ...parameters("query", querystring)],
    ...(takesBody ? { requestBody: { required: true, content } } : {}),
    responses: { "2XX": { description: "Done" }, "4XX": problem, "5XX": problem },
  };
}

/** Gathers the routes that are added after it, and answers /openapi.json with them as an OpenAPI 3.1 document. */
export function openApi(app: FastifyInstance, version: string): void {
  const paths: Record<string, Record<string, unknown>> = {};
  app.addHook("onRoute", ({ method, url, schema }: RouteOptions) => {
    if (schema === undefined || (schema as RouteSchema).summary === undefined) return;
    const path = url.replace(/:([A-Za-z_]+)/g, "{$1}");
    for (const one of [method].flat()) {
      if (one === "HEAD") continue;
      paths[path] ??= {};
      paths[path][one.toLowerCase()] = operation(one.toLowerCase(), schema as RouteSchema);
    }
  });
  app.get("/openapi.json", async () => ({
    openapi: "3.1.0",
    info: { title: "Apportion", version, description: "Says which token, step, turn or agent earned the reward." },
    paths,
  }));
}

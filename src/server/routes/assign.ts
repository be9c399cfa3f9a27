import { PassThrough, type Readable } from "node:stream";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { z } from "zod";
import { readBatches } from "../../formats/read.ts";
import { openStreamSink } from "../../formats/write.ts";
import { findMethod } from "../../methods/registry.ts";
import { assignStream } from "../../pipeline/assign-stream.ts";
import { type AssignCall, settleCalls } from "../../pipeline/calls.ts";
import { type Batch, batchFromObjects, InputError, rolloutObjects } from "../../rollouts/index.ts";
import { type Medium, mediaTypes, mediumOf, wantedMedium } from "../media.ts";
import type { Metrics } from "../metrics.ts";
import { HttpError } from "../problem.ts";
import { parsed, rollout, schemaOf } from "../schemas.ts";

const settings = {
  method: z.string().describe("id of a method"),
  preset: z.string().optional().describe("a named set of parameters"),
  unscored: z.enum(["stop", "leave-out"]).default("stop").describe("rollouts without a reward"),
  branches: z.enum(["paths", "trunk"]).optional().describe("how to read trees, for methods that read lines only"),
};
const body = z.object({
  ...settings,
  params: z.record(z.string(), z.unknown()).default({}).describe("parameters of the method"),
  rollouts: z.array(rollout).describe("rollouts in the wire format"),
});
const query = z.looseObject({ ...settings, method: settings.method.optional() });

type Body = z.output<typeof body>;
type Settings = Pick<Body, "unscored" | "branches"> & { calls: AssignCall[] };

/** Parameters in a query: `param.NAME=VALUE`, the value as JSON where it is JSON, else as text. */
function queryParams(given: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const params: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(given)) {
    if (!name.startsWith("param.")) continue;
    try {
      params[name.slice(6)] = JSON.parse(String(value));
    } catch {
      params[name.slice(6)] = value;
    }
  }
  return params;
}

function settingsOfQuery(given: z.output<typeof query>): Settings {
  const { method, preset, unscored, branches } = given;
  if (method === undefined) throw new HttpError(400, "the query names no method: ?method=ID");
  return { calls: [{ method, preset, params: queryParams(given) }], unscored, branches };
}

/** Rollouts of a stream with credit. The memory that results are written in is used again: one batch at a time. */
function credited(stream: Readable, came: Medium, { calls, unscored, branches }: Settings, signal: AbortSignal) {
  settleCalls(calls);
  const format = came === "arrow" ? "arrow" : "jsonl";
  const source = ({ chunkBytes }: { chunkBytes?: number }) => readBatches(stream, { format, signal, chunkBytes });
  return assignStream(source, calls, { unscored, branches, signal, threads: 1, readTwice: false, transient: true });
}

/**
 * Answers with a stream of rollouts. Nothing is sent before the first batch is done, so that what is wrong with the request
 * is an error and not a broken answer; later faults cut the answer off, which every client sees.
 */
async function answer(
  reply: FastifyReply,
  batches: AsyncIterator<Batch>,
  medium: "jsonl" | "arrow",
  count: (batch: Batch) => void,
) {
  const first = await batches.next();
  const output = new PassThrough({ highWaterMark: 2 ** 20 });
  const work = async () => {
    const sink = await openStreamSink(output, "the answer", medium);
    for (let next = first; next.done !== true; next = await batches.next()) {
      count(next.value);
      await sink.write(next.value);
    }
    await sink.close();
    output.end();
  };
  work().catch((error) => output.destroy(error instanceof Error ? error : new Error(String(error))));
  output.on("close", () => void batches.return?.());
  return reply.type(mediaTypes[medium]).send(output);
}

async function small(given: Body, request: FastifyRequest, reply: FastifyReply, count: (batch: Batch) => void) {
  const { method, params, preset, unscored, branches, rollouts } = given;
  const wanted = wantedMedium(request.headers.accept, "json");
  const batch = batchFromObjects(rollouts);
  const batches = assignStream(
    async function* () {
      yield batch;
    },
    [{ method, params, preset }],
    { unscored, branches, threads: 1 },
  );
  if (wanted !== "json") return answer(reply, batches, wanted, count);
  const objects: unknown[] = [];
  for await (const one of batches) {
    count(one);
    objects.push(...rolloutObjects(one));
  }
  return { method, rollouts: objects };
}

/** Credit for rollouts: JSON in and out for few of them, JSONL and Arrow streams for many, with back-pressure. */
export function assignRoutes(app: FastifyInstance, metrics: Metrics): void {
  const schema = {
    summary: "Credit rollouts with a method",
    description:
      "JSON: method, params and rollouts in the body. JSONL or an Arrow stream: rollouts in the body, method and param.NAME in the query.",
    tags: ["assign"],
    querystring: schemaOf(query),
    consumes: Object.values(mediaTypes),
  };
  app.post("/v1/assign", { schema }, async (request, reply) => {
    const came = mediumOf(request.headers["content-type"]);
    const count = (id: string) => (batch: Batch) => {
      metrics.rollouts.inc({ method: id }, batch.size);
      if (batch.hasLevel("token", "any")) metrics.tokens.inc(batch.count("token"));
    };
    if (came === "json") {
      const given = parsed(body, request.body, "body");
      return small(given, request, reply, count(findMethod(given.method).id));
    }
    const settings = settingsOfQuery(request.query as z.output<typeof query>);
    const wanted = wantedMedium(request.headers.accept, came);
    if (wanted === "json")
      throw new HttpError(406, "streams are answered as JSONL or Arrow: leave Accept out or name one");
    const stop = new AbortController();
    request.raw.once("close", () => {
      if (!request.raw.complete) stop.abort(new InputError("the client went away"));
    });
    const batches = credited(request.body as Readable, came, settings, stop.signal);
    return answer(reply, batches, wanted, count(findMethod(settings.calls[0].method as string).id));
  });
}

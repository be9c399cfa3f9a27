import { gunzip } from "node:zlib";
import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { decodeRequest } from "../../formats/otlp/protobuf.ts";
import { spansOf } from "../../formats/otlp/span.ts";
import type { Workspace } from "../../workspace/workspace.ts";
import { HttpError } from "../problem.ts";
import { runName, schemaOf } from "../schemas.ts";
import type { TraceStore } from "../trace-store.ts";

const rewardPath = z.object({ id: z.string().max(1000).describe("id of a rollout: its trace's unless it was named") });
const rewardBody = z.object({
  reward: z.number().describe("the outcome"),
  run: runName.default("traces"),
});

/** Bytes as they were before gzip; more than allowed is refused before they are there. */
function unpackedBody(bytes: Buffer, encoding: string | undefined, most: number): Promise<Buffer> {
  if (encoding === undefined || encoding === "identity") return Promise.resolve(bytes);
  if (encoding !== "gzip")
    throw new HttpError(415, `content encoding ${JSON.stringify(encoding)} is not read; expected gzip`);
  return new Promise((resolve, reject) => {
    gunzip(bytes, { maxOutputLength: most }, (error, unpacked) => {
      if (error === null) resolve(unpacked);
      else if ((error as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE") {
        reject(new HttpError(413, `the body is larger than ${most} bytes once unpacked`));
      } else reject(new HttpError(400, `the body is no whole gzip: ${error.message}`));
    });
  });
}

function jsonOf(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString("utf8"));
  } catch {
    throw new HttpError(400, "the body is not JSON");
  }
}

/** OTLP over HTTP: traces in, acknowledged when they are on the disk; and outcomes for them. */
export function traceRoutes(app: FastifyInstance, store: TraceStore, workspace: Workspace, bodyLimit: number): void {
  app.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    for (const type of ["application/json", "application/x-protobuf"]) {
      scope.addContentTypeParser(type, { parseAs: "buffer", bodyLimit }, (_request, body, done) => done(null, body));
    }
    scope.post(
      "/v1/traces",
      {
        config: { compressed: true },
        schema: {
          summary:
            "OTLP traces (protobuf or JSON, plain or gzip) of agents; a complete trace becomes a rollout of the run `traces`",
          tags: ["traces"],
          consumes: ["application/json", "application/x-protobuf"],
        },
      },
      async (request, reply) => {
        const isJson = (request.headers["content-type"] ?? "").startsWith("application/json");
        const packed = (request.body ?? Buffer.alloc(0)) as Buffer;
        const bytes = await unpackedBody(packed, request.headers["content-encoding"], bodyLimit);
        await store.add(spansOf(isJson ? jsonOf(bytes) : decodeRequest(bytes)));
        if (isJson) return { partialSuccess: {} };
        return reply.type("application/x-protobuf").send(Buffer.alloc(0));
      },
    );
  });
  app.post<{ Params: z.output<typeof rewardPath>; Body: z.output<typeof rewardBody> }>(
    "/v1/rollouts/:id/reward",
    {
      schema: {
        summary: "The outcome of a rollout that came as a trace",
        tags: ["traces"],
        params: schemaOf(rewardPath),
        body: schemaOf(rewardBody),
      },
    },
    async (request) => {
      const { id } = request.params;
      const { reward, run } = request.body;
      if (run === "traces" && (await store.reward(id, reward))) return { id, reward, state: "under way" };
      if (!(await workspace.has(run))) throw new HttpError(404, `there is no run ${JSON.stringify(run)}`);
      await workspace.setReward(run, id, reward);
      return { id, reward, state: "stored" };
    },
  );
}

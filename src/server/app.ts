import rateLimit from "@fastify/rate-limit";
import fastify, { type FastifyInstance, type FastifyServerOptions } from "fastify";
import { Workspace } from "../workspace/workspace.ts";
import { guard } from "./guard.ts";
import { limitBytes } from "./limit-bytes.ts";
import { mediaTypes } from "./media.ts";
import { Metrics } from "./metrics.ts";
import { openApi } from "./openapi.ts";
import { HttpError, problemOf, sendProblem } from "./problem.ts";
import { assignRoutes } from "./routes/assign.ts";
import { compareRoutes } from "./routes/compare.ts";
import { methodRoutes } from "./routes/methods.ts";
import { rewardRoutes } from "./routes/reward.ts";
import { runRoutes } from "./routes/runs.ts";
import { traceRoutes } from "./routes/traces.ts";
import { validator } from "./schemas.ts";
import { TraceStore, type TraceStoreOptions } from "./trace-store.ts";

export interface ServerOptions {
  /** Folder of the workspace; made when there is none. */
  workspace: string;
  version: string;
  /** Where it will listen. Default 127.0.0.1. */
  host?: string;
  /** Bearer token that every request needs; has to be given for a host that others can reach. */
  token?: string;
  /** Most bytes of a JSON body. Default 64 MB. */
  bodyLimit?: number;
  /** Most bytes of a streamed body. Default 16 GB. */
  streamLimit?: number;
  /** Requests per second and client. Default 1000. */
  rate?: number;
  /** Heavy requests (everything that is posted) under way at a time. Default 16. */
  concurrency?: number;
  /** How traces become rollouts. */
  traces?: TraceStoreOptions;
  logger?: FastifyServerOptions["logger"];
}

/** At most so many posted requests at a time: one more is told to come back. */
function limitConcurrency(app: FastifyInstance, most: number): void {
  let count = 0;
  app.addHook("onRequest", async (request, reply) => {
    if (request.method !== "POST") return;
    if (count >= most) {
      reply.header("retry-after", "1");
      throw new HttpError(503, `${most} requests are under way already; try again in a second`);
    }
    count++;
    reply.raw.once("close", () => count--); // also when the client has gone away
  });
}

/** The server, ready to listen: every route, every limit. */
export async function buildServer(options: ServerOptions): Promise<FastifyInstance> {
  const { version, host = "127.0.0.1", token, bodyLimit = 64e6, streamLimit = 16e9, rate = 1000 } = options;
  const workspace = await Workspace.open(options.workspace);
  const app = fastify({
    logger: options.logger ?? false,
    bodyLimit,
    requestTimeout: 10 * 60_000,
    connectionTimeout: 0,
    keepAliveTimeout: 60_000,
    forceCloseConnections: "idle",
    return503OnClosing: true,
    routerOptions: { maxParamLength: 1000 },
  });
  app.setErrorHandler(sendProblem);
  app.setValidatorCompiler(validator);
  app.setNotFoundHandler((request, reply) => {
    reply.code(404).type("application/problem+json");
    reply.send(problemOf(404, `there is nothing at ${request.method} ${request.url.split("?")[0].slice(0, 200)}`));
  });
  guard(app, { host, token });
  await app.register(rateLimit, {
    max: rate,
    timeWindow: 1000,
    errorResponseBuilder: () => new HttpError(429, `more than ${rate} requests in a second`),
  });
  limitConcurrency(app, options.concurrency ?? 16);
  app.addHook("onRequest", async (request) => {
    const encoding = request.headers["content-encoding"];
    const { compressed } = request.routeOptions.config as { compressed?: boolean };
    if (compressed !== true && encoding !== undefined && encoding !== "identity") {
      throw new HttpError(415, `content encoding ${JSON.stringify(encoding)} is not read: send the bytes as they are`);
    }
  });
  for (const type of [mediaTypes.jsonl, "application/jsonl", mediaTypes.arrow]) {
    app.addContentTypeParser(type, (_request, payload, done) => {
      done(null, limitBytes(payload, streamLimit));
    });
  }
  openApi(app, version);
  const metrics = new Metrics();
  metrics.watch(app);
  const tags = ["server"];
  app.get("/health", { schema: { summary: "Whether the process is alive", tags } }, async () => ({
    status: "ok",
    version,
  }));
  app.get("/ready", { schema: { summary: "Whether it can do its work", tags } }, async () => {
    await Workspace.existing(options.workspace).catch((error: Error) =>
      Promise.reject(new HttpError(503, error.message)),
    );
    return { status: "ready" };
  });
  methodRoutes(app);
  assignRoutes(app, metrics);
  compareRoutes(app, workspace);
  rewardRoutes(app);
  runRoutes(app, workspace);
  const store = await TraceStore.open(workspace, options.traces);
  app.addHook("onClose", () => store.close());
  traceRoutes(app, store, workspace, bodyLimit);
  return app;
}

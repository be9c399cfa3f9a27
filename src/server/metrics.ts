import type { FastifyInstance } from "fastify";
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";

/** What the server counts, in the form that Prometheus reads. */
export class Metrics {
  readonly registry = new Registry();
  readonly tokens: Counter;
  readonly rollouts: Counter<"method">;

  constructor() {
    const registers = [this.registry];
    collectDefaultMetrics({ register: this.registry });
    this.rollouts = new Counter({
      name: "apportion_rollouts_credited_total",
      help: "Rollouts credited, by method",
      labelNames: ["method"],
      registers,
    });
    this.tokens = new Counter({
      name: "apportion_tokens_credited_total",
      help: "Tokens of the rollouts that were credited",
      registers,
    });
  }

  /** Measures every request of a server and offers it all at /metrics. */
  watch(app: FastifyInstance): void {
    const registers = [this.registry];
    const seconds = new Histogram({
      name: "apportion_http_request_seconds",
      help: "Seconds from a request to the end of its answer",
      labelNames: ["method", "route", "status"] as const,
      buckets: [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 60],
      registers,
    });
    const running = new Gauge({ name: "apportion_http_requests_running", help: "Requests under way", registers });
    app.addHook("onRequest", async () => running.inc());
    app.addHook("onResponse", async (request, reply) => {
      running.dec();
      const route = request.routeOptions.url ?? "none";
      seconds.observe({ method: request.method, route, status: reply.statusCode }, reply.elapsedTime / 1000);
    });
    app.get(
      "/metrics",
      { schema: { summary: "Counters and timings for Prometheus", tags: ["server"] } },
      async (_, reply) => {
        reply.type(this.registry.contentType);
        return this.registry.metrics();
      },
    );
  }
}

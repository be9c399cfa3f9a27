import { createHash, timingSafeEqual } from "node:crypto";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { HttpError } from "./problem.ts";

const loopback: ReadonlySet<string> = new Set(["127.0.0.1", "localhost", "::1", "[::1]"]);

/** Whether an address to listen on can be reached from this machine only. */
export function isLoopback(host: string): boolean {
  return loopback.has(host);
}

const digest = (text: string) => createHash("sha256").update(text).digest();

/** Compares in a time that does not depend on where two texts differ. */
function sameSecret(given: string, wanted: string): boolean {
  return timingSafeEqual(digest(given), digest(wanted));
}

function bearer(request: FastifyRequest): string | null {
  const { authorization } = request.headers;
  return authorization?.startsWith("Bearer ") === true ? authorization.slice(7) : null;
}

/** Name of a Host or Origin without the port. */
function nameOf(host: string): string {
  return host.replace(/:\d+$/, "");
}

const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "font-src 'self'",
  "connect-src 'self'",
  "worker-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

const headers: Readonly<Record<string, string>> = {
  "content-security-policy": policy,
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
};

/** Paths that say nothing about anybody's data: open for probes. */
const open: ReadonlySet<string> = new Set(["/health", "/ready"]);

export interface GuardOptions {
  /** Where the server listens. */
  host: string;
  /** What every request has to carry as `Authorization: Bearer …`; none when the server can be reached from here only. */
  token?: string;
}

/**
 * What holds for every request. Without a token only this machine may ask: the Host has to be a loopback name (so that a
 * page that points its own name at 127.0.0.1 gets nothing), and an Origin, where a browser sends one, has to be this server's.
 * With a token every request but the probes has to carry it. No CORS header is ever sent.
 */
export function guard(app: FastifyInstance, { host, token }: GuardOptions): void {
  app.addHook("onRequest", async (request, reply) => {
    reply.headers(headers);
    const { host: asked = "", origin } = request.headers;
    if (isLoopback(host) && !isLoopback(nameOf(asked))) throw new HttpError(403, "this host name is not served here");
    if (origin !== undefined && origin !== `http://${asked}`) {
      throw new HttpError(403, "requests from pages of other origins are refused");
    }
    if (token === undefined || open.has(request.url)) return;
    const given = bearer(request);
    if (given === null || !sameSecret(given, token)) {
      reply.header("www-authenticate", "Bearer");
      throw new HttpError(401, "a token is needed: send it as `Authorization: Bearer TOKEN`");
    }
  });
}

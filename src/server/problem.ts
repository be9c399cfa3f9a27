import type { FastifyError, FastifyReply, FastifyRequest } from "fastify";
import { InputError } from "../rollouts/index.ts";

/** A fault as RFC 9457 describes it: `application/problem+json`. */
export interface Problem {
  type: "about:blank";
  title: string;
  status: number;
  /** One sentence: what is wrong, where, what was expected, what to do. */
  detail: string;
}

const titles: Readonly<Record<number, string>> = {
  400: "Bad request",
  401: "Not authorised",
  403: "Forbidden",
  404: "Not found",
  405: "Method not allowed",
  406: "Not acceptable",
  408: "Request took too long",
  409: "Conflict",
  413: "Too large",
  415: "Unsupported media type",
  422: "Input not valid",
  429: "Too many requests",
  500: "Internal error",
  503: "Busy",
};

/** An error with a status of its own. */
export class HttpError extends Error {
  readonly statusCode: number;

  constructor(statusCode: number, message: string) {
    super(message);
    this.statusCode = statusCode;
  }
}

export function problemOf(status: number, detail: string): Problem {
  return { type: "about:blank", title: titles[status] ?? "Error", status, detail };
}

/** Turns any error into a problem: what the caller sent is told in full, a fault of ours is not. */
export function sendProblem(error: FastifyError | Error, request: FastifyRequest, reply: FastifyReply): void {
  const given = "statusCode" in error && typeof error.statusCode === "number" ? error.statusCode : 500;
  const status = error instanceof InputError ? 422 : given;
  if (status >= 500 && !(error instanceof HttpError)) request.log.error(error);
  const detail =
    status >= 500 && !(error instanceof HttpError) ? "a fault in the server; its log says more" : error.message;
  reply.code(status).type("application/problem+json").send(problemOf(status, detail));
}

import type { Command } from "commander";
import { InputError } from "../rollouts/errors.ts";
import { parseSize, parseWhole } from "./options.ts";
import { withWorkspace, workspaceFolder } from "./workspace-option.ts";

interface Flags {
  workspace?: string;
  host: string;
  port: string;
  token?: string;
  bodyLimit: string;
  rate: string;
  log?: boolean;
}

async function run(flags: Flags, program: Command): Promise<void> {
  const { buildServer } = await import("../server/app.ts");
  const { isLoopback } = await import("../server/guard.ts");
  const { randomBytes } = await import("node:crypto");
  const port = parseWhole("--port", flags.port, 0, 65_535);
  const open = !isLoopback(flags.host);
  const given = flags.token ?? process.env.APPORTION_TOKEN;
  if (given !== undefined && given.length < 16) {
    throw new InputError("--token is too short", { expected: "at least 16 characters, drawn at random" });
  }
  const token = given ?? (open ? randomBytes(24).toString("base64url") : undefined);
  const app = await buildServer({
    workspace: workspaceFolder(flags.workspace),
    version: program.version() ?? "",
    host: flags.host,
    token,
    bodyLimit: parseSize("--body-limit", flags.bodyLimit),
    rate: parseWhole("--rate", flags.rate, 1, 1_000_000),
    logger: flags.log === true ? { level: "info", redact: ["req.headers.authorization"] } : false,
  });
  const address = await app.listen({ host: flags.host, port }).catch((error: NodeJS.ErrnoException) => {
    const used = error.code === "EADDRINUSE";
    throw new InputError(used ? "the port is taken" : "cannot listen there", {
      got: `${flags.host}:${port}`,
      hint: used ? "another --port, or --port 0 for a free one" : error.message,
    });
  });
  process.stderr.write(`apportion serves ${address} (workspace ${workspaceFolder(flags.workspace)}); Ctrl-C ends it\n`);
  if (open) process.stderr.write("others can reach this address: every request needs the token\n");
  if (token !== undefined && given === undefined) process.stderr.write(`token: ${token}\n`);
  await new Promise<void>((resolve) => {
    const end = () => {
      process.stderr.write("ending: waiting for requests under way\n");
      process.once("SIGINT", () => process.exit(130));
      setTimeout(() => process.exit(1), 30_000).unref();
      // Connections that carry a request now stay open after it unless they are closed then.
      const idle = setInterval(() => app.server.closeIdleConnections(), 100);
      void app.close().then(() => {
        clearInterval(idle);
        resolve();
      });
    };
    process.once("SIGINT", end);
    process.once("SIGTERM", end);
  });
}

const help = `
Examples:
  apportion serve
  curl -s localhost:4747/v1/methods/grpo
  curl -s localhost:4747/v1/assign?method=grpo -H 'content-type: application/x-ndjson' --data-binary @rollouts.jsonl
  apportion serve --host 0.0.0.0                       asks every request for the token that it prints

Everything it answers is listed at /openapi.json; /health, /ready and /metrics are for probes.`;

/** Adds the `serve` command. */
export function register(program: Command): void {
  withWorkspace(
    program
      .command("serve")
      .summary("answer other programs over HTTP")
      .description(
        "Serves methods, credit and the runs of the workspace over HTTP, on this machine only unless told otherwise.",
      )
      .option("--host <address>", "address to listen on; any but this machine's own asks for a token", "127.0.0.1")
      .option("--port <number>", "port to listen on; 0 takes a free one", "4747")
      .option("--token <text>", "token that requests need (default: $APPORTION_TOKEN; drawn where one is needed)")
      .option("--body-limit <size>", "most bytes of a JSON body", "64MB")
      .option("--rate <count>", "requests per second and client", "1000")
      .option("--log", "a line of JSON per request on standard output")
      .addHelpText("after", help),
  ).action((flags: Flags) => run(flags, program));
}

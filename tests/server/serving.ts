import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { buildServer, type ServerOptions } from "../../src/server/app.ts";

/** A server on a free port of this machine, gone when the test is over. */
export async function serving(options: Partial<ServerOptions> = {}) {
  const folder = mkdtempSync(join(tmpdir(), "apportion-server-"));
  const app = await buildServer({ workspace: join(folder, "workspace"), version: "0.0.0", ...options });
  const url = await app.listen({ host: "127.0.0.1", port: 0 });
  onTestFinished(async () => {
    await app.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const ask = (path: string, init?: RequestInit) => fetch(url + path, init);
  const post = (path: string, body: unknown) =>
    ask(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
  return { app, url, folder, ask, post };
}

/** Sends a request whose headers `fetch` would not let through. */
export async function raw(url: string, path: string, headers: Readonly<Record<string, string>>) {
  const { request } = await import("node:http");
  return new Promise<{ status: number; body: string }>((resolve, reject) => {
    const asked = request(url + path, { headers }, (answer) => {
      let body = "";
      answer.on("data", (chunk) => {
        body += chunk;
      });
      answer.on("end", () => resolve({ status: answer.statusCode ?? 0, body }));
    });
    asked.on("error", reject);
    asked.end();
  });
}

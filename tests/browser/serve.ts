import { readFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join } from "node:path";
import { root } from "../cli/dist.ts";

const types: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".json": "application/json",
  ".wasm": "application/wasm",
};

/** Where a page that wants the solver finds it: the files of its package, as they are. */
const solver = "/highs/";
const solverFolder = join(root, "node_modules/highs/build");

/**
 * A server for this machine alone: these files, and those of HiGHS under /highs/. Its address, and how to close it.
 * @param headers sent with every file.
 */
export async function serve(
  files: ReadonlyMap<string, Uint8Array | string>,
  headers: Readonly<Record<string, string>> = {},
) {
  const server: Server = createServer(async ({ url = "/" }, response) => {
    const path = new URL(url, "http://localhost").pathname;
    const content = path.startsWith(solver)
      ? await readFile(join(solverFolder, path.slice(solver.length))).catch(() => undefined)
      : files.get(path);
    if (content === undefined) response.writeHead(404).end();
    else response.writeHead(200, { ...headers, "content-type": types[extname(path)] ?? "text/plain" }).end(content);
  });
  await new Promise<void>((ready) => server.listen(0, "127.0.0.1", ready));
  const { port } = server.address() as AddressInfo;
  return {
    address: `http://127.0.0.1:${port}`,
    close: () => {
      server.closeAllConnections();
      return new Promise((closed) => server.close(closed));
    },
  };
}

/** A page without content; with `solver`, its import map says where HiGHS is. */
export function page(withSolver: boolean): string {
  const map = { imports: { highs: `${solver}highs.mjs` } };
  const script = withSolver ? `<script type="importmap">${JSON.stringify(map)}</script>` : "";
  return `<!doctype html><html lang="en"><head><title>apportion</title><link rel="icon" href="data:,">${script}</head></html>`;
}

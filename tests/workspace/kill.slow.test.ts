import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect, test } from "vitest";
import { readRollouts } from "../../src/formats/read.ts";
import { Workspace } from "../../src/workspace/workspace.ts";
import { dist } from "../cli/dist.ts";

const rounds = 50;
const module = (path: string) => JSON.stringify(pathToFileURL(join(dist, path)).href);

/** Appends rollouts to a run for ever and says which are acknowledged; makes a run of its own now and then. */
const writer = (folder: string, round: number) => `
  const { Workspace } = await import(${module("workspace/workspace.js")});
  const { batchFromObjects } = await import(${module("rollouts/index.js")});
  const workspace = await Workspace.open(${JSON.stringify(folder)});
  const live = (await workspace.has("live")) ? await workspace.append("live") : await workspace.create("live");
  const batch = (name, k) => batchFromObjects(Array.from({ length: 3 }, (_, i) => (
    { id: name + "-" + k + "-" + i, reward: 1, tokens: { id: Array.from({ length: 50 }, (_, t) => t) } })));
  for (let k = 0; ; k++) {
    await live.append(batch("r${round}", k));
    process.stdout.write("live r${round}-" + k + "\\n");
    const name = "own-${round}-" + k;
    await workspace.add(name, [batch("x", 0), batch("x", 1)]);
    process.stdout.write("own " + name + "\\n");
  }`;

test(`killed ${rounds} times: nothing acknowledged is lost, nothing is half-visible`, {
  timeout: 300_000,
}, async () => {
  const folder = mkdtempSync(join(tmpdir(), "apportion-kill-"));
  const live: string[] = [];
  const own: string[] = [];
  try {
    for (let round = 0; round < rounds; round++) {
      const script = writer(folder, round);
      const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      let said = "";
      const started = new Promise<void>((resolve) => {
        child.stdout.on("data", (data) => {
          said += data;
          resolve();
        });
      });
      const closed = once(child, "close");
      await Promise.race([started, closed]);
      // Somewhere in the next append or add; the times run through the milliseconds of both.
      await new Promise((resolve) => setTimeout(resolve, (round * 7) % 40));
      child.kill("SIGKILL");
      await closed;
      for (const line of said.split("\n").slice(0, -1)) {
        const [kind, name] = line.split(" ");
        (kind === "live" ? live : own).push(name);
      }
    }
    const workspace = await Workspace.open(folder);
    const ids = new Set((await readRollouts(await workspace.files("live"))).ids);
    for (const name of live) for (let i = 0; i < 3; i++) expect(ids).toContain(`${name}-${i}`);
    expect(ids.size % 3).toBe(0); // parts are there whole or not at all
    const names = (await workspace.names()).filter((name) => name !== "live");
    expect(names).toEqual(expect.arrayContaining(own));
    for (const name of names) expect((await readRollouts(await workspace.files(name))).size).toBe(6);
    expect((await workspace.list()).length).toBe(names.length + 1);
    expect(readdirSync(join(folder, "runs")).filter((name) => name.startsWith("."))).toEqual([]);
    expect(live.length).toBeGreaterThan(rounds / 2);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

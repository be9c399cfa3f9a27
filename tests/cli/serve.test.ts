import { once } from "node:events";
import { expect, onTestFinished, test } from "vitest";
import { folderWith, startApportion } from "./run-cli.ts";

/** Starts a server of the binary on a free port. */
async function serve(...args: string[]) {
  const folder = folderWith({}, onTestFinished);
  const child = startApportion(["serve", "--port", "0", ...args], {
    cwd: folder.path,
    stdio: ["ignore", "pipe", "pipe"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  let said = "";
  child.stderr?.on("data", (data) => {
    said += data;
  });
  const ended = once(child, "close");
  await expect.poll(() => said, { timeout: 20_000 }).toMatch(/http:\S+/);
  const url = /http:\/\/[^\s;]+/.exec(said)?.[0].replace("0.0.0.0", "127.0.0.1") ?? "";
  return { child, url, ended, said: () => said };
}

test("the binary serves, finishes what is under way, and ends", async () => {
  const { child, url, ended, said } = await serve();
  expect(said()).toContain("apportion serves http://127.0.0.1:");
  expect(await (await fetch(`${url}/v1/methods/grpo`)).json()).toMatchObject({ id: "grpo" });
  let finish = (_last: string) => {};
  const body = new ReadableStream({
    start(stream) {
      const encoder = new TextEncoder();
      stream.enqueue(encoder.encode('{"id":"a","group":"g","reward":1}\n'));
      finish = (last) => {
        stream.enqueue(encoder.encode(last));
        stream.close();
      };
    },
  });
  const init = { method: "POST", headers: { "content-type": "application/x-ndjson" }, body, duplex: "half" };
  const answer = fetch(`${url}/v1/assign?method=grpo`, init as RequestInit);
  await expect
    .poll(async () => (await fetch(`${url}/metrics`)).text(), { timeout: 20_000 })
    .toContain("apportion_http_requests_running 2");
  child.kill("SIGTERM");
  await expect.poll(said, { timeout: 20_000 }).toContain("waiting for requests under way");
  finish('{"id":"b","group":"g","reward":0}\n');
  expect((await (await answer).text()).trim().split("\n")).toHaveLength(2);
  expect((await ended)[0]).toBe(0);
});

test("an address that others can reach asks for a token, and says so", async () => {
  const { url, said } = await serve("--host", "0.0.0.0");
  expect(said()).toContain("every request needs the token");
  const token = /token: (\S+)/.exec(said())?.[1] ?? "";
  expect(token.length).toBeGreaterThan(20);
  expect((await fetch(`${url}/v1/methods`)).status).toBe(401);
  const headers = { authorization: `Bearer ${token}` };
  expect((await fetch(`${url}/v1/methods`, { headers })).status).toBe(200);
});

test("a port that is taken is said", async () => {
  const { url } = await serve();
  const folder = folderWith({}, onTestFinished);
  const second = startApportion(["serve", "--port", new URL(url).port], {
    cwd: folder.path,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let said = "";
  second.stderr?.on("data", (data) => {
    said += data;
  });
  expect((await once(second, "close"))[0]).toBe(2);
  expect(said).toMatch(/^apportion: the port is taken; got 127\.0\.0\.1:\d+ \(another --port[^\n]*\n$/);
});

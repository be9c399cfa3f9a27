import { expect, test } from "vitest";
import { raw, serving } from "./serving.ts";

const token = "a-token-that-is-long-enough";

test("only this machine may ask, under its own name, and no page of another origin", async () => {
  const { url, ask } = await serving();
  expect((await raw(url, "/v1/methods", {})).status).toBe(200);
  expect((await raw(url, "/v1/methods", { host: "attacker.example" })).status).toBe(403);
  expect((await raw(url, "/v1/methods", { origin: "http://attacker.example" })).status).toBe(403);
  expect((await raw(url, "/v1/methods", { origin: "null" })).status).toBe(403);
  expect((await raw(url, "/v1/methods", { origin: url })).status).toBe(200);
  const answer = await ask("/v1/methods");
  expect(answer.headers.get("access-control-allow-origin")).toBeNull();
  expect(answer.headers.get("content-security-policy")).toContain("default-src 'none'");
  expect(answer.headers.get("x-content-type-options")).toBe("nosniff");
});

test("with a token every request but the probes needs it", async () => {
  const { url } = await serving({ token });
  const status = async (path: string, authorization?: string) =>
    (await raw(url, path, authorization === undefined ? {} : { authorization })).status;
  expect(await status("/v1/methods")).toBe(401);
  expect(await status("/metrics")).toBe(401);
  expect(await status("/v1/methods", `Bearer ${token}x`)).toBe(401);
  expect(await status("/v1/methods", `Basic ${token}`)).toBe(401);
  expect(await status("/v1/methods", "Bearer")).toBe(401);
  expect(await status("/v1/methods", `Bearer ${token}`)).toBe(200);
  expect(await status("/health")).toBe(200);
  expect((await raw(url, "/v1/methods", {})).body).not.toContain(token);
});

test("limits on size, rate and requests at a time", async () => {
  const small = await serving({ bodyLimit: 1000, streamLimit: 2000 });
  const rollouts = [{ id: "a", reward: 1, meta: { note: "x".repeat(3000) } }];
  expect((await small.post("/v1/assign", { method: "grpo", rollouts })).status).toBe(413);
  const lines = await small.ask("/v1/assign?method=grpo", {
    method: "POST",
    headers: { "content-type": "application/x-ndjson" },
    body: `${JSON.stringify(rollouts[0])}\n`,
  });
  expect(lines.status).toBe(413);

  const slow = await serving({ rate: 3 });
  const answers = await Promise.all(Array.from({ length: 8 }, () => slow.ask("/health")));
  expect(answers.filter((one) => one.status === 429).length).toBeGreaterThanOrEqual(2);
  expect(await answers.find((one) => one.status === 429)?.json()).toMatchObject({ title: "Too many requests" });

  const busy = await serving({ concurrency: 1 });
  const { request } = await import("node:http");
  const held = request(`${busy.url}/v1/assign?method=grpo`, {
    method: "POST",
    headers: { "content-type": "application/x-ndjson" },
  });
  held.on("error", () => {}); // it is cut off below
  held.write('{"id":');
  await expect
    .poll(async () => (await busy.post("/v1/assign", { method: "grpo", rollouts })).status, { timeout: 20_000 })
    .toBe(503);
  held.destroy();
  await expect
    .poll(async () => (await busy.post("/v1/assign", { method: "grpo", rollouts })).status, { timeout: 20_000 })
    .toBe(200);
});

import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { expect, onTestFinished, test } from "vitest";
import { spansOf } from "../../src/formats/otlp/span.ts";
import { TraceStore } from "../../src/server/trace-store.ts";
import { query } from "../../src/workspace/query.ts";
import { Workspace } from "../../src/workspace/workspace.ts";
import { encodeRequest } from "../formats/otlp/encode.ts";
import { aiSdk, genAi, openInference, request } from "../formats/otlp/requests.ts";
import { serving } from "./serving.ts";

const json = { "content-type": "application/json" };
const protobuf = { "content-type": "application/x-protobuf" };
const gzip = { "content-encoding": "gzip" };
const traces = { grace: 60 };

test("traces come in as JSON and protobuf, plain and gzip, and become rollouts", async () => {
  const { ask } = await serving({ traces });
  const send = (headers: Record<string, string>, body: string | Uint8Array) =>
    ask("/v1/traces", { method: "POST", headers, body: body as BodyInit });
  expect(await (await send(json, JSON.stringify(genAi(1)))).json()).toEqual({ partialSuccess: {} });
  const answer = await send(protobuf, encodeRequest(openInference(2)));
  expect([answer.status, answer.headers.get("content-type"), await answer.text()]).toEqual([
    200,
    "application/x-protobuf",
    "",
  ]);
  expect((await send({ ...protobuf, ...gzip }, gzipSync(encodeRequest(aiSdk(3))))).status).toBe(200);
  expect((await send({ ...json, ...gzip }, gzipSync(JSON.stringify(genAi(4))))).status).toBe(200);
  await expect.poll(async () => (await (await ask("/v1/runs/traces")).json()).rollouts, { timeout: 10_000 }).toBe(4);
  const { rollouts } = await (await ask("/v1/runs/traces/rollouts")).json();
  expect(rollouts.map((one: { reward: number }) => one.reward)).toEqual([1, 1, 1, 1]);
});

test("what is no trace is refused, a bomb before it bursts", async () => {
  const { ask } = await serving({ traces, bodyLimit: 100_000 });
  const status = async (headers: Record<string, string>, body: string | Uint8Array) =>
    (await ask("/v1/traces", { method: "POST", headers, body: body as BodyInit })).status;
  expect(await status(json, "{")).toBe(400);
  expect(await status(json, "[]")).toBe(422);
  expect(await status(protobuf, new Uint8Array([255, 255, 255]))).toBe(422);
  expect(await status({ ...json, ...gzip }, "not gzip")).toBe(400);
  expect(await status({ ...json, ...gzip }, gzipSync(Buffer.alloc(50_000_000)))).toBe(413);
  expect(await status({ ...json, "content-encoding": "br" }, "x")).toBe(415);
  expect(await status({ "content-type": "text/plain" }, "x")).toBe(415);
});

test("an outcome may come while a trace is under way, or after it was stored", async () => {
  const { ask, post } = await serving({ traces: { grace: 2000 } });
  const ids = [7, 8].map((trace) => trace.toString(16).padStart(32, "0"));
  const open = (trace: number) => request(trace, [{ id: 1, attributes: { "gen_ai.operation.name": "chat" } }]);
  for (const trace of [7, 8])
    await ask("/v1/traces", { method: "POST", headers: json, body: JSON.stringify(open(trace)) });
  expect(await (await post(`/v1/rollouts/${ids[0]}/reward`, { reward: 0.5 })).json()).toMatchObject({
    state: "under way",
  });
  await expect.poll(async () => (await (await ask("/v1/runs/traces")).json()).rollouts, { timeout: 10_000 }).toBe(2);
  expect(await (await post(`/v1/rollouts/${ids[1]}/reward`, { reward: -1 })).json()).toMatchObject({ state: "stored" });
  const { rollouts } = await (await ask("/v1/runs/traces/rollouts")).json();
  expect(Object.fromEntries(rollouts.map((one: { id: string; reward: number }) => [one.id, one.reward]))).toEqual({
    [ids[0]]: 0.5,
    [ids[1]]: -1,
  });
  expect((await post("/v1/rollouts/nobody/reward", { reward: 1 })).status).toBe(422);
  expect((await post(`/v1/rollouts/${ids[1]}/reward`, { reward: "high" })).status).toBe(400);
});

test("what was acknowledged is there after a start anew, once, and the journal lets go of it", async () => {
  const folder = mkdtempSync(join(tmpdir(), "apportion-traces-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const workspace = await Workspace.open(folder);
  const rollouts = async () => (await query(workspace, "select id, reward from rollouts order by id")).rows.length;
  const journal = () => readdirSync(join(folder, "traces"));
  const first = await TraceStore.open(workspace, { grace: 1e9 });
  for (let trace = 1; trace <= 5; trace++) await first.add(spansOf(genAi(trace)));
  // It is not closed: as if the process had been killed.
  const second = await TraceStore.open(workspace, { grace: 1e9 });
  await second.add(spansOf(genAi(6)));
  await second.flush(true);
  expect(await rollouts()).toBe(6);
  await second.add(spansOf(genAi(3))); // late, or sent twice
  await second.flush(true);
  await second.close();
  const third = await TraceStore.open(workspace, { grace: 1e9 });
  await third.flush(true);
  expect(await rollouts()).toBe(6);
  expect(journal()).toEqual([]);
  await third.close();
  await first.close();
});

test("a trace that names its rollout makes one, also when its spans are read again; two that share a name make two", async () => {
  const folder = mkdtempSync(join(tmpdir(), "apportion-traces-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const workspace = await Workspace.open(folder);
  const attributes = { "gen_ai.operation.name": "chat", "apportion.rollout.id": "mine" };
  const named = (trace: number) => spansOf(request(trace, [{ id: 1, attributes }]));
  const ids = async () => (await query(workspace, "select id from rollouts order by id")).rows.flat();
  const first = await TraceStore.open(workspace, { grace: 1e9 });
  await first.add(named(1));
  await first.flush(true);
  await first.add(named(1)); // sent twice
  await first.flush(true);
  expect(await ids()).toEqual(["mine"]);
  // Its journal is still there: as if the process had been killed before it let go of it.
  const second = await TraceStore.open(workspace, { grace: 1e9 });
  await second.add(named(2));
  await second.flush(true);
  expect(await ids()).toEqual(["00000000000000000000000000000002", "mine"]);
  await second.close();
  await first.close();
});

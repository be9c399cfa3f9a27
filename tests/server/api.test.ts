import { Readable } from "node:stream";
import { expect, test } from "vitest";
import { readRollouts } from "../../src/formats/read.ts";
import { openStreamSink } from "../../src/formats/write.ts";
import { assign } from "../../src/methods/assign.ts";
import { type Batch, batchFromObjects, type RolloutObject, rolloutObjects } from "../../src/rollouts/index.ts";
import { raw, serving } from "./serving.ts";

const rollouts = Array.from({ length: 40 }, (_, i) => ({
  id: `r${i}`,
  group: `g${i >> 2}`,
  reward: i % 3 === 0 ? 1 : 0,
  turns: { end: [2, 4], state: ["hall", i % 2 === 0 ? "room" : "yard"], reward: [0, i % 2] },
  tokens: { id: [1, 2, i % 2, 4], logprob: [-0.5, -0.25, -1, -2] },
  messages: [{ role: "user", content: `<script>alert(${i})</script>` }],
}));
/** Rollouts as JSON says them. */
const objectsOf = (batch: Batch): RolloutObject[] => JSON.parse(JSON.stringify([...rolloutObjects(batch)]));

const expected = objectsOf(assign(batchFromObjects(rollouts), "grpo", { norm_by_std: false }));
const text = rollouts.map((one) => `${JSON.stringify(one)}\n`).join("");
const ndjson = { "content-type": "application/x-ndjson" };
const arrow = { "content-type": "application/vnd.apache.arrow.stream" };

async function arrowBytes(): Promise<Buffer> {
  const { PassThrough } = await import("node:stream");
  const stream = new PassThrough();
  const sink = await openStreamSink(stream, "a test", "arrow");
  const chunks: Buffer[] = [];
  stream.on("data", (chunk) => chunks.push(chunk));
  await sink.write(batchFromObjects(rollouts));
  await sink.close();
  stream.end();
  return Buffer.concat(chunks);
}

test("credit goes in and out as JSON, JSONL and Arrow, the same in all of them", async () => {
  const { ask, post } = await serving();
  const call = { method: "grpo", params: { norm_by_std: false }, rollouts };
  expect((await (await post("/v1/assign", call)).json()).rollouts).toEqual(expected);

  const path = "/v1/assign?method=grpo&param.norm_by_std=false";
  const lines = await ask(path, { method: "POST", headers: ndjson, body: text });
  expect(lines.headers.get("content-type")).toBe("application/x-ndjson");
  expect(objectsOf(await readRollouts(Readable.from([Buffer.from(await lines.arrayBuffer())])))).toEqual(expected);

  const table = await ask(path, { method: "POST", headers: arrow, body: new Uint8Array(await arrowBytes()) });
  expect(table.headers.get("content-type")).toBe("application/vnd.apache.arrow.stream");
  const back = await readRollouts(Readable.from([Buffer.from(await table.arrayBuffer())]), { format: "arrow" });
  expect(objectsOf(back)).toEqual(expected);

  const crossed = await ask(path, {
    method: "POST",
    headers: { ...arrow, accept: "application/x-ndjson" },
    body: new Uint8Array(await arrowBytes()),
  });
  expect((await crossed.text()).split("\n")).toHaveLength(41);
});

test.each([
  [{ method: "grop", rollouts }, 422, 'unknown method "grop" (did you mean grpo?)'],
  [{ method: "grpo", params: { epss: 1 }, rollouts }, 422, "unknown parameter epss"],
  [{ method: "grpo", rollouts: [{ id: "a" }] }, 422, 'rollout "a", column rollout.reward'],
  [{ method: "grpo", rollouts: [{ id: 1 }] }, 400, "body/rollouts/0/id"],
  [{ method: "grpo" }, 400, "body/rollouts"],
  [{ rollouts }, 400, "body/method"],
  [[], 400, "body"],
])("what is wrong with a JSON request is said: %#", async (body, status, detail) => {
  const { post } = await serving();
  const answer = await post("/v1/assign", body);
  expect(answer.status).toBe(status);
  expect(answer.headers.get("content-type")).toContain("application/problem+json");
  expect(await answer.json()).toMatchObject({ status, detail: expect.stringContaining(detail) });
});

test("what is wrong with a stream is said as long as nothing was sent", async () => {
  const { ask } = await serving();
  const send = async (body: string, path = "/v1/assign?method=grpo", headers: Record<string, string> = ndjson) => {
    const answer = await ask(path, { method: "POST", headers, body });
    return { status: answer.status, detail: (await answer.json()).detail };
  };
  expect(await send('{"id":"a","reward":1}\n{"id":\n')).toMatchObject({
    status: 422,
    detail: expect.stringContaining(":2"),
  });
  expect(await send(text, "/v1/assign")).toMatchObject({ status: 400, detail: expect.stringContaining("no method") });
  expect(await send(text, "/v1/assign?method=grpo&param.eps=x")).toMatchObject({ status: 422 });
  expect(await send(text, "/v1/assign?method=grpo", { "content-type": "text/html" })).toMatchObject({ status: 415 });
  expect(await send("garbage", "/v1/assign?method=grpo", arrow)).toMatchObject({ status: 422 });
  const encoded = { ...ndjson, "content-encoding": "gzip" };
  expect(await send(text, "/v1/assign?method=grpo", encoded)).toMatchObject({ status: 415 });
});

test("runs are added, listed, read page by page, asked and removed", async () => {
  const { ask, post } = await serving();
  const get = async (path: string) => (await ask(path)).json();
  expect((await ask("/v1/runs/one", { method: "POST", headers: ndjson, body: text })).status).toBe(201);
  expect((await post("/v1/runs/two", { rollouts: expected, source: "a test" })).status).toBe(201);
  expect((await post("/v1/runs/two", { rollouts: [] })).status).toBe(409);
  expect((await get("/v1/runs")).runs.map((run: { name: string }) => run.name).sort()).toEqual(["one", "two"]);
  expect(await get("/v1/runs/two")).toMatchObject({ name: "two", source: "a test", rollouts: 40, tokens: 160 });
  expect(await get("/v1/runs/one/groups?limit=2&offset=1")).toMatchObject({
    total: 10,
    groups: [{ name: "g1" }, { name: "g2" }],
  });
  expect((await get("/v1/runs/one/rollouts?limit=3&offset=2")).rollouts.map((one: { id: string }) => one.id)).toEqual([
    "r2",
    "r3",
    "r4",
  ]);
  expect((await get("/v1/runs/one/rollouts?group=g3")).rollouts).toHaveLength(4);
  expect(await get("/v1/runs/two/rollouts/r7")).toEqual(expected[7]);
  expect((await get("/v1/runs/two/credit?column=tokens.advantage&rollout=r7")).rollouts).toEqual([
    { id: "r7", values: (expected[7].tokens as { advantage: number[] }).advantage },
  ]);
  const sql = { sql: "select run, count(*) as n from tokens group by run order by run" };
  expect(await (await post("/v1/query", sql)).json()).toEqual({
    columns: ["run", "n"],
    rows: [
      ["one", 160],
      ["two", 160],
    ],
    more: false,
  });
  const compared = await (
    await post("/v1/compare", { run: "one", methods: [{ method: "grpo" }, { method: "rloo" }] })
  ).json();
  expect(compared.series.map((one: { name: string }) => one.name)).toEqual(["grpo", "rloo"]);
  expect((await ask("/v1/runs/one", { method: "DELETE" })).status).toBe(204);
  expect((await ask("/v1/runs/one")).status).toBe(404);
  expect((await ask("/v1/runs/two/rollouts/nobody")).status).toBe(404);
});

test("names that lead out of the workspace are refused", async () => {
  const { url } = await serving();
  for (const path of ["/v1/runs/..%2f..%2fetc", "/v1/runs/%2e%2e", "/v1/runs/.hidden", "/v1/runs/a%00b"]) {
    expect([400, 404]).toContain((await raw(url, path, {})).status);
  }
});

test("the catalogue, probes and counters", async () => {
  const { ask, post } = await serving();
  const { methods } = await (await ask("/v1/methods?granularity=turn&search=gain")).json();
  expect(methods.map((one: { id: string }) => one.id)).toContain("igpo");
  expect(await (await ask("/v1/methods/gae")).json()).toMatchObject({
    id: "gae",
    params: { properties: { gamma: {} } },
  });
  expect((await ask("/v1/methods/nope")).status).toBe(404);
  expect(await (await ask("/health")).json()).toEqual({ status: "ok", version: "0.0.0" });
  expect(await (await ask("/ready")).json()).toEqual({ status: "ready" });
  await post("/v1/assign", { method: "grpo", rollouts });
  const counters = await (await ask("/metrics")).text();
  expect(counters).toContain('apportion_rollouts_credited_total{method="grpo"} 40');
  expect(counters).toContain('apportion_http_request_seconds_count{method="POST",route="/v1/assign",status="200"} 1');
});

test("rewards by a rule, as OpenRLHF asks for them", async () => {
  const { post } = await serving();
  const body = {
    query: ["2+2=<answer>4</answer>", "2+3=<answer>6</answer>"],
    prompts: ["2+2=", "2+3="],
    labels: ["4", "5"],
  };
  expect(await (await post("/v1/reward", body)).json()).toEqual({
    rewards: [1, 0],
    scores: [1, 0],
    extra_logs: { text_pass: [1, 0] },
  });
  expect(await (await post("/v1/reward?rule=number", { ...body, labels: ["4.0", "6"] })).json()).toMatchObject({
    rewards: [1, 1],
  });
  expect((await post("/v1/reward", { query: ["a"], labels: [] })).status).toBe(400);
  expect((await post("/v1/reward?rule=magic", body)).status).toBe(400);
});

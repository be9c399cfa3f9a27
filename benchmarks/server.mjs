// The HTTP server as other programs meet it: small requests at a steady rate, an Arrow stream, spans of traces.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { Agent, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { writeRollouts } from "../dist/index.js";
import { batchOf, column, jagged } from "./data.mjs";
import { memoryOf } from "./memory.mjs";
import { human, table } from "./timing.mjs";

const program = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));
const agent = new Agent({ keepAlive: true, maxSockets: 64 });

async function serve(folder) {
  const args = [program, "serve", "--port", "0", "--workspace", join(folder, "workspace")];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  const url = await new Promise((resolve) => {
    child.stderr.on("data", (text) => {
      said += text;
      const found = /http:\/\/[^\s;]+/.exec(said);
      if (found !== null) resolve(found[0]);
    });
  });
  return { child, url };
}

/** Milliseconds from the request to the last byte of its answer. */
function post(url, type, body) {
  return new Promise((resolve, reject) => {
    const start = performance.now();
    const headers = { "content-type": type, "content-length": body.length };
    const asked = request(url, { method: "POST", agent, headers }, (answer) => {
      answer.resume();
      answer.on("end", () => {
        if (answer.statusCode === 200) resolve(performance.now() - start);
        else reject(new Error(`status ${answer.statusCode} of ${url}`));
      });
    });
    asked.on("error", reject);
    asked.end(body);
  });
}

/** 200 requests per second for some seconds: median and 99th percentile in milliseconds. */
async function steady(url, seconds) {
  const rollouts = Array.from({ length: 8 }, (_, i) => ({
    id: `r${i}`,
    group: "g",
    reward: i % 2,
    tokens: { id: Array.from({ length: 64 }, (_, t) => t) },
  }));
  const body = Buffer.from(JSON.stringify({ method: "grpo", rollouts }));
  const ask = () => post(`${url}/v1/assign`, "application/json", body);
  for (let k = 0; k < 300; k++) await ask();
  const count = 200 * seconds;
  const start = performance.now();
  const times = [];
  for (let k = 0; k < count; k++) {
    const wait = start + 5 * k - performance.now();
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
    times.push(ask());
  }
  const sorted = (await Promise.all(times)).sort((a, b) => a - b);
  return { p50: sorted[count >> 1], p99: sorted[Math.floor(0.99 * count)] };
}

async function arrow(url, folder) {
  const data = jagged({ rollouts: 2048, min: 200, max: 4096, group: 8, seed: 1 });
  const columns = { "tokens.value": column("token", data.value), "tokens.mask": column("token", data.mask) };
  const file = join(folder, "in.arrow");
  await writeRollouts(batchOf(data, columns), file);
  const body = readFileSync(file);
  const ask = () =>
    post(`${url}/v1/assign?method=gae&param.whiten_advantage=false`, "application/vnd.apache.arrow.stream", body);
  const times = [];
  for (let k = 0; k < 5; k++) times.push(await ask());
  return (1000 * data.tokens) / Math.min(...times);
}

const attribute = (key, stringValue) => ({ key, value: { stringValue } });

/** A trace of four spans: an agent, two calls of a model, a tool. */
function traceSpans(trace) {
  const traceId = trace.toString(16).padStart(32, "0");
  const messages = JSON.stringify([
    { role: "assistant", parts: [{ type: "text", content: "three euros ".repeat(20) }] },
  ]);
  const operations = ["invoke_agent", "chat", "execute_tool", "chat"];
  return operations.map((operation, k) => ({
    traceId,
    spanId: (k + 1).toString(16).padStart(16, "0"),
    ...(k === 0 ? {} : { parentSpanId: "0000000000000001" }),
    name: operation,
    startTimeUnixNano: String(1e18 + k),
    endTimeUnixNano: String(1e18 + 10),
    attributes: [attribute("gen_ai.operation.name", operation), attribute("gen_ai.output.messages", messages)],
  }));
}

/** Spans per second that are acknowledged, from four clients, and memory over the run. */
async function traces(url, pid, seconds) {
  let trace = 1;
  let spans = 0;
  const memory = [];
  const start = performance.now();
  const watch = setInterval(() => memory.push(memoryOf(pid)), 1000);
  const client = async () => {
    while (performance.now() - start < 1000 * seconds) {
      const some = Array.from({ length: 25 }, () => traceSpans(trace++)).flat();
      const body = Buffer.from(JSON.stringify({ resourceSpans: [{ scopeSpans: [{ spans: some }] }] }));
      await post(`${url}/v1/traces`, "application/json", body);
      spans += some.length;
    }
  };
  await Promise.all([client(), client(), client(), client()]);
  clearInterval(watch);
  return { rate: spans / ((performance.now() - start) / 1000), early: memory[4] ?? 0, late: memory.at(-1) ?? 0 };
}

/** Runs the section and prints its table. */
export async function server({ seconds = 20 } = {}) {
  const folder = mkdtempSync(join(tmpdir(), "apportion-bench-"));
  const { child, url } = await serve(folder);
  try {
    console.log("\nThe HTTP server, clients on the same machine");
    const latency = await steady(url, 10);
    const rate = await arrow(url, folder);
    const spans = await traces(url, child.pid, seconds);
    const megabytes = (bytes) => `${Math.round(bytes / 1e6)} MB`;
    table(
      ["what", "measured", "wanted"],
      [
        ["small JSON assign at 200 requests/s, p50", `${latency.p50.toFixed(1)} ms`, ""],
        ["the same, p99", `${latency.p99.toFixed(1)} ms`, "20 ms"],
        ["Arrow in and out, gae", `${human(rate)} tokens/s`, "15 M tokens/s"],
        ["spans acknowledged on disk", `${human(spans.rate)} spans/s`, "2 k spans/s"],
        [
          `memory after 5 s and after ${seconds} s of spans`,
          `${megabytes(spans.early)}, ${megabytes(spans.late)}`,
          "flat",
        ],
      ],
    );
    return { latency, arrow: rate, spans };
  } finally {
    child.kill("SIGTERM");
    await once(child, "close");
    agent.destroy();
    rmSync(folder, { recursive: true, force: true });
  }
}

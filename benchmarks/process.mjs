// Whole processes as a person runs them: rollouts in, credit, rollouts out. Wall time, and the highest memory seen.
import { spawn } from "node:child_process";
import { mkdtempSync, openSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { writeRollouts } from "../dist/index.js";
import { batchOf, column, jagged } from "./data.mjs";
import { memoryOf } from "./memory.mjs";
import { human, table } from "./timing.mjs";

const program = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));

/** Runs `apportion` with standard input from a pipe that is filled from `input`; standard output goes into a pipe. */
function run(args, input) {
  return new Promise((resolve, reject) => {
    const source = input === undefined ? null : spawn("cat", [input], { stdio: ["ignore", "pipe", "inherit"] });
    const sink = spawn("cat", { stdio: ["pipe", openSync("/dev/null", "w"), "inherit"] });
    const start = performance.now();
    const child = spawn(process.execPath, [program, ...args], {
      stdio: [source?.stdout ?? "ignore", sink.stdin, "pipe"],
    });
    // Our copies of the ends would keep the pipes open.
    source?.stdout.destroy();
    sink.stdin.destroy();
    let memory = 0;
    let complaint = "";
    const watch = setInterval(() => {
      memory = Math.max(memory, memoryOf(child.pid, { highest: true }));
    }, 20);
    child.stderr.on("data", (text) => {
      complaint += text;
    });
    child.on("close", (status) => {
      clearInterval(watch);
      if (status !== 0) reject(new Error(`apportion ${args.join(" ")} ended with ${status}: ${complaint}`));
      else resolve({ seconds: (performance.now() - start) / 1000, memory });
    });
  });
}

/** The best of a few runs: other processes only ever add time. */
async function best(args, input, runs = 3) {
  const all = [];
  for (let k = 0; k < runs; k++) all.push(await run(args, input));
  return { seconds: Math.min(...all.map((one) => one.seconds)), memory: Math.max(...all.map((one) => one.memory)) };
}

async function files(folder, rollouts) {
  const data = jagged({ rollouts, min: 200, max: 7800, group: 8, seed: 5 });
  const id = new Int32Array(data.tokens).map((_, t) => (t * 7919) % 150000);
  const batch = batchOf(data, {
    "tokens.id": column("token", id),
    "tokens.mask": column("token", data.mask),
    "tokens.value": column("token", data.value),
  });
  const paths = {};
  for (const kind of ["arrow", "parquet", "jsonl"]) {
    paths[kind] = join(folder, `${rollouts}.${kind}`);
    await writeRollouts(batch, paths[kind]);
  }
  const columns = data.tokens * (4 + 1 + 4);
  return { paths, tokens: data.tokens, columns };
}

export async function processes() {
  console.log(
    "\nWhole processes: start, read, gae, write, end (gae --param whiten_advantage=false streams; with whitening it reads twice)",
  );
  const folder = mkdtempSync(join(tmpdir(), "apportion-bench-"));
  try {
    const small = await files(folder, 8);
    const big = await files(folder, 8192);
    const gae = ["assign", "--method", "gae", "--quiet"];
    const stream = ["--param", "whiten_advantage=false"];
    const out = (kind) => join(folder, `out.${kind}`);
    const cases = [
      [
        "Arrow in (pipe), Arrow out (pipe)",
        "arrow",
        [...gae, ...stream, "-", "--format", "arrow"],
        true,
        "20 M tokens/s",
      ],
      ["the same, whitened", "arrow", [...gae, "-", "--format", "arrow"], true, ""],
      [
        "Parquet file to Parquet file",
        "parquet",
        [...gae, ...stream, null, "-o", out("parquet")],
        false,
        "8 M tokens/s",
      ],
      ["the same, whitened", "parquet", [...gae, null, "-o", out("parquet")], false, ""],
      ["JSONL file to Arrow (pipe)", "jsonl", [...gae, ...stream, null, "--format", "arrow"], false, "100 MB/s in"],
      ["JSONL file to JSONL file", "jsonl", [...gae, ...stream, null, "-o", out("jsonl")], false, ""],
    ];
    const results = [];
    const version = await best(["--version"], undefined, 7);
    for (const [name, kind, args, piped, wanted] of cases) {
      const call = ({ paths }) =>
        best(
          args.map((arg) => arg ?? paths[kind]),
          piped ? paths[kind] : undefined,
        );
      const start = await call(small);
      const whole = await call(big);
      const seconds = whole.seconds - start.seconds;
      const bytes = statSync(big.paths[kind]).size;
      results.push({
        name,
        wanted,
        start_seconds: start.seconds,
        seconds: whole.seconds,
        tokens_per_second: big.tokens / seconds,
        bytes_per_second: bytes / seconds,
        peak_memory: whole.memory,
        // Two float32 columns come on top of what is read.
        columns_held: big.columns + big.tokens * 8,
      });
    }
    console.log(
      `  ${human(big.tokens)} tokens; apportion --version: ${(1000 * version.seconds).toFixed(0)} ms (wanted: 150 ms)`,
    );
    table(
      ["process", "start", "whole", "tokens/s past start", "input MB/s", "peak memory", "wanted"],
      results.map((r) => [
        r.name,
        `${r.start_seconds.toFixed(2)} s`,
        `${r.seconds.toFixed(2)} s`,
        human(r.tokens_per_second),
        (r.bytes_per_second / 1e6).toFixed(0),
        `${(r.peak_memory / 1e6).toFixed(0)} MB`,
        r.wanted,
      ]),
    );
    const held = results[0].columns_held;
    console.log(
      `  columns held if the whole file is in memory: ${(held / 1e6).toFixed(0)} MB; wanted: at most three times that plus 150 MB = ${((3 * held) / 1e6 + 150).toFixed(0)} MB`,
    );
    return { version_seconds: version.seconds, tokens: big.tokens, results };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

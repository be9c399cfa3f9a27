// The estimators that trainers run today, in padded torch, against the same definitions here: one run, one set of data.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { assign, ResultMemory } from "../dist/index.js";
import { findTorch } from "../scripts/find.mjs";
import { batchOf, column, jagged } from "./data.mjs";
import { copyRate, human, measure, table } from "./timing.mjs";

// Times as fast as torch that we want; bytes per token read and written (float32 values, one byte of mask).
const methods = [
  { id: "gae", wanted: 60, bytes: 4 + 1 + 4 + 4, writes: ["tokens.advantage", "tokens.return"] },
  { id: "reinforce-pp", wanted: 20, bytes: 1 + 4 + 4, writes: ["tokens.advantage", "tokens.return"] },
  { id: "grpo", wanted: 2, bytes: 1 + 4, writes: ["tokens.advantage"] },
  { id: "rloo", wanted: 2, bytes: 1 + 4, writes: ["tokens.advantage"] },
];

function runTorch(python, folder, data) {
  const stem = join(folder, "rollouts");
  const { lengths, groups, rewards, value, mask } = data;
  const info = { rollouts: lengths.length, lengths, groups, rewards: [...rewards], dtype: "float32" };
  writeFileSync(`${stem}.json`, JSON.stringify(info));
  writeFileSync(`${stem}.value.bin`, value);
  writeFileSync(`${stem}.mask.bin`, mask);
  const script = fileURLToPath(new URL("python/run.py", import.meta.url));
  const tuned = ["gae-tuned", "reinforce-pp-tuned"];
  const wanted = [...methods.map(({ id }) => id), ...tuned].join(",");
  const args = [script, "--threads", "2", "--methods", wanted, "--repeat", "15", "--data", stem, "--dump"];
  const done = spawnSync(python, args, { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });
  if (done.status !== 0) throw new Error(`the torch side ended with ${done.status}`);
  const lines = done.stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  return new Map(lines.map((line) => [line.method, line]));
}

/** Largest difference between our advantages and those of torch, on policy tokens. */
function difference(folder, id, advantage, mask) {
  const bytes = readFileSync(join(folder, `rollouts.${id}.adv.bin`));
  const theirs = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2);
  let worst = 0;
  for (let t = 0; t < theirs.length; t++)
    if (mask[t] === 1) worst = Math.max(worst, Math.abs(theirs[t] - advantage[t]));
  return worst;
}

/** Not timed on either side: reading, padding and mask conversion (torch), reading and checking (here). */
export function estimators() {
  const data = jagged({ rollouts: 256, min: 200, max: 4096, group: 8, seed: 1 });
  console.log(
    `\nEstimators: 256 rollouts of 200 to 4,096 tokens (${human(data.tokens)}), float32, torch with 2 threads, ours with 1`,
  );
  const found = findTorch();
  if (found === undefined) console.log("  skipped the comparison: no Python with torch was found");
  const folder = mkdtempSync(join(tmpdir(), "apportion-bench-"));
  try {
    const torch = found === undefined ? new Map() : runTorch(found.python, folder, data);
    const batch = batchOf(data, {
      "tokens.value": column("token", data.value),
      "tokens.mask": column("token", data.mask),
    });
    const into = new ResultMemory();
    const results = methods.map(({ id, wanted, bytes, writes }) => {
      const once = (options) => {
        const result = assign(batch, id, {}, options);
        for (const path of writes) result.column(path).values;
        return result;
      };
      const reused = measure(() => {
        into.reuse();
        once({ into });
      });
      const fresh = measure(() => once({}));
      const share = (bytes * data.tokens) / reused.median / copyRate(bytes * data.tokens);
      const theirs = torch.get(id);
      const worst =
        theirs === undefined ? null : difference(folder, id, once({}).column("tokens.advantage").values, data.mask);
      const rate = data.tokens / reused.median;
      const tuned = torch.get(`${id}-tuned`);
      return {
        method: id,
        tokens_per_second: rate,
        tokens_per_second_fresh_memory: data.tokens / fresh.median,
        torch_tokens_per_second: theirs?.tokens_per_second ?? null,
        ratio: theirs === undefined ? null : rate / theirs.tokens_per_second,
        ratio_fresh_memory: theirs === undefined ? null : data.tokens / fresh.median / theirs.tokens_per_second,
        ratio_to_tuned_torch: tuned === undefined ? null : rate / tuned.tokens_per_second,
        wanted,
        bandwidth_share: share,
        max_abs_diff: worst,
      };
    });
    const times = (x) => (x === null ? "–" : `${x.toFixed(1)}x`);
    table(
      [
        "method",
        "tokens/s",
        "torch",
        "ratio",
        "wanted",
        "fresh memory",
        "tuned torch",
        "of a copy's bandwidth",
        "max diff",
      ],
      results.map((r) => [
        r.method,
        human(r.tokens_per_second),
        r.torch_tokens_per_second === null ? "–" : human(r.torch_tokens_per_second),
        times(r.ratio),
        `${r.wanted}x`,
        times(r.ratio_fresh_memory),
        times(r.ratio_to_tuned_torch),
        `${(100 * r.bandwidth_share).toFixed(0)} %`,
        r.max_abs_diff === null ? "–" : r.max_abs_diff.toExponential(0),
      ]),
    );
    console.log(
      "  ratio: results written into memory that is used again, as torch's allocator does; fresh memory: new arrays per call",
    );
    console.log("  tuned torch: the same loop over contiguous columns, the fastest eager form found");
    return results;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

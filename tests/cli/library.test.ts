import { spawnSync } from "node:child_process";
import { dirname, join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { dist } from "./dist.ts";
import { folderWith, lines, pair } from "./run-cli.ts";

/** Runs a module that imports the package by its name, as a user's module does. */
function module(code: string) {
  const args = ["--input-type=module", "-e", code];
  return spawnSync(process.execPath, args, { cwd: dirname(dist), encoding: "utf8" });
}

test("read, assign, write", () => {
  const folder = folderWith({ "in.jsonl": lines(...pair) }, onTestFinished);
  const [input, output] = ["in.jsonl", "out.jsonl"].map((name) => JSON.stringify(join(folder.path, name)));
  const { stdout, stderr } = module(`
    import { assign, methods, readRollouts, writeRollouts } from "apportion";
    const credited = assign(await readRollouts(${input}), methods.get("grpo"));
    await writeRollouts(credited, ${output});
    const [a, b] = (await readRollouts(${output})).numbers("rollout.advantage");
    console.log(a > 0.7, a === -b);`);
  expect({ stdout, stderr }).toEqual({ stdout: "true true\n", stderr: "" });
});

test("stream", () => {
  const folder = folderWith({ "in.jsonl": lines(...pair) }, onTestFinished);
  const input = JSON.stringify(join(folder.path, "in.jsonl"));
  const { stdout, stderr } = module(`
    import { assignStream, readBatches } from "apportion";
    const source = ({ chunkBytes }) => readBatches(${input}, { chunkBytes });
    for await (const batch of assignStream(source, [{ method: "gae" }, { method: "grpo", params: { eps: 1 } }]))
      console.log(batch.size, batch.paths.filter((path) => path.endsWith("advantage")).join());`);
  expect({ stdout, stderr }).toEqual({
    stdout: "2 tokens.gae_advantage,rollout.grpo_advantage,tokens.grpo_advantage\n",
    stderr: "",
  });
});

test("the core alone", () => {
  const { stdout, stderr } = module(`
    import { assign, batchFromObjects } from "apportion/core";
    const batch = assign(batchFromObjects([{ id: "a", reward: 1 }, { id: "b", reward: 0 }]), "dr-grpo");
    console.log(batch.size);`);
  expect({ stdout, stderr }).toEqual({ stdout: "2\n", stderr: "" });
});

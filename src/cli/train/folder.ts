import { promises as fs } from "node:fs";
import { basename, join } from "node:path";
import { parquetRows } from "../../formats/export/parquet-rows.ts";
import { fileError } from "../../formats/file-errors.ts";
import { draftOf } from "../../formats/output.ts";
import { writeRollouts } from "../../formats/write.ts";
import { readCheckpoint, type TrainerState, writeCheckpoint } from "../../lab/training/index.ts";
import { metricNames } from "../../lab/training/metrics.ts";
import type { MetricsRow } from "../../lab/training/summary.ts";
import type { Batch } from "../../rollouts/batch.ts";
import { InputError } from "../../rollouts/errors.ts";
import { parseConfig, type RunConfig } from "./config.ts";

/** Name of an arm in the names of files. */
const inName = (arm: string) => arm.replace(/[^\p{L}\p{N}+_-]/gu, "_");

const whole = new Set(["seed", "update"]);

/** The folder of a run: everything is written under a temporary name and then renamed. */
export class RunFolder {
  readonly path: string;
  /** Folders that were made for the run, the outermost first. */
  readonly #made: string[] = [];

  constructor(path: string) {
    this.path = path;
  }

  /**
   * Makes a folder for a new run.
   * @throws InputError when there is something in it.
   */
  static async create(path: string, config: RunConfig): Promise<RunFolder> {
    const there = await fs.readdir(path).catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return [] as string[];
      throw fileError(error, path);
    });
    if (there.length > 0) {
      const hint = there.includes("config.json")
        ? `go on with that run: apportion train --resume --out ${path}`
        : "name another folder with --out";
      throw new InputError("the folder is not empty", { file: path, hint });
    }
    const folder = new RunFolder(path);
    for (const part of ["checkpoints", "rollouts"]) {
      const made = await fs.mkdir(join(path, part), { recursive: true }).catch((error: unknown) => {
        throw fileError(error, path);
      });
      if (made !== undefined) folder.#made.push(made);
    }
    await folder.writeText("config.json", `${JSON.stringify(config, null, 2)}\n`);
    return folder;
  }

  /** Takes a new run away that came to nothing; one that was there before stays. */
  async discard(): Promise<void> {
    if (this.#made.length === 0) return;
    await fs.rm(join(this.path, "config.json"), { force: true });
    for (const folder of this.#made) await fs.rm(folder, { recursive: true, force: true });
  }

  /** The first name that is free: runs/key-door, runs/key-door-2, … */
  static async freeName(id: string): Promise<string> {
    for (let k = 1; ; k++) {
      const path = join("runs", k === 1 ? id : `${id}-${k}`);
      const there = await fs.stat(path).catch(() => null);
      if (there === null) return path;
    }
  }

  /** @throws InputError when there is no run in the folder. */
  async config(): Promise<RunConfig> {
    const file = join(this.path, "config.json");
    const text = await fs.readFile(file, "utf8").catch((error: unknown) => {
      throw fileError(error, file);
    });
    return parseConfig(text, file);
  }

  async writeText(name: string, text: string): Promise<void> {
    await this.#write(name, new TextEncoder().encode(text));
  }

  async writeMetrics(rows: readonly MetricsRow[]): Promise<void> {
    const types = Object.fromEntries([
      ["method", { type: "VARCHAR" }],
      ["seed", { type: "INTEGER" }],
      ["update", { type: "INTEGER" }],
      ["expected_reward", { type: "DOUBLE" }],
      ...metricNames.filter((name) => !whole.has(name)).map((name) => [name, { type: "DOUBLE" }] as const),
    ]);
    const sink = await parquetRows(join(this.path, "metrics.parquet"), types);
    try {
      for (const row of rows) await sink.write({ ...row });
      await sink.close();
    } catch (error) {
      await sink.abort();
      throw error;
    }
  }

  /** Rows of the metrics so far; none when there is no such file yet. */
  async readMetrics(): Promise<MetricsRow[]> {
    const file = join(this.path, "metrics.parquet");
    if ((await fs.stat(file).catch(() => null)) === null) return [];
    const { DuckDBInstance } = await import("@duckdb/node-api");
    const instance = await DuckDBInstance.create(":memory:");
    try {
      const connection = await instance.connect();
      const reader = await connection.runAndReadAll(`SELECT * FROM read_parquet('${file.replaceAll("'", "''")}')`);
      return reader.getRowObjectsJS() as unknown as MetricsRow[];
    } catch (error) {
      const [message] = (error as Error).message.split("\n");
      throw new InputError("the metrics cannot be read", { file, got: message });
    } finally {
      instance.closeSync();
    }
  }

  async writeRollouts(arm: string, seed: number, update: number, batch: Batch): Promise<void> {
    await writeRollouts(batch, join(this.path, "rollouts", `${inName(arm)}-seed${seed}-update${update}.jsonl`));
  }

  /** Writes a checkpoint, and only then removes those before it. */
  async writeCheckpoint(arm: string, seed: number, state: TrainerState): Promise<void> {
    const before = await this.#checkpoints(arm, seed);
    const stem = `checkpoints/${inName(arm)}-seed${seed}-update${state.update}`;
    const files = writeCheckpoint(state);
    await this.#write(`${stem}.state.safetensors`, files.state);
    await this.#write(`${stem}.safetensors`, files.policy);
    for (const { update, stem: old } of before) {
      if (update === state.update) continue;
      for (const name of [`${old}.safetensors`, `${old}.state.safetensors`]) {
        await fs.rm(join(this.path, name), { force: true });
      }
    }
  }

  /** The latest checkpoint of an arm and seed, `null` when there is none. */
  async readCheckpoint(arm: string, seed: number): Promise<TrainerState | null> {
    const latest = (await this.#checkpoints(arm, seed)).at(-1);
    if (latest === undefined) return null;
    const names = { policy: `${latest.stem}.safetensors`, state: `${latest.stem}.state.safetensors` };
    const read = (name: string) =>
      fs.readFile(join(this.path, name)).catch((error: unknown) => {
        throw fileError(error, join(this.path, name));
      });
    const files = { policy: await read(names.policy), state: await read(names.state) };
    return readCheckpoint(files, names);
  }

  /** Checkpoints of which both files are there, the latest last. */
  async #checkpoints(arm: string, seed: number): Promise<{ update: number; stem: string }[]> {
    const names = new Set(await fs.readdir(join(this.path, "checkpoints")).catch(() => []));
    const start = `${inName(arm)}-seed${seed}-update`;
    return [...names]
      .filter((name) => name.startsWith(start) && /^\d+\.safetensors$/.test(name.slice(start.length)))
      .filter((name) => names.has(`${basename(name, ".safetensors")}.state.safetensors`))
      .map((name) => ({
        update: Number.parseInt(name.slice(start.length), 10),
        stem: `checkpoints/${basename(name, ".safetensors")}`,
      }))
      .sort((a, b) => a.update - b.update);
  }

  async #write(name: string, bytes: Uint8Array): Promise<void> {
    const draft = await draftOf(join(this.path, name));
    try {
      await fs.writeFile(draft.path, bytes);
      await draft.publish();
    } catch (error) {
      await draft.discard();
      throw fileError(error, join(this.path, name));
    }
  }
}

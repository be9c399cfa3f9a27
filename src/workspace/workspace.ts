import { promises as fs } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { readRollouts } from "../formats/read.ts";
import { writeRollouts } from "../formats/write.ts";
import { type Batch, InputError } from "../rollouts/index.ts";
import { draftName, sweep, syncFolder, writeDurably } from "./durable.ts";
import { fileOf } from "./query.ts";
import { type PartCounts, RunWriter } from "./run-writer.ts";

const manifestSchema = z.object({
  format: z.literal(1),
  name: z.string(),
  /** When the run was made, as ISO 8601 in UTC. */
  created: z.iso.datetime(),
  /** Where it came from, in words. */
  source: z.string(),
  /** Whatever else its maker wanted to keep: methods, parameters, seeds. */
  about: z.record(z.string(), z.unknown()),
});

/** What is known of a run besides its rollouts. */
export type Manifest = z.output<typeof manifestSchema>;

export interface RunOptions {
  source?: string;
  about?: Readonly<Record<string, unknown>>;
}

/** A run in a list. */
export interface RunSummary extends Manifest, PartCounts {
  /** Bytes of its Parquet files. */
  bytes: number;
}

const namePattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/;

function checkName(name: string): void {
  if (namePattern.test(name) && !name.endsWith(".tmp")) return;
  throw new InputError("this is not a name for a run", {
    expected: "letters, digits, dots, hyphens and underscores, up to 100 of them, the first a letter or digit",
    got: JSON.stringify(name),
  });
}

const partPattern = /^part-(\d{6,})-r(\d+)-t(\d+)-[0-9a-f]{8}\.parquet$/;

/**
 * Runs on disk: a folder `runs` with a folder per run, which holds `manifest.json` and the rollouts as
 * `part-NUMBER-rROLLOUTS-tTOKENS-RANDOM.parquet`. A run or a part is visible from the moment that it has its name, and gets
 * its name when all of it is on the disk; several processes may write and read at the same time.
 */
export class Workspace {
  readonly folder: string;
  readonly #runs: string;

  private constructor(folder: string) {
    this.folder = folder;
    this.#runs = join(folder, "runs");
  }

  /** Opens a workspace, making its folder when there is none and clearing away what killed processes left half-written. */
  static async open(folder: string): Promise<Workspace> {
    const workspace = new Workspace(folder);
    try {
      await fs.mkdir(workspace.#runs, { recursive: true });
    } catch (error) {
      throw new InputError("the workspace cannot be made here", { file: folder, got: (error as Error).message });
    }
    await sweep(workspace.#runs);
    return workspace;
  }

  /**
   * A workspace that is read only: nothing is made and nothing is cleared away.
   * @throws InputError when there is none.
   */
  static async existing(folder: string): Promise<Workspace> {
    const workspace = new Workspace(folder);
    const found = await fs.stat(workspace.#runs).catch(() => null);
    if (found?.isDirectory()) return workspace;
    throw new InputError("there is no workspace here", {
      file: folder,
      hint: "make one with `apportion runs add NAME FILE`, or name another one with --workspace",
    });
  }

  #path(name: string): string {
    checkName(name);
    return join(this.#runs, name);
  }

  /** Names of the runs, in alphabetical order. */
  async names(): Promise<string[]> {
    const entries = await fs.readdir(this.#runs, { withFileTypes: true });
    return entries
      .filter((entry) => entry.isDirectory() && namePattern.test(entry.name))
      .map((entry) => entry.name)
      .sort();
  }

  async has(name: string): Promise<boolean> {
    return (await fs.stat(this.#path(name)).catch(() => null)) !== null;
  }

  /** Paths of the Parquet files of a run, in the order in which they came. */
  async files(name: string): Promise<string[]> {
    const folder = this.#path(name);
    const names = await fs.readdir(folder).catch(() => null);
    if (names === null) throw await this.#missing(name);
    return names
      .filter((file) => partPattern.test(file))
      .sort()
      .map((file) => join(folder, file));
  }

  /** What is known of a run. @throws InputError when there is no such run or its manifest is damaged. */
  async manifest(name: string): Promise<Manifest> {
    const file = join(this.#path(name), "manifest.json");
    const text = await fs.readFile(file, "utf8").catch(() => null);
    if (text === null) throw await this.#missing(name);
    let value: unknown = null;
    try {
      value = JSON.parse(text);
    } catch {
      // told below
    }
    const parsed = manifestSchema.safeParse(value);
    if (parsed.success) return parsed.data;
    throw new InputError("the manifest of the run is damaged", { file, got: parsed.error.issues[0].message });
  }

  /** Everything about a run but its rollouts. */
  async summary(name: string): Promise<RunSummary> {
    const manifest = await this.manifest(name);
    const total = { rollouts: 0, tokens: 0, bytes: 0 };
    for (const file of await this.files(name)) {
      const [, , rollouts, tokens] = partPattern.exec(file.slice(file.lastIndexOf("part-"))) as RegExpExecArray;
      total.rollouts += Number(rollouts);
      total.tokens += Number(tokens);
      total.bytes += (await fs.stat(file)).size;
    }
    return { ...manifest, ...total };
  }

  /** All runs, the newest first. */
  async list(): Promise<RunSummary[]> {
    const summaries = await Promise.all((await this.names()).map((name) => this.summary(name).catch(() => null)));
    const found = summaries.filter((summary): summary is RunSummary => summary !== null);
    return found.sort((a, b) => (a.created < b.created ? 1 : a.created > b.created ? -1 : 0));
  }

  async #missing(name: string): Promise<InputError> {
    const names = await this.names();
    return new InputError(`there is no run ${JSON.stringify(name)}`, {
      file: this.folder,
      expected: names.length === 0 ? "a run (there are none yet)" : `one of ${names.slice(0, 20).join(", ")}`,
    });
  }

  /** Makes an empty run that is visible at once; its parts become visible one by one. For rollouts that come in over time. */
  async create(name: string, options: RunOptions = {}): Promise<RunWriter> {
    const draft = await this.#draft(name, options);
    await this.#publish(draft, name);
    return RunWriter.open(this.#path(name), []);
  }

  /** Goes on with a run. */
  async append(name: string): Promise<RunWriter> {
    const files = await this.files(name);
    await sweep(this.#path(name));
    return RunWriter.open(this.#path(name), files);
  }

  /** Makes a run of what a source gives; it is visible when all of it is there, and not at all when the source fails. */
  async add(
    name: string,
    batches: AsyncIterable<Batch> | Iterable<Batch>,
    options: RunOptions = {},
  ): Promise<PartCounts> {
    const draft = await this.#draft(name, options);
    const counts = { rollouts: 0, tokens: 0 };
    try {
      const writer = await RunWriter.open(draft, []);
      for await (const batch of batches) {
        const { rollouts, tokens } = await writer.append(batch);
        counts.rollouts += rollouts;
        counts.tokens += tokens;
      }
      await this.#publish(draft, name);
    } catch (error) {
      await fs.rm(draft, { recursive: true, force: true });
      throw error;
    }
    return counts;
  }

  async #draft(name: string, { source = "", about = {} }: RunOptions): Promise<string> {
    if (await this.has(name)) throw this.#taken(name);
    const draft = join(this.#runs, draftName(name));
    await fs.mkdir(draft);
    const manifest: Manifest = { format: 1, name, created: new Date().toISOString(), source, about: { ...about } };
    await writeDurably(draft, "manifest.json", `${JSON.stringify(manifest, null, 2)}\n`);
    return draft;
  }

  #taken(name: string): InputError {
    return new InputError(`there is already a run ${JSON.stringify(name)}`, {
      file: this.folder,
      hint: `take another name, or remove it first: apportion runs rm ${name}`,
    });
  }

  async #publish(draft: string, name: string): Promise<void> {
    try {
      await fs.rename(draft, this.#path(name));
    } catch (error) {
      await fs.rm(draft, { recursive: true, force: true });
      const { code } = error as NodeJS.ErrnoException;
      throw code === "ENOTEMPTY" || code === "EEXIST" ? this.#taken(name) : error;
    }
    await syncFolder(this.#runs);
  }

  /**
   * Gives a rollout its outcome. The file that holds it is written anew and takes the place of the old one at once.
   * @throws InputError when the run has no such rollout.
   */
  async setReward(name: string, id: string, reward: number): Promise<void> {
    const files = await this.files(name);
    const file = files.length === 0 ? null : await fileOf(files, id);
    if (file === null) throw new InputError("there is no such rollout in the run", { file: name, rollout: id });
    const batch = await readRollouts(file);
    const known = batch.has("rollout.reward");
    const values = known
      ? Float64Array.from(batch.numbers("rollout.reward", { absent: 0, missing: 0 }))
      : new Float64Array(batch.size);
    const valid = known
      ? Uint8Array.from(batch.validity("rollout.reward") ?? new Uint8Array(batch.size).fill(1))
      : new Uint8Array(batch.size);
    const at = batch.ids.indexOf(id);
    values[at] = reward;
    valid[at] = 1;
    await writeRollouts(batch.with({ "rollout.reward": { values, valid } }), file);
    await syncFolder(this.#path(name));
  }

  /** Removes a run: it is gone at once, and its files soon after. */
  async remove(name: string): Promise<void> {
    const grave = join(this.#runs, draftName(name));
    try {
      await fs.rename(this.#path(name), grave);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") throw await this.#missing(name);
      throw error;
    }
    await syncFolder(this.#runs);
    await fs.rm(grave, { recursive: true, force: true });
  }
}

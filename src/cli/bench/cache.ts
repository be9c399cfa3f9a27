import { createHash } from "node:crypto";
import { appendFileSync, existsSync, mkdirSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { benchVersion, type Job, type JobResult } from "../../lab/benchmark/job.ts";

/** Where results are kept when nothing else is asked for. */
export function defaultCache(env: NodeJS.ProcessEnv): string {
  return join(env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "apportion", "bench");
}

/** Everything that a result depends on: the job, the version of the benchmark, and the credit that the method gives today. */
export function keyOf(job: Job, fingerprint: string): string {
  const { entry, columns, task, seed, scale } = job;
  const what = [benchVersion, entry.method, entry.params, columns, task, seed, scale, fingerprint];
  return createHash("sha256").update(JSON.stringify(what)).digest("hex").slice(0, 32);
}

/** Finished jobs on disk, a file per method, a line per result: a run that is broken off loses at most its last line. */
export class Cache {
  readonly folder: string;
  readonly #known = new Map<string, Map<string, JobResult>>();

  constructor(folder: string) {
    mkdirSync(folder, { recursive: true });
    this.folder = folder;
  }

  get(method: string, key: string): JobResult | undefined {
    return this.#of(method).get(key);
  }

  put(method: string, key: string, result: JobResult): void {
    const known = this.#of(method);
    known.set(key, result);
    appendFileSync(this.#file(method), `${JSON.stringify({ key, ...result })}\n`);
  }

  #file(method: string): string {
    return join(this.folder, `${method.replace(/[^\w-]/g, "-")}.jsonl`);
  }

  #of(method: string): Map<string, JobResult> {
    let known = this.#known.get(method);
    if (known === undefined) {
      known = new Map(existsSync(this.#file(method)) ? readLines(readFileSync(this.#file(method), "utf8")) : []);
      this.#known.set(method, known);
    }
    return known;
  }
}

/** Results of a file; lines that were cut off are left out. */
function readLines(text: string): [string, JobResult][] {
  return text.split("\n").flatMap((line): [string, JobResult][] => {
    if (line === "") return [];
    try {
      const { key, measures, curves } = JSON.parse(line) as { key: string } & JobResult;
      return typeof key === "string" && measures !== undefined && curves !== undefined
        ? [[key, { measures, curves }]]
        : [];
    } catch {
      return [];
    }
  });
}

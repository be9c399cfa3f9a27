import type { Batch } from "../rollouts/index.ts";
import { formatCount, plural } from "./options.ts";

/** What went through, for the closing line. */
export class Tally {
  batches = 0;
  #rollouts = 0;
  #tokens = 0;
  #turns = 0;
  #alone = 0;
  readonly #groups = new Set<string>();
  readonly #written = new Set<string>();
  readonly #started = performance.now();

  add(batch: Batch, written: readonly string[]): void {
    this.batches++;
    this.#rollouts += batch.size;
    this.#tokens += batch.count("token");
    this.#turns += batch.count("turn");
    for (const name of batch.groupNames) {
      if (name === null) this.#alone++;
      else this.#groups.add(name);
    }
    for (const path of written) this.#written.add(path);
  }

  describe(methods: readonly string[], output: string): string {
    const seconds = (performance.now() - this.#started) / 1000;
    const parts = [plural(this.#rollouts, "rollout"), plural(this.#groups.size + this.#alone, "group")];
    const speed = this.#tokens > 0 ? ` (${formatCount(Math.round(this.#tokens / seconds))} tokens/s)` : "";
    if (this.#tokens > 0) parts.push(plural(this.#tokens, "token"));
    else if (this.#turns > 0) parts.push(plural(this.#turns, "turn"));
    const columns = this.#written.size > 0 ? `; wrote ${[...this.#written].join(", ")} to ${output}` : "";
    return `${methods.join(", ")}: ${parts.join(", ")} in ${seconds.toFixed(2)} s${speed}${columns}`;
  }
}

/** Warnings by how many batches they were about. */
export class Notes {
  readonly #counts = new Map<string, number>();

  readonly add = (message: string): void => {
    this.#counts.set(message, (this.#counts.get(message) ?? 0) + 1);
  };

  /** A line for each; one that was not about all of several batches says so. */
  lines(batches: number): string[] {
    return [...this.#counts].map(([message, count]) => {
      const part = batches > 1 && count < batches ? ` (in ${count} of ${batches} pieces of the input)` : "";
      return `apportion: warning: ${message}${part}\n`;
    });
  }
}

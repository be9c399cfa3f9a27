import { join } from "node:path";
import { rolloutOfTrace } from "../formats/otlp/rollout.ts";
import type { Span } from "../formats/otlp/span.ts";
import { batchFromObjects, InputError, type RolloutObject } from "../rollouts/index.ts";
import { tracesOf } from "../workspace/query.ts";
import type { RunWriter } from "../workspace/run-writer.ts";
import type { Workspace } from "../workspace/workspace.ts";
import { Journal } from "./journal.ts";

export interface TraceStoreOptions {
  /** Run that the rollouts go to. Default `traces`. */
  run?: string;
  /** Milliseconds to wait for more spans after the root of a trace has come. Default 2000. */
  grace?: number;
  /** Milliseconds after which a trace whose root never came is taken as it is. Default 60000. */
  patience?: number;
}

interface Pending {
  spans: Span[];
  reward: number | null;
  rooted: boolean;
  touched: number;
  segments: Set<number>;
}

/** A reward that was posted for a trace; stands in the journal beside the spans. */
interface PostedReward {
  traceId: string;
  reward: number;
}

const most = 1000;

/**
 * Spans come in, rollouts go out. Spans are acknowledged when they are in a journal on disk; when a trace is complete it
 * becomes a rollout of a run, and the journal lets go of it. After a kill the journal is read again: a trace whose rollout
 * is in the run already is not made twice.
 */
export class TraceStore {
  readonly #journal: Journal;
  /** `null` until the first rollout goes out. */
  #writer: RunWriter | null;
  readonly #create: () => Promise<RunWriter>;
  readonly #grace: number;
  readonly #patience: number;
  readonly #pending = new Map<string, Pending>();
  /** Traces whose rollouts are in the run, whatever they are named. */
  readonly #made = new Set<string>();
  /** How many pending traces have lines in a segment. */
  readonly #inUse = new Map<number, number>();
  readonly #timer: NodeJS.Timeout;
  #flushing: Promise<void> = Promise.resolve();

  private constructor(
    journal: Journal,
    writer: RunWriter | null,
    create: () => Promise<RunWriter>,
    { grace = 2000, patience = 60_000 }: TraceStoreOptions,
  ) {
    this.#journal = journal;
    this.#writer = writer;
    this.#create = create;
    this.#grace = grace;
    this.#patience = patience;
    this.#timer = setInterval(() => void this.flush().catch(() => {}), Math.max(50, grace / 4));
    this.#timer.unref();
  }

  static async open(workspace: Workspace, options: TraceStoreOptions = {}): Promise<TraceStore> {
    const { run = "traces" } = options;
    const writer = (await workspace.has(run)) ? await workspace.append(run) : null;
    const journal = await Journal.open(join(workspace.folder, "traces"));
    const store = new TraceStore(journal, writer, () => workspace.create(run, { source: "OTLP" }), options);
    const files = writer === null ? [] : await workspace.files(run);
    if (files.length > 0) for (const trace of await tracesOf(files)) store.#made.add(trace);
    for (const segment of await journal.segments()) {
      for await (const line of journal.read(segment)) store.#take(line as Span | PostedReward, segment);
    }
    return store;
  }

  #take(line: Span | PostedReward, segment: number): void {
    let trace = this.#pending.get(line.traceId);
    if (trace === undefined) {
      trace = { spans: [], reward: null, rooted: false, touched: 0, segments: new Set() };
      this.#pending.set(line.traceId, trace);
    }
    trace.touched = Date.now();
    if ("reward" in line) trace.reward = line.reward;
    else {
      trace.spans.push(line);
      trace.rooted ||= line.parentId === null;
    }
    if (trace.segments.has(segment)) return;
    trace.segments.add(segment);
    this.#inUse.set(segment, (this.#inUse.get(segment) ?? 0) + 1);
  }

  /** Takes spans; once the promise resolves they are on the disk. */
  async add(spans: readonly Span[]): Promise<void> {
    if (spans.length === 0) return;
    const segment = await this.#journal.append(spans);
    for (const span of spans) this.#take(span, segment);
  }

  /** Notes the outcome of a trace that is not complete yet. @returns false when there is no such trace. */
  async reward(traceId: string, reward: number): Promise<boolean> {
    if (!this.#pending.has(traceId)) return false;
    const line: PostedReward = { traceId, reward };
    this.#take(line, await this.#journal.append([line]));
    return true;
  }

  /** Turns complete traces into rollouts; with `all` also those that may go on. */
  flush(all = false): Promise<void> {
    this.#flushing = this.#flushing.catch(() => {}).then(() => this.#flush(all));
    return this.#flushing;
  }

  async #flush(all: boolean): Promise<void> {
    const now = Date.now();
    const isDue = ({ rooted, touched }: Pending) => all || now - touched > (rooted ? this.#grace : this.#patience);
    const due = [...this.#pending].filter(([, trace]) => isDue(trace));
    for (let from = 0; from < due.length; from += most) {
      const part = due.slice(from, from + most);
      const fresh = new Map<string, RolloutObject>();
      for (const [traceId, trace] of part) {
        const rollout = this.#made.has(traceId) ? null : rolloutOf(trace);
        if (rollout === null) continue;
        const isTaken = (id: string) => this.#writer?.has(id) === true || fresh.has(id);
        if (isTaken(rollout.id)) rollout.id = traceId; // two traces that were given one name
        if (!isTaken(rollout.id)) fresh.set(rollout.id, rollout);
      }
      if (fresh.size > 0) {
        this.#writer ??= await this.#create();
        await this.#writer.append(batchFromObjects([...fresh.values()]));
        for (const { meta } of fresh.values()) this.#made.add(meta?.trace_id as string);
      }
      for (const [id, trace] of part) this.#release(id, trace);
    }
    for (const [segment, traces] of this.#inUse) {
      if (traces > 0 || segment === this.#journal.current) continue;
      this.#inUse.delete(segment);
      await this.#journal.remove(segment);
    }
  }

  /** Spans that came while the part was written stay where they are: late ones of a trace whose rollout is there. */
  #release(id: string, trace: Pending): void {
    this.#pending.delete(id);
    for (const segment of trace.segments) this.#inUse.set(segment, (this.#inUse.get(segment) ?? 1) - 1);
  }

  /** Writes what is complete, and closes the journal; what is not complete stays in it. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.flush().catch(() => {});
    await this.#journal.close();
  }
}

/** The rollout of a trace; `null` when there is none, or what the spans say does not conform. */
function rolloutOf({ spans, reward }: Pending): RolloutObject | null {
  try {
    const rollout = spans.length === 0 ? null : rolloutOfTrace(spans);
    if (rollout === null) return null;
    if (reward !== null) rollout.reward = reward;
    batchFromObjects([rollout]);
    return rollout;
  } catch (error) {
    if (error instanceof InputError) return null;
    throw error;
  }
}

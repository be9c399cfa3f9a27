import { availableParallelism } from "node:os";
import { setImmediate } from "node:timers/promises";
import { type Batch, batchBytes, concatBatches, InputError, levelOf, ResultMemory } from "../rollouts/index.ts";
import { wholeInputAdvice } from "./advice.ts";
import {
  type AssignCall,
  applyCalls,
  type Credited,
  collectState,
  needsWhole,
  piecesScope,
  type RunOptions,
  type SettledCall,
  settleCalls,
} from "./calls.ts";
import { creditInOrder } from "./in-order.ts";
import { defaultMemory, type MemoryPlan, planMemory } from "./memory.ts";
import { type BatchSource, type GroupOptions, openPieces, openSource } from "./pieces.ts";

export interface AssignStreamOptions extends Omit<RunOptions, "into">, GroupOptions {
  /**
   * Worker threads for methods that need single rollouts or whole groups only. 1 = none; by default as many as there are
   * cores, once the first batch has shown that the work is worth it. The result does not depend on it.
   */
  threads?: number;
  /** Bytes that the process should stay below (default: 60% of the machine's memory). */
  memory?: number;
  /** Whether a source that is a function may be called a second time (default true). */
  readTwice?: boolean;
  /**
   * Each batch is done with before the next one is asked for: its new columns may then be overwritten, which saves the
   * system from handing out new memory all the time. Default false.
   */
  transient?: boolean;
  signal?: AbortSignal;
}

interface Run {
  source: BatchSource;
  calls: readonly SettledCall[];
  plan: MemoryPlan;
  options: AssignStreamOptions;
  groups: GroupOptions;
}

/**
 * Runs credit methods over rollouts that need not fit in memory: batches come out in the order they came in, with the
 * columns of the methods added (under the names of `columnOfMethod` when there are several).
 * Methods that need single rollouts or whole groups run batch by batch. Methods that need the whole input run in two passes
 * where they can, otherwise on the whole input at once.
 * @param source batches that are read once, or a function that reads them from the start each time it is called.
 * @throws InputError as `assign` does, and when a method needs the whole input and it does not fit in `memory`.
 */
export async function* assignStream(
  source: BatchSource,
  calls: readonly AssignCall[],
  options: AssignStreamOptions = {},
): AsyncGenerator<Batch> {
  for await (const { batch } of creditStream(source, settleCalls(calls), options)) yield batch;
}

/** As `assignStream`, for calls that are settled; says of each batch which columns the calls wrote. */
export async function* creditStream(
  source: BatchSource,
  calls: readonly SettledCall[],
  options: AssignStreamOptions = {},
): AsyncGenerator<Credited> {
  const { threads = availableParallelism(), memory = defaultMemory(), contiguous, inputBytes } = options;
  let extents: ReturnType<NonNullable<GroupOptions["extents"]>> | undefined;
  const groups = {
    contiguous,
    inputBytes,
    extents: async () => {
      extents ??= options.extents?.() ?? Promise.resolve(null);
      return extents;
    },
  };
  const plan = planMemory(memory, threads, addedColumns(calls));
  const run = { source, calls, plan, options, groups };
  if (!calls.some(needsWhole)) yield* credit(openPieces(source, calls, run.plan, groups, 1), run);
  else if (calls.every((call) => piecesScope(call) !== null)) yield* inTwoPasses(run);
  else yield* atOnce(run);
}

/** How many columns below the rollout the calls may write. */
function addedColumns(calls: readonly SettledCall[]): number {
  return calls.flatMap(({ method }) => method.writes).filter((path) => levelOf(path) !== "rollout").length;
}

function runOptions({ unscored, branches, warn }: AssignStreamOptions): RunOptions {
  return { unscored, branches, warn };
}

function credit(batches: AsyncIterable<Batch>, { calls, plan, options }: Run): AsyncGenerator<Credited> {
  const { threads, transient, signal } = options;
  const into = transient === true ? new ResultMemory() : undefined;
  const order = { run: { ...runOptions(options), into }, workers: plan.workers, eager: threads !== undefined, signal };
  return creditInOrder(batches, calls, order);
}

/** First pass: what the methods must know of the whole input. Second pass: the credit, from memory or read again. */
async function* inTwoPasses(run: Run): AsyncGenerator<Credited> {
  const { source, plan, groups, options } = run;
  const calls = run.calls.map((call) => ({ ...call }));
  const into = new ResultMemory();
  const quiet = { ...runOptions(options), warn: undefined, into };
  let held: Batch[] | null = [];
  let bytes = 0;
  for await (const batch of openPieces(source, calls, plan, groups, 1)) {
    options.signal?.throwIfAborted();
    for (const call of calls) {
      if (!needsWhole(call)) continue;
      into.reuse();
      call.state = collectState(batch, call, quiet);
    }
    if (held === null) continue;
    held.push(batch);
    bytes += batchBytes(batch);
    if (bytes <= plan.wholeBytes) continue;
    if (typeof source !== "function" || options.readTwice === false) {
      throw tooLarge(run, "give it as a file, which can be read twice");
    }
    held = null;
  }
  const again = held === null ? openPieces(source, calls, plan, groups, 2) : drained(held);
  yield* credit(again, { ...run, calls });
}

function tooLarge({ calls, plan }: Run, ...advice: readonly string[]): InputError {
  const call = calls.find(needsWhole) as SettledCall;
  const megabytes = (bytes: number) => `${Math.floor(bytes / 1e6)} MB`;
  return new InputError("this method needs the whole input, which does not fit in memory", {
    method: call.method.id,
    expected: `at most about ${megabytes(plan.wholeBytes)} of columns under a limit of ${megabytes(plan.limit)}`,
    hint: wholeInputAdvice(call, ...advice),
  });
}

/** Gives batches out and lets go of them; signals and timers have their turn in between. */
async function* drained(held: Batch[]): AsyncGenerator<Batch> {
  held.reverse();
  for (let batch = held.pop(); batch !== undefined; batch = held.pop()) {
    await setImmediate();
    yield batch;
  }
}

/** The whole input as one batch. */
async function* atOnce(run: Run): AsyncGenerator<Credited> {
  const { source, calls, plan, options } = run;
  const held: Batch[] = [];
  let bytes = 0;
  for await (const batch of openSource(source, plan, plan.wholeBytes, 1)) {
    options.signal?.throwIfAborted();
    held.push(batch);
    bytes += batchBytes(batch);
    if (bytes > plan.wholeBytes) throw tooLarge(run);
  }
  if (held.length === 0) return;
  const whole = concatBatches(held.splice(0));
  await setImmediate();
  options.signal?.throwIfAborted();
  yield applyCalls(whole, calls, runOptions(options));
}

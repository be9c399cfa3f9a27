import type { Command } from "commander";
import type { Experiment } from "../lab/experiments/experiment.ts";
import { InputError } from "../rollouts/errors.ts";
import { parseWhole } from "./options.ts";
import { barOptions } from "./progress.ts";
import type { Ran } from "./reproduce/pages.ts";
import type { TimedTrial, TrialKey } from "./reproduce/trial-file.ts";
import { abortOnInterrupt } from "./signals.ts";

interface Flags {
  all?: boolean;
  list?: boolean;
  seeds?: string;
  out?: string;
  threads?: string;
  fresh?: boolean;
  width?: string;
  json?: boolean;
  color: boolean;
}

/** The ids that were named, or all; each must have an experiment. */
async function wantedIds(named: readonly string[], flags: Flags): Promise<string[]> {
  const { experiments } = await import("../lab/experiments/registry.ts");
  const { remaining } = await import("../lab/experiments/remaining.ts");
  const { closest } = await import("../methods/closest.ts");
  const known = Object.keys(experiments);
  if (flags.all === true) {
    if (named.length > 0) throw new InputError("--all takes no names", { got: named.join(" ") });
    return known;
  }
  if (named.length === 0) {
    throw new InputError("no card was named", { hint: "name cards, or --all; --list shows them" });
  }
  for (const id of named) {
    if (known.includes(id)) continue;
    if (id in remaining) throw new InputError(`${id} has no experiment yet`, { hint: remaining[id] });
    const near = closest(id, known);
    const hint = near.length > 0 ? `did you mean ${near.join(" or ")}?` : "`apportion reproduce --list` shows them all";
    throw new InputError(`unknown card ${JSON.stringify(id)}`, { hint });
  }
  return [...new Set(named)];
}

async function list(flags: Flags): Promise<void> {
  const { experiments } = await import("../lab/experiments/registry.ts");
  const { remaining } = await import("../lab/experiments/remaining.ts");
  const tried = await Promise.all(
    Object.entries(experiments).map(async ([id, load]) => {
      const { experiment } = await load();
      return { id, seeds: experiment.seeds, text: experiment.claim };
    }),
  );
  const left = Object.entries(remaining).map(([id, text]) => ({ id, seeds: null, text }));
  const cards = [...tried, ...left];
  if (flags.json === true) {
    process.stdout.write(`${JSON.stringify(cards)}\n`);
    return;
  }
  const { cardLines } = await import("./render/claims.ts");
  const { terminal } = await import("./render/terminal.ts");
  process.stdout.write(`\n${cardLines(cards, terminal(flags)).join("\n")}\n\n`);
}

/** A bar on standard error, on a terminal only. */
async function trialBar(total: number): Promise<{ tick(key: TrialKey): void; stop(): void }> {
  const stream = process.stderr;
  if (!stream.isTTY) return { tick() {}, stop() {} };
  const { default: progress } = await import("cli-progress");
  const bar = new progress.SingleBar(barOptions(stream, "{bar} {value} of {total} trials, {card}"));
  bar.start(total, 0, { card: "" });
  const stop = () => bar.stop();
  process.once("exit", stop); // the bar has hidden the cursor
  return { tick: ({ id, seed }) => bar.increment({ card: `${id} ${seed}` }), stop };
}

/** Runs the trials of some experiments, or reads them where they were kept. */
async function trialsOf(experiments: readonly Experiment[], flags: Flags): Promise<Map<string, TimedTrial[]>> {
  const { availableParallelism } = await import("node:os");
  const { runTrials } = await import("./reproduce/trial-threads.ts");
  const most = flags.seeds === undefined ? null : parseWhole("--seeds", flags.seeds, 1, 1000);
  const threads = flags.threads === undefined ? availableParallelism() : parseWhole("--threads", flags.threads, 1, 256);
  const keys = experiments.flatMap(({ id, version, seeds }) =>
    Array.from({ length: most ?? seeds }, (_, k): TrialKey => ({ id, version, scale: "full", seed: k + 1 })),
  );
  const signal = abortOnInterrupt();
  const bar = await trialBar(keys.length);
  try {
    const done = await runTrials(keys, { threads, fresh: flags.fresh === true, signal, onTrial: bar.tick });
    const byId = new Map<string, TimedTrial[]>();
    for (const key of keys) byId.set(key.id, [...(byId.get(key.id) ?? []), done.get(key) as TimedTrial]);
    return byId;
  } finally {
    bar.stop();
  }
}

async function run(named: readonly string[], flags: Flags): Promise<void> {
  if (flags.list === true) return list(flags);
  const ids = await wantedIds(named, flags);
  const { experiments } = await import("../lab/experiments/registry.ts");
  const { findMethod } = await import("../methods/registry.ts");
  const { evidenceOf } = await import("./reproduce/evidence.ts");
  const loaded = await Promise.all(ids.map(async (id) => (await experiments[id]()).experiment));
  const trials = await trialsOf(loaded, flags);
  const ran = loaded.map((experiment): Ran => {
    const timed = trials.get(experiment.id) ?? [];
    const evidence = evidenceOf(experiment, findMethod(experiment.id).title, timed);
    return { experiment, trials: timed.map(({ trial }) => trial), evidence };
  });
  if (flags.out !== undefined) {
    const { parseHTML } = await import("linkedom");
    const { remaining } = await import("../lab/experiments/remaining.ts");
    const { writePages } = await import("./reproduce/pages.ts");
    const { document } = parseHTML("<html></html>");
    const page = await writePages(flags.out, ran, document, { ids: Object.keys(experiments), remaining });
    process.stderr.write(`wrote ${page}\n`);
  }
  if (flags.json === true) {
    process.stdout.write(`${JSON.stringify(ran.map(({ evidence }) => evidence))}\n`);
    return;
  }
  const { claimLines } = await import("./render/claims.ts");
  const { terminal } = await import("./render/terminal.ts");
  const view = terminal(flags);
  for (const one of ran) {
    process.stdout.write(`\n${claimLines(one.experiment, one.evidence, one.trials, view).join("\n")}\n\n`);
  }
}

const examples = `
Examples:
  apportion reproduce tempo                            the claim of one card, with its numbers and a verdict
  apportion reproduce tempo gigpo --seeds 3            quicker, and less sure
  apportion reproduce --all --out docs                 docs/claims.md, with plots and the numbers of every seed

Finished trials are kept in .apportion/claims and not run again, also after Ctrl-C; --fresh runs them again. A verdict
says whether the relations that the card expects were found: shown (all), mixed (some) or not shown (none).`;

/** Adds the `reproduce` command. */
export function register(program: Command): void {
  program
    .command("reproduce")
    .summary("try what a card claims, in miniature")
    .description("Runs the experiment of a card over several seeds and says whether its claim shows.")
    .argument("[id...]", "cards whose claims to try")
    .option("--all", "every card that has an experiment")
    .option("--list", "show which cards have an experiment, and why the others have none")
    .option("--seeds <count>", "seeds 1 to this (default: as many as the experiment asks for)")
    .option("--out <folder>", "write claims.md and claims/ there, with plots and the numbers of every seed")
    .option("--threads <count>", "worker threads (default: as many as cores)")
    .option("--fresh", "run trials again that were kept")
    .option("--width <columns>", "width of the output (default: of the terminal)")
    .option("--json", "print JSON")
    .option("--no-color", "no colours")
    .addHelpText("after", examples)
    .action(run);
}

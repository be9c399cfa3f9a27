import type { Command } from "commander";
import type { TrainerState, TrainingSettings } from "../lab/training/index.ts";
import type { MetricsRow } from "../lab/training/summary.ts";
import { InputError } from "../rollouts/errors.ts";
import { collect, collectList, parseChoice, parseWhole } from "./options.ts";
import { paramsByMethod, parseParam, readValue } from "./params.ts";
import { abortOnInterrupt, removeUnfinishedAtExit } from "./signals.ts";
import type { RunConfig } from "./train/config.ts";
import type { RunFolder } from "./train/folder.ts";
import type { Outcome } from "./train/listen.ts";

interface Flags {
  env?: string;
  envParam?: string[];
  methods?: string[];
  param?: string[];
  policy?: string;
  policyParam?: string[];
  seeds?: string;
  seed?: string;
  updates?: string;
  groups?: string;
  groupSize?: string;
  lr?: string;
  set?: string[];
  checkpointEvery?: string;
  rolloutsEvery?: string;
  out?: string;
  resume?: boolean;
  report: boolean;
  quiet?: boolean;
  color: boolean;
  width?: string;
}

/** Options that say what is trained: a run that is gone on with brings them along. */
const defining = [
  "env",
  "envParam",
  "methods",
  "param",
  "policy",
  "policyParam",
  "seeds",
  "seed",
  "updates",
  "groups",
  "groupSize",
  "lr",
  "set",
  "checkpointEvery",
  "rolloutsEvery",
] as const;

interface Shape {
  shape: Readonly<Record<string, unknown>>;
}

/** `name=value` options as an object, values read by the types of the parameters. */
function readParams(option: string, given: readonly string[] | undefined, { shape }: Shape): Record<string, unknown> {
  const pairs = (given ?? []).map((text) => {
    const equals = text.indexOf("=");
    if (equals < 1) throw new InputError(`${option} is not valid`, { expected: "NAME=VALUE", got: text });
    const name = text.slice(0, equals).trim();
    const schema = shape[name] as Parameters<typeof readValue>[0];
    return [name, readValue(schema, text.slice(equals + 1))] as const;
  });
  return Object.fromEntries(pairs);
}

async function settingsOf(flags: Flags): Promise<TrainingSettings> {
  const { settleTraining, trainingSettings } = await import("../lab/training/index.ts");
  const whole = (option: string, text: string | undefined) =>
    text === undefined ? undefined : parseWhole(option, text, 1, 1_000_000);
  const lr = flags.lr === undefined ? undefined : Number(flags.lr);
  if (lr !== undefined && !(Number.isFinite(lr) && lr > 0)) {
    throw new InputError("--lr is not valid", { expected: "a number above 0", got: flags.lr });
  }
  const named = {
    updates: whole("--updates", flags.updates),
    groups: whole("--groups", flags.groups),
    group_size: whole("--group-size", flags.groupSize),
    lr,
  };
  const given = Object.fromEntries(Object.entries(named).filter(([, value]) => value !== undefined));
  return settleTraining({ ...readParams("--set", flags.set, trainingSettings), ...given });
}

/** `a,b+c` as arms: each one method, or several in a row. */
async function methodsOf(flags: Flags): Promise<RunConfig["methods"]> {
  const { methodParams } = await import("../methods/assign.ts");
  const { findMethod } = await import("../methods/registry.ts");
  const names = [...new Set(flags.methods ?? [])];
  if (names.length === 0) {
    throw new InputError("no method was named", { hint: "--methods grpo,igpo; `apportion methods` lists them all" });
  }
  const chains = names.map((name) => name.split("+").map((id) => findMethod(id.trim())));
  const methods = [...new Set(chains.flat())];
  const without = methods.find((method) => method.assign === undefined);
  if (without !== undefined) {
    throw new InputError("this card has no credit rule", {
      method: without.id,
      hint: "choose one that assigns credit",
    });
  }
  const given = paramsByMethod(methods, (flags.param ?? []).map(parseParam));
  return chains.map((chain, k) => ({
    name: names[k],
    calls: chain.map((method) => ({ id: method.id, params: methodParams(method, given.get(method.id)) })),
  }));
}

async function newConfig(flags: Flags, version: string): Promise<RunConfig> {
  const { environments, makeEnvironment } = await import("../lab/environments/registry.ts");
  const { policyKinds, policyParams, settlePolicy } = await import("../lab/training/policies.ts");
  if (flags.env === undefined) {
    throw new InputError("no environment was named", { hint: `--env ${Object.keys(environments).join(", ")}` });
  }
  const known = Object.hasOwn(environments, flags.env) ? environments[flags.env].params : { shape: {} };
  const params = readParams("--env-param", flags.envParam, known);
  makeEnvironment(flags.env, params); // says what is wrong with the name or the parameters
  const methods = await methodsOf(flags);
  const kind = parseChoice("--policy", flags.policy ?? "tabular", policyKinds);
  const policy = settlePolicy(kind, readParams("--policy-param", flags.policyParam, policyParams[kind]));
  const count = parseWhole("--seeds", flags.seeds ?? "3", 1, 1000);
  const first = parseWhole("--seed", flags.seed ?? "1", 0, 1_000_000_000);
  const settings = await settingsOf(flags);
  const every = (option: string, text: string | undefined, parts: number) =>
    text === undefined ? Math.ceil(settings.updates / parts) : parseWhole(option, text, 1, 1_000_000);
  return {
    apportion: version,
    environment: { id: flags.env, params },
    policy: { kind, params: policy },
    methods,
    seeds: Array.from({ length: count }, (_, k) => first + k),
    settings,
    checkpoint_every: every("--checkpoint-every", flags.checkpointEvery, 4),
    rollouts_every: every("--rollouts-every", flags.rolloutsEvery, 2),
  };
}

/** A run, new or gone on with. */
interface Opened {
  folder: RunFolder;
  config: RunConfig;
  rows: MetricsRow[];
  states: Map<string, TrainerState>;
}

const keyOf = (arm: string, seed: number) => `${arm} ${seed}`;

async function openNew(flags: Flags, version: string): Promise<Opened> {
  const { RunFolder } = await import("./train/folder.ts");
  const config = await newConfig(flags, version);
  const path = flags.out ?? (await RunFolder.freeName(config.environment.id));
  return { folder: await RunFolder.create(path, config), config, rows: [], states: new Map() };
}

async function openAgain(flags: Flags): Promise<Opened> {
  const { RunFolder } = await import("./train/folder.ts");
  if (flags.out === undefined) {
    throw new InputError("--resume needs the folder of the run", { hint: "apportion train --resume --out FOLDER" });
  }
  const other = defining.find((name) => flags[name] !== undefined);
  if (other !== undefined) {
    const option = `--${other.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`)}`;
    throw new InputError(`${option} cannot be changed when a run is resumed`, { hint: "start a new run for that" });
  }
  const folder = new RunFolder(flags.out);
  const config = await folder.config();
  const states = new Map<string, TrainerState>();
  for (const { name } of config.methods) {
    for (const seed of config.seeds) {
      const state = await folder.readCheckpoint(name, seed);
      if (state !== null) states.set(keyOf(name, seed), state);
    }
  }
  // What came after the last checkpoint comes again.
  const rows = (await folder.readMetrics()).filter(
    ({ method, seed, update }) => update <= (states.get(keyOf(method, seed))?.update ?? -1),
  );
  return { folder, config, rows, states };
}

async function trained({ folder, config, rows, states }: Opened, flags: Flags, signal: AbortSignal): Promise<Outcome> {
  const { makeEnvironment } = await import("../lab/environments/registry.ts");
  const { train } = await import("../lab/training/index.ts");
  const { policyMaker } = await import("../lab/training/policies.ts");
  const { armsOf } = await import("./train/config.ts");
  const { Listener } = await import("./train/listen.ts");
  const { startLive } = await import("./train/live.ts");
  const { id, params } = config.environment;
  const environment = () => makeEnvironment(id, params);
  const policy = await policyMaker(config.policy.kind, config.policy.params, environment());
  const live = flags.quiet === true ? { show() {}, stop() {} } : startLive(flags);
  const events = train({
    environment,
    policy,
    arms: armsOf(config),
    seeds: config.seeds,
    settings: config.settings,
    checkpointEvery: config.checkpoint_every,
    rolloutsEvery: config.rollouts_every,
    resume: (arm, seed) => states.get(keyOf(arm, seed)) ?? null,
    signal,
  });
  const listener = new Listener(folder, live, config.settings.updates, config.seeds[0], rows);
  try {
    return await listener.hear(events);
  } catch (error) {
    if (!listener.hasBegun) await folder.discard();
    throw error;
  } finally {
    live.stop();
  }
}

async function run(flags: Flags, version: string): Promise<void> {
  const { removeUnfinished } = await import("../formats/temporary.ts");
  removeUnfinishedAtExit(removeUnfinished);
  const signal = abortOnInterrupt();
  const opened = flags.resume === true ? await openAgain(flags) : await openNew(flags, version);
  const { folder, config } = opened;
  const outcome = await trained(opened, flags, signal);
  if (flags.report) {
    const { reportPage } = await import("./train/report.ts");
    await folder.writeText("report.html", reportPage(config, outcome.rows, outcome.best));
  }
  if (outcome.interrupted) {
    const again = `apportion train --resume --out ${folder.path}`;
    process.stderr.write(`apportion: stopped with a checkpoint; go on with: ${again}\n`);
    signal.throwIfAborted();
  }
  if (flags.quiet === true) return;
  const { resultLines } = await import("./train/results.ts");
  const { terminal } = await import("./render/terminal.ts");
  const lines = resultLines(outcome, config, terminal(flags));
  process.stdout.write(`${lines.join("\n")}\n`);
  const parts = ["config.json", "metrics.parquet", "rollouts", "checkpoints", ...(flags.report ? ["report.html"] : [])];
  process.stderr.write(`${folder.path}: ${parts.join(", ")}\n`);
}

const examples = `
Examples:
  apportion train --env key-door --methods grpo,igpo,tempo --seeds 5
  apportion train --env chain --env-param length=6 --methods grpo,rloo --updates 300 --out runs/chain
  apportion train --env key-door --methods gae,kl-shaping+reinforce-pp -p gae.lam=0.9 --set loss=gspo
  apportion train --resume --out runs/chain

Methods: a,b trains each of them alone, from the same seeds; a+b runs b on what a wrote, for methods that only change
rewards. Settings of training (--set): docs/lab.md explains them. The folder holds config.json, metrics.parquet (one row
per method, seed and update), rollouts, checkpoints and report.html. Ctrl-C stops with a checkpoint.`;

/** Adds the `train` command. */
export function register(program: Command): void {
  program
    .command("train")
    .summary("train small policies with credit methods and compare them")
    .description(
      "Trains a small policy in an environment with each of several credit methods, and reports how they do.",
    )
    .option("--env <id>", "environment")
    .option("--env-param <name=value>", "parameter of the environment (may be repeated)", collect)
    .option("--methods <ids>", "methods to compare: a,b,c; a+b runs b after a", collectList)
    .option("-p, --param <name=value>", "parameter of the methods (may be repeated)", collect)
    .option("--policy <kind>", "tabular, mlp or transformer (default: tabular)")
    .option("--policy-param <name=value>", "parameter of the policy (may be repeated)", collect)
    .option("--seeds <count>", "seeds for each method (default: 3)")
    .option("--seed <number>", "the first seed (default: 1)")
    .option("--updates <count>", "batches to learn from (default: 200)")
    .option("--groups <count>", "groups per batch (default: 8)")
    .option("--group-size <count>", "rollouts of a group (default: 16)")
    .option("--lr <rate>", "learning rate (default: by the policy)")
    .option("--set <name=value>", "any other setting of training (may be repeated)", collect)
    .option("--checkpoint-every <updates>", "updates between checkpoints (default: a quarter of the run)")
    .option("--rollouts-every <updates>", "updates between samples of rollouts (default: half of the run)")
    .option("-o, --out <folder>", "folder of the run (default: a new one in runs/)")
    .option("--resume", "go on with the run in --out")
    .option("--no-report", "write no report.html")
    .option("-q, --quiet", "no chart, no table")
    .option("--no-color", "plain text")
    .option("--width <columns>", "width of chart and table")
    .addHelpText("after", examples)
    .action((flags: Flags) => run(flags, program.version() ?? ""));
}

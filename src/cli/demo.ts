import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { basename, join, relative } from "node:path";
import type { Command } from "commander";
import type { KeyDoorTask } from "../lab/environments/key-door.ts";
import { InputError } from "../rollouts/errors.ts";
import type { Batch } from "../rollouts/index.ts";
import { parseWhole } from "./options.ts";

interface Flags {
  out: string;
  seed: string;
  width?: string;
  color: boolean;
}

/** Methods of four kinds, and what each looks at. */
const demoMethods = {
  grpo: "the outcome against the mean of the group, for every turn alike",
  gigpo: "that, and turns taken in the same state against each other",
  igpo: "how much each turn raised the belief in the right locker, and the outcome",
  tempo: "the outcome, and jumps of its mean where rollouts of the group part ways",
};

const groupSize = 16;
const tasks: readonly KeyDoorTask[] = [4, 6, 8].flatMap((lockers) =>
  [4, 5, 6].map((turns) => ({ lockers, turns, porter: 0.6 })),
);

const manifestName = "demo.json";
const manifestMark = "apportion demo";

/** What was made, beside the files. */
interface Manifest {
  made_by: typeof manifestMark;
  environment: string;
  seed: number;
  group_size: number;
  tasks: readonly KeyDoorTask[];
  methods: readonly string[];
}

async function entriesOf(folder: string): Promise<string[] | null> {
  try {
    return await readdir(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
}

/** Makes the folder; one that holds other things than a demo of ours is left alone. */
async function claim(folder: string): Promise<void> {
  const entries = await entriesOf(folder);
  if (entries === null) {
    await mkdir(folder, { recursive: true });
    return;
  }
  if (entries.length === 0) return;
  const text = entries.includes(manifestName) ? await readFile(join(folder, manifestName), "utf8") : "";
  if (text.includes(`"made_by": ${JSON.stringify(manifestMark)}`)) return;
  throw new InputError("this folder holds other files", { file: folder, hint: "name another one with --out" });
}

async function sample(seed: number): Promise<Batch> {
  const { sampleKeyDoor } = await import("../lab/environments/key-door-rollouts.ts");
  const { halfTrained } = await import("../lab/environments/key-door-policy.ts");
  const { batchFromObjects } = await import("../rollouts/index.ts");
  return batchFromObjects(sampleKeyDoor({ tasks, size: groupSize, policy: halfTrained, seed }));
}

/** How this program was started, as a person would type it again from the current folder. */
export function programName(script: string, env: NodeJS.ProcessEnv, from: string): string {
  if (basename(script) === "apportion") return env.npm_command === "exec" ? "npx apportion" : "apportion";
  const path = relative(from, script);
  return `node ${/\s/.test(path) ? JSON.stringify(path) : path}`;
}

async function run(flags: Flags): Promise<void> {
  const seed = parseWhole("--seed", flags.seed, 0, 2 ** 31 - 1);
  const { terminal } = await import("./render/terminal.ts");
  const { demoLines } = await import("./render/demo.ts");
  const { applyCalls, settleCalls } = await import("../pipeline/calls.ts");
  const { writeRollouts } = await import("../formats/write.ts");
  const view = terminal(flags);
  await claim(flags.out);
  const batch = await sample(seed);
  const credited = applyCalls(batch, settleCalls(Object.keys(demoMethods).map((method) => ({ method }))), {}).batch;
  const manifest: Manifest = {
    made_by: manifestMark,
    environment: "key-door",
    seed,
    group_size: groupSize,
    tasks,
    methods: Object.keys(demoMethods),
  };
  await writeFile(join(flags.out, manifestName), `${JSON.stringify(manifest, null, 2)}\n`);
  const files = { rollouts: join(flags.out, "rollouts.jsonl"), credited: join(flags.out, "credited.parquet") };
  await writeRollouts(batch, files.rollouts);
  await writeRollouts(credited, files.credited);
  const program = programName(process.argv[1] ?? "apportion", process.env, process.cwd());
  process.stdout.write(`\n${demoLines(batch, demoMethods, files, program, view).join("\n")}\n\n`);
}

const examples = `
Examples:
  apportion demo
  apportion demo --out /tmp/parcels --seed 7`;

/** Adds the `demo` command. */
export function register(program: Command): void {
  program
    .command("demo")
    .summary("sample rollouts in a small task and credit them with four methods")
    .description(
      "Samples rollouts of a small policy in a task whose true credit is known, credits them with four methods, " +
        "and shows what each one saw. Needs no files.",
    )
    .option("--out <folder>", "where the files go", "apportion-demo")
    .option("--seed <number>", "which sample", "1")
    .option("--width <columns>", "width of the output (default: of the terminal)")
    .option("--no-color", "no colours")
    .addHelpText("after", examples)
    .action(run);
}

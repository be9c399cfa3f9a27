import type { Command } from "commander";
import type { CreditLevel } from "../analysis/levels.ts";
import { InputError } from "../rollouts/errors.ts";
import { collect, collectList, parseChoice, parseWhole } from "./options.ts";
import { paramsByMethod, parseParam } from "./params.ts";
import { startProgress } from "./progress.ts";

interface Flags {
  methods?: string[];
  param?: string[];
  column?: string[];
  level?: string;
  unscored: string;
  branches?: string;
  top: string;
  width?: string;
  json?: boolean;
  color: boolean;
}

const levelNames = { tokens: "token", steps: "step", turns: "turn", rollouts: "rollout" } as const;
type LevelName = keyof typeof levelNames;

async function run(inputs: readonly string[], flags: Flags): Promise<void> {
  const { findMethod } = await import("../methods/registry.ts");
  const { compareMethods } = await import("../analysis/comparison.ts");
  const { comparisonJson, comparisonLines } = await import("./render/comparison.ts");
  const { terminal } = await import("./render/terminal.ts");
  const { readRollouts } = await import("../formats/read.ts");
  const unscored = parseChoice("--unscored", flags.unscored, ["stop", "leave-out"]);
  const branches =
    flags.branches === undefined ? undefined : parseChoice("--branches", flags.branches, ["paths", "trunk"]);
  const top = parseWhole("--top", flags.top, 0, 1_000_000);
  const names = Object.keys(levelNames) as LevelName[];
  const level: CreditLevel | undefined =
    flags.level === undefined ? undefined : levelNames[parseChoice("--level", flags.level, names)];
  const methods = [...new Set(flags.methods ?? [])].map(findMethod);
  const columns = flags.column ?? [];
  if (methods.length + columns.length < 2) {
    throw new InputError("nothing to compare", {
      expected: "at least two of --methods and --column",
      got: `${methods.length + columns.length}`,
      hint: "for example --methods grpo,tempo; `apportion methods --for FILE` says which can run",
    });
  }
  const params = paramsByMethod(methods, (flags.param ?? []).map(parseParam));
  const view = terminal(flags);
  const progress = startProgress();
  const batch = await readRollouts(inputs, { onProgress: progress.read }).finally(() => progress.stop());
  const calls = methods.map((method) => ({ method, params: params.get(method.id) ?? {} }));
  const comparison = compareMethods(batch, calls, { columns, level, unscored, branches });
  if (flags.json === true) process.stdout.write(`${JSON.stringify(comparisonJson(batch, comparison, top))}\n`);
  else process.stdout.write(`\n${comparisonLines(batch, comparison, top, view).join("\n")}\n\n`);
}

const examples = `
Rows are compared at the finest level at which all give credit (tokens, steps, turns, rollouts); where there is none,
at the finest of any, and coarser credit is given to every row under it. Finer credit becomes the mean over the policy's
tokens. Numbers below a billionth of a method's largest count as 0. The whole input is read into memory.

Examples:
  apportion compare rollouts.jsonl --methods grpo,gigpo,tempo
  apportion compare rollouts.jsonl --methods gigpo,igpo --level turns --param gigpo.gamma=1 --top 10
  apportion compare rollouts.jsonl --methods grpo,tempo --column turns.true_advantage
  apportion compare rollouts.jsonl --methods grpo,rloo --json | jq '.spearman[0][1]'`;

/** Adds the `compare` command. */
export function register(program: Command): void {
  program
    .command("compare")
    .summary("run several methods on one file and see where they disagree")
    .description("Runs methods on the same recorded rollouts: how much their credit agrees, and where it does not.")
    .argument("<files...>", "files, folders or patterns of rollouts; - for standard input")
    .option("--methods <ids>", "methods to compare, separated by commas", collectList)
    .option("--param <name=value>", "parameter of all methods that have it, or METHOD.NAME=VALUE of one", collect)
    .option("--column <path>", "a recorded column to compare too, such as turns.true_advantage", collect)
    .option("--level <level>", "compare at tokens, steps, turns or rollouts")
    .option("--unscored <what>", "rollouts without a reward: stop or leave-out", "stop")
    .option("--branches <reading>", "how methods that know no branches read a tree of turns: paths or trunk")
    .option("--top <count>", "disagreements to show", "5")
    .option("--width <columns>", "width of the output (default: of the terminal)")
    .option("--json", "print JSON")
    .option("--no-color", "no colours")
    .addHelpText("after", examples)
    .action(run);
}

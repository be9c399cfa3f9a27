import type { Command } from "commander";
import type { GroupsSummary } from "../analysis/groups.ts";
import type { Member } from "../analysis/members.ts";
import { InputError } from "../rollouts/errors.ts";
import type { Batch } from "../rollouts/index.ts";
import { selectRollouts } from "../rollouts/select.ts";
import { collect, parseChoice, parseWhole } from "./options.ts";
import { startProgress } from "./progress.ts";
import type { GroupOrder } from "./render/groups.ts";

interface Flags {
  rollout?: string[];
  group?: string;
  pair?: boolean;
  column?: string[];
  sort: string;
  rows: string;
  width?: string;
  full?: boolean;
  json?: boolean;
  color: boolean;
}

/** Rollouts to show, each in a batch of its own or of its piece of the file. */
interface Chosen {
  batch: Batch;
  rollout: number;
}

interface Found {
  summary: GroupsSummary;
  /** Rollouts of the one group that was asked for. */
  members: readonly Member[] | null;
  /** Columns of credit to show. */
  columns: readonly string[];
  chosen: readonly Chosen[];
}

/** The rollouts of one group, `null` when there are none in this batch. */
function onlyGroup(batch: Batch, group: string): Batch | null {
  const members = batch.groupNames.flatMap((name, i) => (name === group ? [i] : []));
  return members.length === 0 ? null : selectRollouts(batch, members);
}

async function look(inputs: readonly string[], flags: Flags): Promise<Found> {
  const { readBatches } = await import("../formats/read.ts");
  const { GroupCollector } = await import("../analysis/groups.ts");
  const { membersOf } = await import("../analysis/members.ts");
  const { RolloutPicker } = await import("../analysis/picker.ts");
  const { group, rollout = [], column = [] } = flags;
  const groups = new GroupCollector();
  const picker = new RolloutPicker({ rollouts: rollout, pair: flags.pair === true, columns: column });
  const members: Member[] = [];
  const progress = startProgress();
  try {
    for await (const batch of readBatches(inputs, { onProgress: progress.read })) {
      const part = group === undefined ? batch : onlyGroup(batch, group);
      if (part === null) continue;
      groups.add(part);
      picker.add(part);
      if (group !== undefined) members.push(...membersOf(part, picker.columns));
    }
  } finally {
    progress.stop();
  }
  const summary = groups.finish();
  if (summary.rollouts === 0) {
    const problem = group === undefined ? "no rollouts" : `there is no group ${JSON.stringify(group)}`;
    throw new InputError(problem, { file: inputs.join(", ") });
  }
  return { summary, members: group === undefined ? null : members, ...picker.finish() };
}

function hintLines(input: string): string[] {
  return [
    " There is no credit in this file yet. To add some:",
    `   apportion methods --for ${input}`,
    `   apportion assign ${input} --method grpo -o credited.jsonl`,
  ];
}

async function run(inputs: readonly string[], flags: Flags): Promise<void> {
  const { groupLines, groupOrders, memberLines } = await import("./render/groups.ts");
  const { rolloutLines } = await import("./render/rollout.ts");
  const { terminal } = await import("./render/terminal.ts");
  const order: GroupOrder = parseChoice("--sort", flags.sort, groupOrders);
  const most = parseWhole("--rows", flags.rows, 0, 1_000_000);
  const view = terminal(flags);
  const { summary, members, columns, chosen } = await look(inputs, flags);
  if (flags.json === true) {
    const { inspection } = await import("./render/inspection.ts");
    process.stdout.write(`${JSON.stringify(inspection(summary, order, columns, chosen, members))}\n`);
    return;
  }
  const out = [groupLines(summary, order, members === null ? most : 0, view)];
  if (members !== null) out.push(memberLines(members, columns, most, view));
  const tokens = flags.column?.some((path) => path.startsWith("tokens.")) ?? false;
  for (const { batch, rollout } of chosen) {
    out.push(rolloutLines(batch, rollout, { ...view, paths: columns, full: flags.full === true, tokens }));
  }
  if (columns.length === 0 && chosen.length > 0) out.push(hintLines(inputs[0]));
  process.stdout.write(`\n${out.map((lines) => lines.join("\n")).join("\n\n\n")}\n\n`);
}

const examples = `
Which rollout is shown: the one named with --rollout, else the one whose credit differs most from row to row (with
--group, of that group). With --pair the best and the worst of the group whose rewards differ most.

Which credit: --column, else turns.advantage, steps.advantage, tokens.advantage or rollout.advantage, whichever is there
first; in a file with the credit of several methods (turns.grpo_advantage, …) all of them, side by side.

Examples:
  apportion inspect credited.parquet
  apportion inspect credited.jsonl --rollout t7-0 --column tokens.advantage --full
  apportion inspect credited.jsonl --pair --column turns.gigpo_advantage --column turns.igpo_advantage
  apportion inspect credited.jsonl --json | jq '.groups[] | select(.spread == 0) | .name'`;

/** Adds the `inspect` command. */
export function register(program: Command): void {
  program
    .command("inspect")
    .summary("look at groups and at single rollouts with their credit")
    .description("Shows what a file of rollouts holds: its groups, then one rollout as a transcript with its credit.")
    .argument("<files...>", "files, folders or patterns of rollouts; - for standard input")
    .option("--rollout <id>", "show this rollout (may be repeated)", collect)
    .option("--group <name>", "only this group, and a list of its rollouts")
    .option("--pair", "show the best and the worst rollout of one group")
    .option("--column <path>", "credit to show beside it (may be repeated)", collect)
    .option("--sort <order>", "order of groups: spread, mean, size, length, name, file", "spread")
    .option("--rows <count>", "groups (with --group: rollouts) to list", "10")
    .option("--full", "show all text, not only its beginning")
    .option("--width <columns>", "width of the output (default: of the terminal)")
    .option("--json", "print JSON")
    .option("--no-color", "no colours")
    .addHelpText("after", examples)
    .action(run);
}

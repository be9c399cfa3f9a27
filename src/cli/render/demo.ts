import { compareMethods } from "../../analysis/comparison.ts";
import { summarizeGroups } from "../../analysis/groups.ts";
import { creditAtLevel, type Series, seriesOfColumn } from "../../analysis/series.ts";
import { largestCredit } from "../../analysis/spread.ts";
import { transcriptOf } from "../../analysis/transcript.ts";
import { type TellingPair, tellingPair, truthCorrelations } from "../../analysis/truth.ts";
import { findMethod } from "../../methods/registry.ts";
import type { Batch } from "../../rollouts/index.ts";
import { matricesLines } from "./matrix.ts";
import { percent, signed } from "./numbers.ts";
import type { Style } from "./style.ts";
import { tableLines } from "./table.ts";
import type { Terminal } from "./terminal.ts";
import { pad, textWidth, wrap } from "./text.ts";
import { type CreditColumn, legend, transcriptLines } from "./transcript.ts";

/** Credit of one series per turn of the whole batch. */
interface TurnCredit {
  name: string;
  values: ArrayLike<number>;
  scale: number;
}

function turnCredits(
  batch: Batch,
  series: readonly Series[],
  names: readonly string[],
  pair: readonly number[],
): TurnCredit[] {
  const offsets = batch.offsets("turn");
  return series.map((one, k) => {
    const values = creditAtLevel(batch, one, "turn")?.values ?? new Float64Array(batch.count("turn"));
    const scale = Math.max(...pair.map((i) => largestCredit(values, offsets[i], offsets[i + 1])));
    return { name: names[k], values, scale };
  });
}

/** "grpo, gigpo and tempo". */
function listed(names: readonly string[]): string {
  return names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} and ${names[names.length - 1]}`;
}

/** What one turn did to the chance, and what the methods make of it. */
function verdict(batch: Batch, rollout: number, row: number, [truth, ...methods]: readonly TurnCredit[]): string {
  const at = batch.offsets("turn")[rollout] + row;
  const text = batch.strings("turns.text")[at];
  const change = truth.values[at];
  const praising = methods.filter(({ values }) => values[at] > 0).map(({ name }) => name);
  const blaming = methods.filter(({ values }) => values[at] < 0).map(({ name }) => name);
  const words = [
    ...(praising.length > 0 ? [`${listed(praising)} ${praising.length > 1 ? "praise" : "praises"} it`] : []),
    ...(blaming.length > 0 ? [`${listed(blaming)} ${blaming.length > 1 ? "blame" : "blames"} it`] : []),
  ];
  const moved = `${change < 0 ? "lowered" : "raised"} the chance by ${Math.abs(change).toFixed(2)}`;
  return `Turn ${row + 1}, ${text}, ${moved}; ${words.join(", ")}.`;
}

function story(batch: Batch, rollout: number): string {
  const offsets = batch.offsets("turn");
  const sum = (path: string) => {
    const values = batch.numbers(path);
    let total = 0;
    for (let row = offsets[rollout]; row < offsets[rollout + 1]; row++) total += values[row];
    return signed(total, 1);
  };
  const start = batch.numbers("signals.value_0")[rollout].toFixed(2);
  const end = batch.numbers("rollout.reward")[rollout];
  const parts = `skill ${sum("turns.true_advantage")}, luck ${sum("turns.luck")}`;
  return `From a chance of ${start} at the start: ${parts}, outcome ${end}.`;
}

function pairLines(batch: Batch, pair: TellingPair, credits: readonly TurnCredit[], terminal: Terminal): string[] {
  const { style, width } = terminal;
  const offsets = batch.offsets("turn");
  const lines: string[] = [];
  for (const [title, rollout, row] of [
    ["A success", pair.success, pair.lowered],
    ["A failure of the same group", pair.failure, pair.raised],
  ] as const) {
    const transcript = transcriptOf(batch, rollout, "turn");
    const columns = credits.map(
      ({ name, values, scale }): CreditColumn => ({
        title: name,
        at: (turn) => values[offsets[rollout] + turn.row],
        scale,
      }),
    );
    lines.push("", ` ${style.bold(title)}  ${style.dim(transcript.id)}`, "");
    const rows = { ...transcript, before: [] };
    lines.push(...transcriptLines(rows, { style, width, full: true, columns, leastText }), "");
    const told = [story(batch, rollout), verdict(batch, rollout, row, credits)].join(" ");
    lines.push(...wrap(told, Math.min(width, 100) - 5).map((line) => `    ${line}`));
  }
  const rest = "credit of each turn below and above zero; a full bar is the largest of its column here";
  return [...lines, "", ...legend(rest, terminal)];
}

const barWidth = 24;
/** Room for the longest lines of the task, so that both transcripts line up. */
const leastText = 38;

/** One bar per method: how well it ranks turns and tokens against the truth. */
function truthLines(
  names: readonly string[],
  turns: readonly (number | null)[],
  tokens: readonly (number | null)[],
  style: Style,
): string[] {
  const widest = Math.max(...names.map(textWidth));
  const text = (value: number | null) => (value === null ? "–" : value.toFixed(2).replace("-", "−"));
  const lines = names.map((name, k) => {
    const filled = Math.round(Math.max(0, turns[k] ?? 0) * barWidth);
    const bar = style.credit(1, "━".repeat(filled)) + style.dim("─".repeat(barWidth - filled));
    return `   ${pad(name, widest)}  ${bar}  ${pad(text(turns[k]), 5, "right")}   ${pad(text(tokens[k]), 6, "right")}`;
  });
  const head = `${" ".repeat(3 + widest + 2 + barWidth + 2)}turns   tokens`;
  return [style.dim(head), ...lines];
}

function intro(batch: Batch): string {
  const { rollouts, groups, mean } = summarizeGroups(batch);
  return [
    `A small softmax policy, half trained, has played ${rollouts} episodes of a key-and-door task, in ${groups.length}`,
    `groups of ${rollouts / groups.length}. A parcel lies in one of 4, 6 or 8 lockers, drawn anew each time. The agent can`,
    "take the office key, read the list in the office, ask a porter who is often out, look out of the window, and open",
    `one locker, which ends the episode. Only a find is rewarded, at the very end: ${percent(mean ?? 0)} found it. The`,
    "task is small enough to know the true advantage of every turn: by how much it changed the chance of a find, luck",
    "left out.",
  ].join(" ");
}

/** Names with a phrase each. */
function glossary(entries: Readonly<Record<string, string>>, { style, width }: Terminal): string[] {
  const rows = Object.entries(entries).map(([name, text]) => [{ text: name, set: style.accent }, text]);
  return tableLines([{ title: "" }, { title: "", wraps: true, shrinkTo: 20 }], rows, { style, width, indent: 3 });
}

/** All that `demo` prints. `methods` are ids, each with a phrase that says what the method looks at. */
export function demoLines(
  batch: Batch,
  methods: Readonly<Record<string, string>>,
  files: { rollouts: string; credited: string },
  program: string,
  terminal: Terminal,
): string[] {
  const { style, width } = terminal;
  const heading = (title: string) => ["", ` ${style.bold(title)}`, ""];
  const calls = Object.keys(methods).map((id) => ({ method: findMethod(id), params: {} }));
  const truth = "turns.true_advantage";
  const comparison = compareMethods(batch, calls, { columns: [truth], level: "turn" });
  const { series, agreement } = comparison;
  const names = series.map(({ name }) => (name === truth ? "truth" : name));
  const pair = tellingPair(batch);
  const lines = wrap(intro(batch), Math.min(width, 100) - 1).map((line) => ` ${line}`);
  lines.push("", ...glossary({ truth: "what the turn did to the chance of a find", ...methods }, terminal));
  if (pair !== null) {
    const credits = turnCredits(batch, series, names, [pair.success, pair.failure]);
    lines.push(...pairLines(batch, pair, credits, terminal));
  }
  const matrices = [
    { title: "rank correlation (Spearman)", values: agreement.spearman, kind: "correlation" as const },
    { title: "same sign", values: agreement.sameSign, kind: "share" as const },
  ];
  lines.push(
    ...heading(`How much they agree, over all ${agreement.rows} turns`),
    ...matricesLines(matrices, names, terminal),
  );
  const own = series.filter((one) => seriesOfColumn(batch, one.name) === null);
  lines.push(...heading("How well each ranks turns and tokens by their true advantage"));
  lines.push(
    ...truthLines(
      own.map(({ name }) => name),
      truthCorrelations(batch, own, "turn"),
      truthCorrelations(batch, own, "token"),
      style,
    ),
    "",
    ...wrap(
      "Rank correlation over one sample of a toy task: an illustration, not a verdict on the methods.",
      width - 4,
    ).map((line) => style.dim(`   ${line}`)),
  );
  lines.push(
    ...heading("Files"),
    `   ${files.rollouts}  ${style.dim("as sampled")}`,
    `   ${files.credited}  ${style.dim("with the credit of the four methods")}`,
  );
  lines.push(
    ...heading("Try next"),
    `   ${program} inspect ${files.credited} --pair`,
    `   ${program} compare ${files.rollouts} --methods gigpo,igpo,tempo,rloo`,
    `   ${program} methods --for ${files.rollouts}`,
  );
  return lines;
}

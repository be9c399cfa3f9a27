import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { paces } from "../../lab/benchmark/learning.ts";
import type { BenchSummary, EntrySummary } from "../../lab/benchmark/summary.ts";
import { wrap } from "../render/text.ts";
import { highlights } from "./highlights.ts";
import { type Picture, pictures } from "./plots.ts";
import { biasWords, fixed, leaderboardRow, leaderboardTitles, withMargin } from "./render.ts";

const cell = (text: string) => text.replaceAll("|", "\\|");

function table(titles: readonly string[], left: number, rows: readonly (readonly string[])[]): string[] {
  return [
    `| ${titles.join(" | ")} |`,
    `|${titles.map((_, k) => (k < left ? "---" : "---:")).join("|")}|`,
    ...rows.map((row) => `| ${row.map(cell).join(" | ")} |`),
  ];
}

function leaderboard({ entries }: BenchSummary): string[] {
  return table(
    leaderboardTitles,
    2,
    entries.map((entry) => leaderboardRow(entry, withMargin)),
  );
}

const picture = ({ name, about }: Picture) => ["", `![${about}](benchmark/${name}.svg)`, ""];

function taskTable({ tasks }: BenchSummary): string[] {
  return table(
    ["task", "what it makes hard", "states", "start", "optimum"],
    2,
    tasks.map(({ id, about, states, start, optimum }) => [
      id,
      about,
      `${states}`,
      start.toFixed(3),
      optimum.toFixed(3),
    ]),
  );
}

/** Verdicts on the pair of tasks that differ only in whether the policy decides how long an episode is. */
function stoppingTable(entries: readonly EntrySummary[]): string[] {
  const rows = entries.flatMap((entry) => {
    const [even, own] = ["search-fixed", "search-stop"].map((id) => entry.tasks.find(({ task }) => task === id));
    if (even === undefined || own === undefined) return [];
    const said = (one: typeof even) => {
      const { "skew2 of 1": skew, "scale of 1": scale } = one.measures;
      if (one.bias === null) return "too few seeds";
      const lean = `${Math.round(100 * Math.sqrt(Math.max(0, skew.mean)))} %`;
      return one.bias === "biased"
        ? `biased, ${scale.mean < 0 ? "points away" : `leans ${lean}`}`
        : biasWords[one.bias];
    };
    return [[entry.label, said(even), said(own)]];
  });
  return rows.length === 0 ? [] : table(["method", "equal lengths", "policy decides when to stop"], 3, rows);
}

function episodesTable({ entries, tasks }: BenchSummary): string[] {
  const plain = tasks.filter(({ gameable }) => !gameable);
  const rows = entries.map((entry) => [
    entry.label,
    ...plain.map(({ id }) => {
      const found = entry.tasks.find(({ task }) => task === id);
      if (found === undefined) return "–";
      const { mean, margin, reached, perSeed } = found.episodes;
      if (reached === 0) return "never";
      return `${mean.toFixed(0)} ± ${margin.toFixed(0)}${reached < perSeed.length ? ` (${reached}/${perSeed.length})` : ""}`;
    }),
  ]);
  return table(["method", ...plain.map(({ id }) => id)], 1, rows);
}

function skillTable({ entries, tasks }: BenchSummary): string[] {
  const plain = tasks.filter(({ gameable }) => !gameable);
  const rows = entries.map((entry) => [
    entry.label,
    ...plain.map(({ id }) => fixed(entry.tasks.find(({ task }) => task === id)?.measures.pearson ?? null)),
  ]);
  return table(["method", ...plain.map(({ id }) => id)], 1, rows);
}

function leftOutTable({ leftOut }: BenchSummary): string[] {
  return table(
    ["method", "why", "where"],
    3,
    leftOut.map(({ label, reason, tasks }) => [label, reason, tasks.length === 0 ? "everywhere" : tasks.join(", ")]),
  );
}

/** The report as a page. */
export function reportPage(summary: BenchSummary, made: readonly Picture[]): string {
  const show = (prefix: string) => made.filter(({ name }) => name.startsWith(prefix)).flatMap(picture);
  const said = highlights(summary);
  const { seeds, groupSize, mostEpisodes, scale } = summary;
  const command = `apportion bench --out docs --seeds ${seeds.length}${scale === "quick" ? " --quick" : ""}`;
  return `${[
    "# Benchmark with exact ground truth",
    "",
    `Written by \`${command}\`; ${seeds.length} seeds, groups of ${groupSize} episodes. Numbers are means over seeds, with`,
    "95 % intervals of Student's t behind ±. The tasks are so small that values, advantages and the policy gradient are",
    "worked out exactly, so credit is held against the truth and not against another estimate.",
    "",
    ...(said.length === 0
      ? []
      : [
          "## In short",
          "",
          ...said.flatMap((line) => wrap(`- ${line}`, 118).map((part, k) => (k === 0 ? part : `  ${part}`))),
          "",
        ]),
    "## How to read it",
    "",
    `- **episodes**: how many a tabular softmax policy needs until its exact expected reward is 90 % of the optimum: plain`,
    `  ascent, a group per update, no logit moving by more than 1, at the best of four paces, at most ${mostEpisodes} episodes; geometric`,
    `  mean over tasks. A pace is the length, in logits, that an update has at the start (${paces.join(", ")}): scales of credit`,
    "  differ, so the rate follows from it. **got there**: runs that reached the goal at all; the others count in full.",
    "- **skill** and **luck**: correlation of the credit of a turn with its true advantage, and with what chance added behind",
    "  it. **own level**: the same as skill at the level at which the method gives credit (a whole rollout for GRPO).",
    "- **sign**, **top-k**: share of right signs on the turns that matter (|advantage| above a tenth of the largest), and how",
    "  many of the k turns that matter are among the k largest credits.",
    "- **cosine**: of the gradient of one large batch with the exact gradient. **bias**: whether the expected gradient is the",
    "  exact one (none), a multiple of it (scale only), or how much of it points elsewhere, over all tasks; unclear: the seeds",
    "  do not tell.",
    "- **ns/token**, **extra**: time of crediting, and turns sampled beyond the rollouts, per turn.",
    "- **gap**: on a task with a gameable reward, the reward after training minus what is wanted, as shares of their best.",
    "- **takes**: what a method was given beyond rewards and the policy's own probabilities. *critic*, *PRM*: the exact",
    "  values of the present policy with a fixed normal error of 0.1 per input, as trained models would have them; *judge*: right",
    "  or wrong by the sign of the true advantage, one verdict in ten turned around; *answer*: likelihood of the right answer,",
    "  from the exact value with the same error; *samples*: eight continuations per state, or one more episode. Methods that",
    "  take more can look better than they would with models of worse quality; compare within a kind.",
    "- Methods that differ in how they weigh several reward channels, long answers or clipping give the same credit here,",
    "  where there is one outcome and no clipping: they stand side by side with equal numbers.",
    "- A method that writes returns or rewards instead of advantages is followed without a baseline, as it is written.",
    "",
    "## Leaderboard",
    "",
    ...leaderboard(summary),
    ...show("episodes"),
    ...show("skill"),
    "## Tasks",
    "",
    ...taskTable(summary),
    "",
    "## When the policy decides when to stop",
    "",
    "`search-fixed` and `search-stop` have the same choices, rewards and values; only in the second an answer ends the",
    "episode. An estimator that is unbiased on the first and not on the second pays, or fines, for length. Whatever divides by",
    "a spread or by a length measured on the same rollouts can lean on both.",
    "",
    ...stoppingTable(summary.entries),
    ...show("stopping"),
    "## Episodes by task",
    "",
    ...episodesTable(summary),
    ...show("learning"),
    "## Skill by task",
    "",
    ...skillTable(summary),
    "",
    ...(show("gap").length === 0 ? [] : ["## A reward that can be gamed", "", ...show("gap")]),
    ...(show("cost").length === 0 ? [] : ["## Cost", "", ...show("cost")]),
    ...(summary.leftOut.length === 0 ? [] : ["## Left out", "", ...leftOutTable(summary), ""]),
  ]
    .join("\n")
    .replace(/\n{3,}/g, "\n\n")
    .trimEnd()}\n`;
}

/** Four digits of every number, and no curves: those are in the plots and in --json. */
const shortened = (key: string, value: unknown) => {
  if (key === "curve") return undefined;
  return typeof value === "number" ? Number(value.toPrecision(4)) : value;
};

/** Writes benchmark.md and, in benchmark/ beside it, the plots and the numbers; gives back the files. */
export function writeReport(summary: BenchSummary, folder: string): string[] {
  const made = pictures(summary);
  const beside = join(folder, "benchmark");
  mkdirSync(beside, { recursive: true });
  for (const name of readdirSync(beside)) if (name.endsWith(".svg")) rmSync(join(beside, name));
  const files: [string, string][] = [
    [join(folder, "benchmark.md"), reportPage(summary, made)],
    [join(beside, "benchmark.min.json"), `${JSON.stringify(summary, shortened)}\n`],
    ...made.map(({ name, svg }): [string, string] => [join(beside, `${name}.svg`), svg]),
  ];
  for (const [file, text] of files) writeFileSync(file, text);
  return files.map(([file]) => file);
}

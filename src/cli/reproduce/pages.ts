import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Experiment, Trial } from "../../lab/experiments/experiment.ts";
import type { PlotDocument } from "../../lab/plots/index.ts";
import { type Evidence, heldOf } from "./evidence.ts";
import { picturesOf } from "./pictures.ts";
import { writeWhole } from "./whole-file.ts";

const cell = (text: string) => text.replaceAll("|", "\\|").replace(/\s+/g, " ");
/** Text of an experiment in Markdown: what looks like a tag is none. */
const prose = (text: string) => text.replace(/[<>]/g, (c) => (c === "<" ? "&lt;" : "&gt;"));
const anchor = (id: string) => `#${id}`;

const intro = `# Claims

What the cards of the methods claim, tried in miniature: each line is an experiment of
\`src/lab/experiments\`, run with \`apportion reproduce ID\`. The credit comes from the method itself, called by its
name. Expected relations and their bounds are those of the card, fixed beforehand; a claim that does not show is
reported so.

**shown**: every claimed relation was found; **mixed**: some; **not shown**: none. An honest limit is a relation that
the card asks to show as well; it does not count for the verdict. Numbers are means over seeds ± half of the 95 %
confidence interval, seconds the time of all trials one after the other on the machine that made the page.
\`apportion reproduce --all --out docs\` makes it; the numbers of every seed lie beside it as JSON.
`;

function overview(all: readonly Evidence[]): string {
  const count = (verdict: string) => all.filter((one) => one.verdict === verdict).length;
  const rows = all.map((one) => {
    const claims = one.findings.filter(({ kind }) => kind === "claim");
    // What was found first, and the first thing that was not.
    const told = [
      ...claims.filter(({ holds }) => holds).slice(0, 1),
      ...claims.filter(({ holds }) => !holds).slice(0, 1),
    ];
    const numbers = told.map(({ expected, measured, holds }) => {
      return `${holds ? "" : "**not found:** "}${prose(expected)} → ${prose(measured)}`;
    });
    const verdict = one.verdict === "mixed" ? `mixed (${heldOf(one)})` : one.verdict;
    const cells = [prose(one.claim), verdict, numbers.join("; "), String(one.seeds), String(one.seconds)];
    return `| [${one.id}](${anchor(one.id)}) | ${cells.map(cell).join(" | ")} |`;
  });
  return [
    `${all.length} cards: ${count("shown")} shown, ${count("mixed")} mixed, ${count("not shown")} not shown.`,
    "",
    "| card | claim | verdict | key numbers | seeds | seconds |",
    "|---|---|---|---|--:|--:|",
    ...rows,
    "",
  ].join("\n");
}

function section(one: Evidence): string {
  const findings = one.findings.map(({ kind, expected, measured, holds }) => {
    const cells = [kind === "limit" ? `limit: ${prose(expected)}` : prose(expected), prose(measured)];
    return `| ${cells.map(cell).join(" | ")} | ${holds ? "yes" : "**no**"} |`;
  });
  const pictures = one.plots.map(({ title }, k) => `![${title}](claims/${one.id}-${k + 1}.svg)\n`);
  const fewer = one.seeds < one.wantedSeeds ? ` of ${one.wantedSeeds}` : "";
  return [
    `## ${one.id}`,
    "",
    `[${one.title}](methods/${one.id}.md). **${one.verdict}** (${heldOf(one)} claimed relations).`,
    "",
    prose(one.claim),
    "",
    `- Environment: ${prose(one.environment)}`,
    `- Compared with: ${prose(one.baseline)}`,
    `- ${one.seeds}${fewer} seeds, ${one.seconds} s on one core; every number: [${one.id}.json](claims/${one.id}.json)`,
    "",
    "| expected | measured | found |",
    "|---|---|---|",
    ...findings,
    "",
    ...(one.notes === null ? [] : [`Notes: ${prose(one.notes)}\n`]),
    ...pictures,
  ].join("\n");
}

/** docs/claims.md. */
export function claimsPage(all: readonly Evidence[], remaining: Readonly<Record<string, string>>): string {
  const left = Object.entries(remaining).map(([id, reason]) => `| [${id}](methods/${id}.md) | ${cell(reason)} |`);
  const rest = left.length === 0 ? [] : ["## Not yet tried", "", "| card | why |", "|---|---|", ...left, ""];
  return [intro, overview(all), ...all.map(section), ...rest].join("\n");
}

/** Evidence of earlier runs in a folder, by id. */
async function evidenceIn(folder: string, ids: ReadonlySet<string>): Promise<Map<string, Evidence>> {
  const names = await readdir(folder).catch(() => []);
  const found = new Map<string, Evidence>();
  for (const name of names.filter((one) => one.endsWith(".json"))) {
    const id = name.slice(0, -".json".length);
    if (ids.has(id)) found.set(id, JSON.parse(await readFile(join(folder, name), "utf8")) as Evidence);
  }
  return found;
}

/** An experiment that was run just now. */
export interface Ran {
  experiment: Experiment;
  trials: readonly Trial[];
  evidence: Evidence;
}

/**
 * Writes the evidence and the plots of what was run, and the page of all evidence that the folder then holds.
 * @param remaining cards without an experiment, with the reason.
 * @param ids of all experiments: evidence of others is left out of the page.
 */
export async function writePages(
  folder: string,
  ran: readonly Ran[],
  document: PlotDocument,
  { ids, remaining }: { ids: readonly string[]; remaining: Readonly<Record<string, string>> },
): Promise<string> {
  const claims = join(folder, "claims");
  for (const { experiment, trials, evidence } of ran) {
    await writeWhole(join(claims, `${experiment.id}.json`), `${JSON.stringify(evidence, null, 2)}\n`);
    const pictures = picturesOf(experiment, trials, document);
    for (const [k, svg] of pictures.entries()) await writeWhole(join(claims, `${experiment.id}-${k + 1}.svg`), svg);
    await rm(join(claims, `${experiment.id}-${pictures.length + 1}.svg`), { force: true });
  }
  const all = await evidenceIn(claims, new Set(ids));
  const sorted = [...all.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
  const page = join(folder, "claims.md");
  await writeWhole(page, claimsPage(sorted, remaining));
  return page;
}

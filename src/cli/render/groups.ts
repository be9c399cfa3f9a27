import { creditTitles } from "../../analysis/credit-columns.ts";
import type { GroupSummary, GroupsSummary, Lengths } from "../../analysis/groups.ts";
import type { Member } from "../../analysis/members.ts";
import { largestCredit } from "../../analysis/spread.ts";
import { formatCount, plural } from "../options.ts";
import { divergingBar, sparkline } from "./bars.ts";
import { magnitude, percent, short, signed } from "./numbers.ts";
import { createStyle, type Style } from "./style.ts";
import { type Cell, type TableColumn, tableLines } from "./table.ts";
import type { Terminal } from "./terminal.ts";
import { safeText, wrap } from "./text.ts";

/** What groups may be sorted by; numbers with the largest first. */
export const groupOrders = ["spread", "mean", "size", "length", "name", "file"] as const;
export type GroupOrder = (typeof groupOrders)[number];

const sparkWidth = 16;

const lengthText = ({ min, median, max }: Lengths) =>
  min === max ? short(min) : `${short(min)}–${short(median)}–${short(max)}`;

/** Groups in the order asked for; equal ones keep the order of the file. */
export function sortGroups(groups: readonly GroupSummary[], order: GroupOrder): GroupSummary[] {
  const keys: Readonly<Record<Exclude<GroupOrder, "name" | "file">, (group: GroupSummary) => number>> = {
    spread: (group) => group.spread ?? -1,
    mean: (group) => group.mean ?? Number.NEGATIVE_INFINITY,
    size: (group) => group.size,
    length: (group) => group.lengths.median,
  };
  if (order === "file") return [...groups];
  if (order === "name") return [...groups].sort((a, b) => a.name.localeCompare(b.name, "en", { numeric: true }));
  const key = keys[order];
  return [...groups].sort((a, b) => key(b) - key(a) || 0);
}

const inGroups = (rollouts: number, groups: number) => `${plural(rollouts, "rollout")} in ${plural(groups, "group")}`;

/** The whole file in two or three sentences. */
function overview(summary: GroupsSummary): string {
  const { groups, rollouts, unscored, binary, mean, withoutSpread, unit, lengths } = summary;
  const alone = groups.length === rollouts && rollouts > 1;
  const parts = [alone ? `${plural(rollouts, "rollout")}, each alone in its group` : inGroups(rollouts, groups.length)];
  if (mean !== null) parts.push(binary ? `pass rate ${percent(mean)}` : `mean reward ${magnitude(mean)}`);
  if (unscored > 0) parts.push(`${formatCount(unscored)} unscored`);
  const compared = groups.filter((group) => group.rewards.length > 1).length;
  if (compared > 0) {
    const share = withoutSpread === 0 ? "" : ` (${percent(withoutSpread / compared)})`;
    parts.push(`${formatCount(withoutSpread)} of ${formatCount(compared)} groups without spread${share}`);
  }
  const each = lengths.min === lengths.max ? "" : " (min–median–max)";
  parts.push(`${lengthText(lengths)} ${lengths.max === 1 ? unit.slice(0, -1) : unit}${each}`);
  return parts.join(" · ");
}

function meanText(mean: number | null): string {
  if (mean === null) return "–";
  return mean === 0 || Math.abs(mean) >= 100 ? magnitude(mean) : mean.toFixed(2).replace("-", "−");
}

/** The groups of a file as a table, its first `most` rows. */
export function groupLines(
  summary: GroupsSummary,
  order: GroupOrder,
  most: number,
  { width, style }: Terminal,
): string[] {
  const { groups, binary, unit } = summary;
  const rewards = groups.flatMap((group) => [group.rewards[0] ?? 0, group.rewards[group.rewards.length - 1] ?? 0]);
  const range = [rewards.reduce((a, b) => Math.min(a, b), 0), rewards.reduce((a, b) => Math.max(a, b), 0)] as const;
  const columns: TableColumn[] = [
    { title: "group", shrinkTo: 12 },
    { title: "size", align: "right" },
    { title: binary ? "pass" : "mean", align: "right" },
    { title: "spread", align: "right" },
    { title: unit, align: "right", shrinkTo: 8 },
    { title: "rewards" },
  ];
  const rows = sortGroups(groups, order)
    .slice(0, most)
    .map((group): (Cell | string)[] => [
      { text: safeText(group.name), set: style.accent },
      group.unscored === 0 ? String(group.size) : `${group.size} (${group.unscored} unscored)`,
      meanText(group.mean),
      { text: group.spread === null ? "–" : magnitude(group.spread), set: group.spread === 0 ? style.dim : undefined },
      lengthText(group.lengths),
      { text: sparkline(group.rewards, range, sparkWidth), set: style.dim },
    ]);
  const lines = wrap(overview(summary), width - 1).map((line) => ` ${line}`);
  if (rows.length === 0) return lines;
  lines.push("", ...tableLines(columns, rows, { width, style }));
  const more = groups.length - rows.length;
  if (more > 0) lines.push(style.dim(` … ${plural(more, "more group")} (--rows ${groups.length} shows all)`));
  return lines;
}

/** A bar as a cell: in the colour of its sign as a whole. */
function bar(value: number, scale: number, style: Style): Cell {
  const text = divergingBar(scale === 0 ? 0 : value / scale, 5, createStyle(0));
  return { text, set: (filled) => style.credit(value, filled) };
}

/**
 * The rollouts of one group, those with the highest reward first; the bar is the mean of the first column of credit.
 */
export function memberLines(
  members: readonly Member[],
  paths: readonly string[],
  most: number,
  { width, style }: Terminal,
): string[] {
  const shown = [...members].sort((a, b) => (b.reward ?? -Infinity) - (a.reward ?? -Infinity)).slice(0, most);
  if (shown.length === 0) return [];
  const scale = largestCredit(members.map(({ credit }) => credit[0] ?? 0));
  const titles = creditTitles(paths);
  const fitting = paths.slice(0, 3);
  const columns: TableColumn[] = [
    { title: "rollout", shrinkTo: 12 },
    { title: "reward", align: "right" },
    { title: "turns", align: "right" },
    { title: "tokens", align: "right" },
    ...fitting.map((_, k) => ({ title: titles[k], align: "right" as const, shrinkTo: 8 })),
    ...(fitting.length > 0 ? [{ title: "" }] : []),
  ];
  const rows = shown.map(({ id, reward, turns, tokens, credit }): (Cell | string)[] => {
    const [first = null] = credit;
    return [
      { text: safeText(id), set: style.accent },
      reward === null ? "–" : short(reward, 2),
      String(turns),
      String(tokens),
      ...fitting.map((_, k): Cell => {
        const value = credit[k];
        return value === null ? { text: "–" } : { text: signed(value), set: (text) => style.credit(value, text) };
      }),
      ...(fitting.length > 0 ? [bar(first ?? 0, scale, style)] : []),
    ];
  });
  const more = members.length - shown.length;
  const rest = more > 0 ? [style.dim(` … ${plural(more, "more rollout")} (--rows ${members.length} shows all)`)] : [];
  return [...tableLines(columns, rows, { width, style }), ...rest];
}

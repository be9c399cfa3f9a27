import type { ChecklistItem } from "../../methods/survey/checklist.ts";
import type { Terminal } from "./terminal.ts";
import { safeText, truncate, wrap } from "./text.ts";

/** What `apportion check` found in a report. */
export interface CheckedReport {
  file: string;
  /** Length of the checklist. */
  items: number;
  missing: readonly ChecklistItem[];
  /** Entries that the checklist does not know, with missing items that are spelled like them. */
  unknown: readonly { key: string; near: readonly string[] }[];
}

/** The view of one report: its score, then every finding with what belongs there and why it matters. */
export function checkLines({ file, items, missing, unknown }: CheckedReport, { style, width }: Terminal): string[] {
  const indented = (text: string) => wrap(text, width - 5).map((line) => `     ${line}`);
  const score = `${items - missing.length} of ${items}`;
  const findings = missing.flatMap(({ id, what, why }) => [
    "",
    ` ${style.credit(-1, "✗")} ${style.bold(id)}`,
    ...indented(what),
    ...indented(`why: ${why}`).map(style.dim),
  ]);
  const others = unknown.flatMap(({ key, near }) => {
    const name = safeText(truncate(key, 40));
    const hint = near.length > 0 ? `; did you mean ${near.join(" or ")}?` : "";
    return wrap(`${name} is not on the checklist${hint}`, width - 3).map((line) => ` · ${line}`);
  });
  return [
    ` ${style.bold(score)} items are there  ${style.dim(truncate(file, width - 30))}`,
    ...(missing.length === 0 ? ["", " Nothing is missing."] : findings),
    ...(others.length > 0 ? ["", ...others] : []),
  ];
}

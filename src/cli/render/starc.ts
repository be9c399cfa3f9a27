import { magnitude, percent, signed } from "./numbers.ts";
import { tableLines } from "./table.ts";
import type { Terminal } from "./terminal.ts";

/** A transition on which two standardised rewards differ. */
export interface Difference {
  state: number;
  action: number;
  next: number;
  /** Standardised rewards. */
  a: number;
  b: number;
  /** Rewards as the files have them. */
  rawA: number;
  rawB: number;
}

/** What `apportion starc` found out. */
export interface StarcReport {
  files: readonly [string, string];
  states: number;
  actions: number;
  gamma: number;
  canonicalisation: string;
  norm: string;
  distanceNorm: string;
  distance: number;
  /** Whether nothing of a reward is left in its canonical form: it cannot tell policies apart. */
  trivial: readonly [boolean, boolean];
  table: readonly { canonicalisation: string; distance: number; pearson: number }[];
  regret: { regret_a: number; regret_b: number; mean: number };
  differences: readonly Difference[];
}

/** What the distance says, in words, where both norms are 2. */
function reading({ norm, distanceNorm, distance }: StarcReport): string {
  if (norm !== "2" || distanceNorm !== "2") return "";
  if (distance < 1e-6) return "the same order of all policies";
  if (distance > 2 - 1e-6) return "opposite orders of all policies";
  return "0 = the same order of all policies, 2 = opposite orders";
}

/** The view of one comparison. */
export function starcLines(report: StarcReport, { style, width }: Terminal): string[] {
  const { files, states, actions, gamma, canonicalisation, table, regret, differences, trivial } = report;
  const setting = `${states} states, ${actions} actions, γ ${gamma}, norm ${report.norm}, distance ${report.distanceNorm}`;
  const lines = [
    ` ${style.bold(`distance ${magnitude(report.distance)}`)}  ${style.dim(reading(report))}`,
    ` ${style.dim(`A ${files[0]} · B ${files[1]} · ${setting}`)}`,
    "",
    ...tableLines(
      [
        { title: "canonicalisation" },
        { title: "STARC", align: "right" },
        { title: "Pearson", align: "right" },
        { title: "" },
      ],
      table.map((row) => [
        row.canonicalisation,
        magnitude(row.distance),
        magnitude(row.pearson),
        row.canonicalisation === canonicalisation ? "← chosen" : "",
      ]),
      { style, width },
    ),
    "",
    ` ${style.accent("regret")} of following the other's best policy: ${percent(regret.regret_a)} of what A can give, ${percent(regret.regret_b)} of what B can give`,
  ];
  files.forEach((file, k) => {
    if (trivial[k]) lines.push("", ` ${file}: nothing is left in canonical form; all policies are worth the same`);
  });
  if (differences.length === 0) return [...lines, "", " no transition differs"];
  const largest = Math.max(...differences.flatMap(({ a, b }) => [Math.abs(a), Math.abs(b), Math.abs(a - b)]));
  return [
    ...lines,
    "",
    ` ${style.accent("transitions that differ most")} ${style.dim("(standardised, in brackets as given)")}`,
    ...tableLines(
      [
        { title: "state", align: "right" },
        { title: "action", align: "right" },
        { title: "next", align: "right" },
        { title: "A", align: "right" },
        { title: "B", align: "right" },
        { title: "A − B", align: "right" },
      ],
      differences.map(({ state, action, next, a, b, rawA, rawB }) => [
        String(state),
        String(action),
        String(next),
        `${signed(a, largest)} (${magnitude(rawA)})`,
        `${signed(b, largest)} (${magnitude(rawB)})`,
        { text: signed(a - b, largest), set: (text: string) => style.credit(a - b, text) },
      ]),
      { style, width },
    ),
  ];
}

import type { ArmSummary, Measured } from "../../lab/training/summary.ts";
import { magnitude } from "../render/numbers.ts";

/** A column of the table of results: how it is called, what it means, and its cell. */
export interface ResultColumn {
  title: string;
  meaning: string;
  cell(arm: ArmSummary): string;
}

const none = "–";

function withMargin(value: Measured | null, digits: number): string {
  if (value === null) return none;
  const text = (x: number) =>
    x
      .toFixed(digits)
      .replace(/^-(?=[0.]*$)/, "")
      .replace("-", "−");
  return value.margin === null ? text(value.mean) : `${text(value.mean)} ± ${text(value.margin)}`;
}

/** Percent with as many digits as tell it from zero. */
function share(value: number): string {
  const percent = 100 * value;
  return `${percent >= 10 ? percent.toFixed(0) : percent >= 0.1 ? percent.toFixed(1) : percent.toFixed(2)} %`;
}

function time(seconds: number): string {
  return seconds >= 1 ? `${seconds.toFixed(1)} s` : `${magnitude(seconds * 1000)} ms`;
}

/** Columns of the table of results; those that nothing is known for are left out. */
export function resultColumns(arms: readonly ArmSummary[]): ResultColumn[] {
  const known = (of: (arm: ArmSummary) => Measured | null) => arms.some((arm) => of(arm) !== null);
  const gap = arms.some(({ proxyGap }) => proxyGap !== null && Math.abs(proxyGap.mean) > 1e-9);
  const columns: (ResultColumn & { shown?: boolean })[] = [
    { title: "method", meaning: "", cell: ({ method }) => method },
    {
      title: "reward at the end",
      meaning: "expected true reward of the trained policy",
      cell: ({ final }) => withMargin(final, 3),
    },
    {
      title: "while training",
      meaning: "mean true reward of all rollouts",
      cell: ({ during }) => withMargin(during, 3),
    },
    {
      title: "updates to 90 %",
      meaning:
        "updates until 90 % of the best expected reward (the whole run for seeds that never got there); in brackets those that did",
      cell: ({ reaching, reached, seeds }) => {
        if (reached === 0) return `never (0/${seeds})`;
        return `${withMargin(reaching, 0)} (${reached}/${seeds})`;
      },
    },
    {
      title: "credit corr.",
      meaning: "correlation of the advantages with the true ones",
      cell: ({ correlation }) => withMargin(correlation, 2),
      shown: known(({ correlation }) => correlation),
    },
    {
      title: "sign right",
      meaning: "share of choices whose advantage has the true sign; an advantage of 0 counts half",
      cell: ({ sign }) => withMargin(sign, 2),
      shown: known(({ sign }) => sign),
    },
    {
      title: "proxy gap",
      meaning: "reward that training saw less the true one, at the end",
      cell: ({ proxyGap }) => withMargin(proxyGap, 3),
      shown: gap,
    },
    { title: "entropy", meaning: "of the choices at the end, in nats", cell: ({ entropy }) => withMargin(entropy, 2) },
    {
      title: "length",
      meaning: "tokens of the policy per rollout, at the end",
      cell: ({ length }) => withMargin(length, 1),
    },
    { title: "crediting", meaning: "share of an update's time", cell: ({ creditShare }) => share(creditShare) },
    { title: "update", meaning: "time of one update", cell: ({ seconds }) => time(seconds) },
  ];
  return columns.filter(({ shown }) => shown !== false);
}

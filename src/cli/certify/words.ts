import type { Certificate, Counterexample } from "../../lab/certificates/certificate.ts";

/** The word for a verdict, as it stands in tables: no symbol that a screen reader would have to guess. */
export function verdictWord({ verdict, exactOnly }: Certificate): string {
  if (verdict === "none") return "–";
  return exactOnly ? "exact" : verdict;
}

export const legend = [
  "yes: holds in every case that was gone through",
  "exact: holds as long as the columns of a learned critic or potential are exact",
  "factor: fails, but only by a positive factor",
  "no: there is a counterexample (apportion certify ID shows it)",
  "–: does not apply",
];

/** A number for the eye: four significant digits, a true minus. */
export function shownNumber(value: number): string {
  const rounded = Math.abs(value) < 5e-13 ? 0 : Number(value.toPrecision(4));
  return String(rounded).replace("-", "−");
}

/** What is compared, as rows of a table; those that agree are left out where there are many. */
export function comparedRows({ compared }: Counterexample, most = 8): { rows: string[][]; left: number } {
  const differing = compared.filter(({ expected, got }) => expected !== got);
  const shown = compared.length <= most ? compared : differing.slice(0, most);
  const rows = shown.map(({ what, expected, got }) => [
    what,
    shownNumber(expected),
    shownNumber(got),
    shownNumber(got - expected),
  ]);
  return { rows, left: compared.length - shown.length };
}

/** The policy of a counterexample in words. */
export function policyName(policy: number): string {
  return policy === 0 ? "uniform policy" : `fixed policy ${policy}`;
}

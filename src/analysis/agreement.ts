import { pearson, ranks, signAgreement } from "../operators/ranking.ts";

/** Numbers for every pair of series; `null` where one of them is constant or nothing can be said. */
export type PairTable = readonly (readonly (number | null)[])[];

export interface Agreement {
  /** Rows compared. */
  rows: number;
  /** Share of rows that are not 0, per series. */
  nonZero: readonly number[];
  spearman: PairTable;
  pearson: PairTable;
  /** Of the rows in which at least one of the two is not 0: share in which both have the same sign. */
  sameSign: PairTable;
  /** Of the same rows: share in which one is above 0 and the other below. */
  oppositeSign: PairTable;
}

function pairTable<T>(values: readonly T[], measure: (a: T, b: T) => number | null): PairTable {
  return values.map((a) => values.map((b) => measure(a, b)));
}

function shareNonZero(values: Float64Array): number {
  let count = 0;
  for (const value of values) if (value !== 0) count++;
  return values.length === 0 ? 0 : count / values.length;
}

/**
 * How much lists of credit agree, pair by pair: rank correlation, linear correlation and signs.
 * @param values one list per series, all of the same length. O(k n log n + k² n) for k lists.
 */
export function agreement(values: readonly Float64Array[]): Agreement {
  const shareOf = (part: "same" | "opposite") =>
    pairTable(values, (a, b) => {
      const signs = signAgreement(a, b);
      return signs.rows === 0 ? null : signs[part] / signs.rows;
    });
  return {
    rows: values[0]?.length ?? 0,
    nonZero: values.map(shareNonZero),
    spearman: pairTable(values.map(ranks), pearson),
    pearson: pairTable(values, pearson),
    sameSign: shareOf("same"),
    oppositeSign: shareOf("opposite"),
  };
}

import { firstErrorSearch } from "../../methods/tree/omega-prm.ts";
import { Random } from "../random.ts";
import type { Experiment, Scale, Trial } from "./experiment.ts";

const lengths = [8, 16, 32, 64];
const solutions = 4000;
/** Chance that a sound prefix is measured as 0. */
const miss = 0.02;
const card = {
  measurements: [3.1, 4.1, 5.0, 6.0],
  search: [0.97, 0.96, 0.96, 0.94],
  scan: [0.93, 0.88, 0.74, 0.55],
};

function trial(seed: number, scale: Scale): Trial {
  const random = new Random(seed);
  const count = scale === "full" ? solutions : 200;
  const measures: Record<string, number> = {};
  for (const length of lengths) {
    let visited = 0;
    let scanned = 0;
    let exact = 0;
    let found = 0;
    let foundByScan = 0;
    for (let k = 0; k < count; k++) {
      const error = random.below(length);
      const truth = Array.from({ length }, (_, step) => (step < error ? 1 : 0));
      const search = firstErrorSearch({ mc: truth });
      visited += search.visited.length;
      scanned += error + 1;
      if (search.first_error === error) exact++;
      const noisy = truth.map((mc) => (mc === 1 && random.uniform() < miss ? 0 : mc));
      if (firstErrorSearch({ mc: noisy }).first_error === error) found++;
      if (noisy.indexOf(0) === error) foundByScan++;
    }
    measures[`measurements, K = ${length}`] = visited / count;
    measures[`measurements of a scan, K = ${length}`] = scanned / count;
    measures[`found without noise, K = ${length}`] = exact / count;
    measures[`found, K = ${length}`] = found / count;
    measures[`found by a scan, K = ${length}`] = foundByScan / count;
  }
  return { measures };
}

/** A binary search for the first error: fewer measurements, and fewer chances to be misled. */
export const experiment: Experiment = {
  id: "omega-prm",
  version: 1,
  claim:
    "The binary search finds the first error with about log2 K measurements, and where some sound prefixes are " +
    "measured as 0 it is misled far less often than a scan from the front.",
  environment:
    "4000 solutions of K = 8, 16, 32, 64 steps per seed with the first error anywhere; completions after it never " +
    "succeed. Then 2 % of the sound prefixes are measured as 0. Nothing is trained.",
  baseline: "a scan from the front",
  seeds: 3,
  trial,
  findings: (summary) =>
    lengths.flatMap((length, k) => [
      {
        expected: `K = ${length}: ${card.measurements[k].toFixed(1)} measurements on average (within 0.1), always right without noise`,
        measured: `${summary.text(`measurements, K = ${length}`)} (scan: ${summary.text(`measurements of a scan, K = ${length}`, 1)})`,
        holds:
          Math.abs(summary.mean(`measurements, K = ${length}`) - card.measurements[k]) <= 0.1 &&
          summary.min(`found without noise, K = ${length}`) === 1,
        kind: "claim" as const,
      },
      {
        expected: `K = ${length}, 2 % noise: at least 0.9 found (card: ${card.search[k]}), more than by a scan (card: ${card.scan[k]})`,
        measured: `${summary.text(`found, K = ${length}`, 3)} against ${summary.text(`found by a scan, K = ${length}`, 3)}`,
        holds:
          summary.mean(`found, K = ${length}`) >= 0.9 &&
          summary.mean(`found, K = ${length}`) > summary.mean(`found by a scan, K = ${length}`),
        kind: "claim" as const,
      },
    ]),
  plots: [
    {
      kind: "bars",
      title: "Share of first errors found with 2 % noise",
      y: "share",
      measures: lengths.flatMap((length) => [`found, K = ${length}`, `found by a scan, K = ${length}`]),
    },
    {
      kind: "bars",
      title: "Measurements per solution",
      y: "prefixes measured",
      measures: lengths.flatMap((length) => [`measurements, K = ${length}`, `measurements of a scan, K = ${length}`]),
    },
  ],
};

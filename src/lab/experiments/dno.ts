import { dnoExploitability, dnoIterate } from "../../methods/preference/dno.ts";
import { bradleyTerry } from "../../methods/shaping/dense-sources.ts";
import type { Experiment, Trial } from "./experiment.ts";

const cyclic = [
  [0.5, 0.9, 0.2],
  [0.1, 0.5, 0.8],
  [0.8, 0.2, 0.5],
];
const start = [0.6, 0.3, 0.1];
const transitive = [
  [0.5, 0.9],
  [0.1, 0.5],
];
const eta = 1;
const steps = 200;

/** The policy that takes the arm of the highest Bradley-Terry score, the scores fitted to all preferences of a game. */
function bestByScore(preference: readonly (readonly number[])[]): number[] {
  const scores = preference.map(() => 0);
  // Ten comparisons of each pair, as many of them won as the preference says.
  const pairs = preference.flatMap((row, i) =>
    row.flatMap((p, j) => (i === j ? [] : new Array<[number, number]>(Math.round(10 * p)).fill([i, j]))),
  );
  for (let step = 0; step < 2000; step++) {
    const of = (side: 0 | 1) => pairs.map((pair) => scores[pair[side]]);
    const { gradChosen, gradRejected } = bradleyTerry({ chosen: of(0), rejected: of(1) });
    pairs.forEach(([i, j], k) => {
      scores[i] -= gradChosen[k];
      scores[j] -= gradRejected[k];
    });
  }
  const best = scores.indexOf(Math.max(...scores));
  return scores.map((_, arm) => (arm === best ? 1 : 0));
}

function trial(): Trial {
  const { average, last, improvement } = dnoIterate({ preference: cyclic, eta, steps, policy: start });
  const lost = (policy: number[]) => dnoExploitability({ policy, preference: cyclic });
  const shown = Array.from({ length: steps / 2 }, (_, k) => {
    return dnoIterate({ preference: cyclic, eta, steps: 2 * (k + 1), policy: start });
  });
  return {
    measures: {
      "average of the policies": lost(average),
      "last policy": lost(last),
      "smallest improvement": Math.min(...improvement),
      "best by Bradley-Terry score": lost(bestByScore(cyclic)),
      "better arm of the transitive game": dnoIterate({ preference: transitive, eta, steps }).last[0],
    },
    curves: {
      "average of the policies": shown.map((one) => lost(one.average)),
      "last policy": shown.map((one) => lost(one.last)),
    },
  };
}

/** Where preferences go in a circle, the average of the policies finds the equilibrium; a score per response cannot. */
export const experiment: Experiment = {
  id: "dno",
  version: 1,
  claim:
    "On cyclic preferences the average of the policies comes close to the equilibrium although the last one circles; " +
    "the best arm by a Bradley-Terry score can be exploited.",
  environment:
    "Three responses that beat each other in a circle (0.9, 0.8, 0.8), start (0.6, 0.3, 0.1), η = 1, 200 exact " +
    "steps; and a game of two in which one wins with 0.9.",
  baseline: "the response of the highest Bradley-Terry score",
  seeds: 3,
  trial,
  findings: (summary) => {
    const value = (name: string) => summary.mean(name);
    const finding = (name: string, sign: "at most" | "at least", bound: number, card: string) => ({
      expected: `${name}: ${sign} ${bound}${card}`,
      measured: value(name).toFixed(4),
      holds: sign === "at most" ? value(name) <= bound : value(name) >= bound,
      kind: "claim" as const,
    });
    return [
      finding("average of the policies", "at most", 0.03, " exploitable (0.019)"),
      finding("last policy", "at least", 0.1, " exploitable (0.28)"),
      finding("smallest improvement", "at least", 0.5, ""),
      finding("best by Bradley-Terry score", "at least", 0.25, " exploitable (0.30)"),
      finding("better arm of the transitive game", "at least", 0.99, ""),
    ];
  },
  plots: [
    {
      kind: "lines",
      title: "How much the best answer wins against the policy, cyclic game",
      x: "step",
      y: "exploitability",
      curves: ["average of the policies", "last policy"],
      every: 2,
    },
  ],
  notes: "Exact, and the same for every seed.",
};

import { barfiHypergradient, barfiInner } from "../../methods/shaping/barfi.ts";
import { Random } from "../random.ts";
import { SoftmaxTable } from "../softmax-table.ts";
import { atLeast, atMost } from "./bounds.ts";
import type { Experiment, Scale, Trial } from "./experiment.ts";

const states = 3;
const actions = 2;
const horizon = 8;
const [entropy, gammaPhi, gamma] = [0.25, 0.9, 0.95];
const innerSteps = 3;
const batch = 16;
const [innerRate, outerRate] = [0.3, 1];
const judged = 300;

/** Auxiliary reward of the two actions. */
const auxiliary = { good: [0.3, 0], bad: [0, 0.5] } as const;
type Auxiliary = keyof typeof auxiliary;

interface Episode {
  s: number[];
  a: number[];
  r_p: number[];
  r_aux: number[];
}

/** Action 0 moves right, past the end is reward 1 and the end; action 1 moves left or stays. */
function play(policy: SoftmaxTable, aux: readonly number[], random: Random): Episode {
  const out: Episode = { s: [], a: [], r_p: [], r_aux: [] };
  for (let t = 0, state = 0; t < horizon && state < states; t++) {
    const action = policy.sample(state, random);
    out.s.push(state);
    out.a.push(action);
    state = action === 0 ? state + 1 : Math.max(0, state - 1);
    out.r_p.push(state === states ? 1 : 0);
    out.r_aux.push(aux[action]);
  }
  return out;
}

const rows = (table: SoftmaxTable) =>
  Array.from({ length: states }, (_, s) => [...table.logits.subarray(2 * s, 2 * s + 2)]);

interface Arm {
  aux: Auxiliary;
  /** Weight of the auxiliary reward at the start. */
  start: number;
  learns: boolean;
}

function train({ aux, start, learns }: Arm, seed: number, rounds: number) {
  const policy = new SoftmaxTable(states, actions);
  const random = new Random(seed);
  const phi = {
    phi1: Array.from({ length: states }, () => [0, 0]),
    phi2: new Array<number>(states).fill(1),
    phi3: new Array<number>(states).fill(start),
  };
  const mean = (values: readonly number[]) => values.reduce((sum, x) => sum + x, 0) / values.length;
  const sample = (count: number) => Array.from({ length: count }, () => play(policy, auxiliary[aux], random));
  const success = (episodes: readonly Episode[]) => mean(episodes.map(({ r_p }) => r_p.reduce((sum, r) => sum + r, 0)));
  const curve: number[] = [];
  const weights: number[] = [];
  for (let round = 0; round < rounds; round++) {
    let inner: Episode[] = [];
    for (let k = 0; k < innerSteps; k++) {
      inner = sample(batch);
      const { delta } = barfiInner({ theta: rows(policy), phi, gammaPhi, entropy, trajectories: inner });
      delta.forEach((d, at) => {
        policy.logits[at] += innerRate * d;
      });
      policy.changed();
    }
    curve.push(success(inner));
    weights.push(mean(phi.phi3));
    if (!learns) continue;
    const theta = rows(policy);
    const solver = { solver: "neumann" as const, eta: 0.3, n: 5 };
    const by = barfiHypergradient({ theta, phi, gammaPhi, gamma, entropy, inner, outer: sample(batch), ...solver });
    phi.phi1.forEach((row, s) => {
      row.forEach((_, a) => {
        row[a] += outerRate * by.phi1[s][a];
      });
      phi.phi2[s] += outerRate * by.phi2[s];
      phi.phi3[s] += outerRate * by.phi3[s];
    });
  }
  return { primary: success(sample(judged)), weight: mean(phi.phi3), curve, weights };
}

const arms: Readonly<Record<string, Arm>> = {
  "bad heuristic, barfi": { aux: "bad", start: 1, learns: true },
  "bad heuristic, naive sum": { aux: "bad", start: 1, learns: false },
  "primary reward only": { aux: "bad", start: 0, learns: false },
  "good heuristic, barfi": { aux: "good", start: 1, learns: true },
  "good heuristic, naive sum": { aux: "good", start: 1, learns: false },
};

function trial(seed: number, scale: Scale): Trial {
  const measures: Record<string, number> = {};
  const curves: Record<string, number[]> = {};
  for (const [name, arm] of Object.entries(arms)) {
    const { primary, weight, curve, weights } = train(arm, seed, scale === "full" ? 200 : 20);
    measures[name] = primary;
    curves[name] = curve;
    if (!arm.learns) continue;
    measures[`${name}, weight of the heuristic`] = weight;
    curves[`weight of a ${arm.aux} heuristic`] = weights;
  }
  return { measures, curves };
}

/** The blend of reward and heuristic is tuned from outside: a bad heuristic cannot win, a good one is kept. */
export const experiment: Experiment = {
  id: "barfi",
  version: 1,
  claim:
    "A learned blend of the reward and a heuristic reaches the goal with a misleading heuristic, where the naive sum " +
    "fails, and keeps a good one.",
  environment:
    "Chain of 3 states, 8 steps, reward 1 past the end. Heuristic: bad, 0.5 for going back, or good, 0.3 for going " +
    "on. Tabular softmax, entropy weight 0.25, 200 rounds of 3 inner updates of 16 episodes and one outer update; " +
    "primary return of 300 final episodes.",
  baseline: "the naive sum of both rewards, and the primary reward alone",
  seeds: 6,
  trial,
  findings: (summary) => [
    atMost(summary, "bad heuristic, naive sum", 0.1, { over: "mean" }),
    {
      expected: "primary reward only: between 0.7 and 0.95 (mean)",
      measured: summary.text("primary reward only", 3),
      holds: summary.mean("primary reward only") >= 0.7 && summary.mean("primary reward only") <= 0.95,
      kind: "claim",
    },
    atLeast(summary, "bad heuristic, barfi", 0.95, { over: "mean" }),
    atMost(summary, "bad heuristic, barfi, weight of the heuristic", 0.7, { over: "mean" }),
    atLeast(summary, "good heuristic, barfi", 0.95, { over: "mean" }),
    atLeast(summary, "good heuristic, barfi, weight of the heuristic", 0.8, { over: "mean" }),
  ],
  plots: [
    { kind: "bars", title: "Primary return at the end", y: "return", measures: Object.keys(arms) },
    {
      kind: "lines",
      title: "How much of the heuristic is used",
      x: "round",
      y: "mean φ3",
      curves: ["weight of a bad heuristic", "weight of a good heuristic"],
    },
  ],
  notes:
    "The inner update and the hypergradient are the method's own functions (barfiInner, barfiHypergradient); every " +
    "inner update has fresh episodes, the hypergradient takes those of the last one and 16 fresh ones for the outer " +
    "return.",
};

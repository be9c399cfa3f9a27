import { z } from "zod";
import { InputError } from "../../rollouts/index.ts";
import { functionArgs, numberList, numberRows, sameLength } from "../arguments.ts";
import { synergy } from "./coopetition-episode.ts";

const positive = z.number().positive();
const spec = z.enum(["log", "power"]).default("log");

/** A finite number, or an error that says what was too large. */
function finite(x: number, name: string): number {
  if (Number.isFinite(x)) return x;
  throw new InputError(`${name} is not a finite number`, { hint: "the arguments are too large" });
}

const teamArgs = z.object({
  actions: z.array(z.number().min(0)).min(1),
  omega: z.number(),
  beta: positive,
  cost: z.number(),
  loyalty: numberList,
  phiB: z.number(),
  phiC: z.number(),
});

/**
 * Team production with loyalty: Q = ω (Σ a)^β; base_i = Q / n − c a_i; utility_i = base_i + θ_i (φ_B · mean of the others'
 * base + φ_C c a_i), θ_i the loyalty.
 */
export function teamUtility(args: z.input<typeof teamArgs>): { output: number; base: number[]; utility: number[] } {
  const { actions, omega, beta, cost, loyalty, phiB, phiC } = functionArgs(teamArgs, args);
  sameLength({ actions, loyalty });
  const n = actions.length;
  const total = actions.reduce((a, b) => a + b, 0);
  const output = finite(omega * total ** beta, "the output");
  const base = actions.map((a) => output / n - cost * a);
  const sum = base.reduce((a, b) => a + b, 0);
  const utility = base.map((own, i) => {
    const others = n === 1 ? 0 : (sum - own) / (n - 1);
    return finite(own + loyalty[i] * (phiB * others + phiC * cost * actions[i]), "the utility");
  });
  return { output, base, utility };
}

const equilibriaArgs = z.object({
  omega: positive,
  beta: positive.max(1),
  cost: positive,
  n: z.int().min(1),
  aMax: z.number().min(0),
});

/**
 * Effort of each of n agents in team production: where nobody gains by changing alone, (ωβ / (c n^{2−β}))^{1/(1−β)}, and
 * where all together gain most, (ωβ / c)^{1/(1−β)} / n; neither is cut to aMax. With β = 1 the corners: aMax where a unit of
 * effort pays (ω / n, or ω, above c), else 0.
 */
export function teamEquilibria(args: z.input<typeof equilibriaArgs>): { nash: number; socialOptimum: number } {
  const { omega, beta, cost, n, aMax } = functionArgs(equilibriaArgs, args);
  if (beta === 1) return { nash: omega / n > cost ? aMax : 0, socialOptimum: omega > cost ? aMax : 0 };
  const power = 1 / (1 - beta);
  return {
    nash: finite(((omega * beta) / (cost * n ** (2 - beta))) ** power, "the equilibrium"),
    socialOptimum: finite(((omega * beta) / cost) ** power / n, "the social optimum"),
  };
}

const gameShape = {
  endowments: z.array(positive).min(1),
  alpha: numberList,
  D: numberRows,
  gamma: z.number().min(0),
  spec,
  theta: positive.default(20),
  beta: positive.lt(1).default(0.75),
};
const gameSchema = z.object(gameShape);
type Game = z.output<typeof gameSchema>;

function checkGame({ endowments, alpha, D }: Game): void {
  sameLength({ endowments, alpha, D });
  D.forEach((row, i) => {
    sameLength({ endowments, [`D.${i}`]: row });
  });
}

/** What an agent produces alone, and the slope of it. */
function production({ spec, theta, beta }: Game): { value: (a: number) => number; slope: (a: number) => number } {
  return spec === "log"
    ? { value: (a) => theta * Math.log1p(a), slope: (a) => theta / (1 + a) }
    : { value: (a) => a ** beta, slope: (a) => beta * a ** (beta - 1) };
}

/** Where a decreasing function of one action changes sign, within [low, high]. */
function signChange(slope: (a: number) => number, low: number, high: number): number {
  if (slope(high) >= 0) return high;
  let [from, to] = [low, high];
  for (let k = 0; k < 200; k++) {
    const middle = (from + to) / 2;
    if (middle === from || middle === to) break;
    if (slope(middle) > 0) from = middle;
    else to = middle;
  }
  return from === low ? low : (from + to) / 2;
}

const start = 10;
const mostSweeps = 10_000;

/** Coordinate-wise best actions by sweeps over the agents until nothing moves by 1e-12. */
function equilibrium(game: Game, lower: readonly number[], upper: readonly number[]) {
  const { alpha, D, gamma } = game;
  const { slope } = production(game);
  const n = alpha.length;
  const share = alpha.map((own, i) => D[i].reduce((sum, d, j) => (i === j ? sum : sum + d * alpha[j]), own));
  const actions = lower.map((low, i) => Math.min(Math.max(start, low), upper[i]));
  for (let sweep = 0; sweep < mostSweeps; sweep++) {
    let change = 0;
    for (let i = 0; i < n; i++) {
      const rest = [...actions];
      const marginal = (a: number) => {
        rest[i] = a;
        return -1 + slope(a) + (share[i] * gamma * synergy(rest)) / (n * a);
      };
      const best = signChange(marginal, lower[i], upper[i]);
      change = Math.max(change, Math.abs(best - actions[i]));
      actions[i] = best;
    }
    if (change < 1e-12) return { actions, converged: true };
  }
  return { actions, converged: false };
}

const bound = z.union([z.number().min(0), z.array(z.number().min(0))]).nullish();
const equilibriumArgs = z.object({ ...gameShape, lower: bound, upper: bound });

/** Bounds per agent from one number for all, a list, or a default. */
function bounds(given: z.output<typeof bound>, usual: readonly number[], name: string): readonly number[] {
  const list = Array.isArray(given) ? given : usual.map((x) => given ?? x);
  sameLength({ endowments: usual, [name]: list });
  return list;
}

/**
 * Coopetitive equilibrium: every action maximises its agent's integrated utility U_i = π_i + Σ_j D_ij π_j given the others,
 * within [lower, upper] (default 0 to the endowment): −1 + f′(a_i) + (α_i + Σ_j D_ij α_j) γ g / (n a_i) = 0.
 * f(a) = θ ln(1 + a) (`log`) or a^β (`power`); g is the geometric mean of the actions.
 */
export function coopetitiveEquilibrium(args: z.input<typeof equilibriumArgs>): number[] {
  const game = functionArgs(equilibriumArgs, args);
  checkGame(game);
  const none = game.endowments.map(() => 0);
  const lower = bounds(game.lower, none, "lower");
  const upper = bounds(game.upper, game.endowments, "upper");
  const wrong = lower.findIndex((low, i) => low > upper[i]);
  if (wrong < 0) return equilibrium(game, lower, upper).actions;
  throw new InputError("argument lower not valid", { expected: `at most ${upper[wrong]}`, got: `${lower[wrong]}` });
}

/** Actions, what each agent gets, and the value V = Σ f + γ g of a point of the game. */
function outcomeAt(game: Game, actions: readonly number[]) {
  const { value } = production(game);
  const joint = game.gamma * synergy(actions);
  const made = actions.map(value);
  return {
    payoffs: made.map((f, i) => game.endowments[i] - actions[i] + f + game.alpha[i] * joint),
    total: made.reduce((a, b) => a + b, joint),
  };
}

/** Points of those of these that hold. */
const points = (...rules: readonly (readonly [boolean, number])[]) =>
  rules.reduce((sum, [holds, worth]) => sum + (holds ? worth : 0), 0);

const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;

const validationArgs = gameSchema.partial().extend({ spec });

type Category = "convergence" | "cooperation" | "value" | "distribution" | "strategic";

/**
 * Rubric of the Samsung-Sony case study, 60 points: the equilibrium against the baseline without interdependence and
 * synergy (D = 0, γ = 0). Cooperation is the rise of the mean action, value that of V = Σ f + γ g, both in per cent.
 */
export function slcdValidation(args: z.input<typeof validationArgs>): {
  baseline: number[];
  equilibrium: number[];
  cooperationIncreasePct: number;
  valueIncreasePct: number;
  share0: number;
  asymmetry: number;
  categories: Record<Category, number>;
  score: number;
} {
  const usual = {
    endowments: [100, 100],
    alpha: [0.55, 0.45],
    D: [
      [0, 0.64],
      [0.86, 0],
    ],
    gamma: 0.65,
    theta: 20,
    beta: 0.75,
  };
  const game: Game = { ...usual, ...functionArgs(validationArgs, args) };
  checkGame(game);
  sameLength({ "the two agents": usual.endowments, endowments: game.endowments });
  const none = game.endowments.map(() => 0);
  const alone = { ...game, gamma: 0, D: game.D.map((row) => row.map(() => 0)) };
  const baseline = equilibrium(alone, none, game.endowments);
  const joint = equilibrium(game, none, game.endowments);
  const [before, after] = [outcomeAt(game, baseline.actions), outcomeAt(game, joint.actions)];
  const a = joint.actions;
  const rise = (from: number, to: number) => finite((100 * (to - from)) / from, "the rise over the baseline");
  const c = rise(mean(baseline.actions), mean(a));
  const v = rise(before.total, after.total);
  const share0 = finite(after.payoffs[0] / (after.payoffs[0] + after.payoffs[1]), "the share of the first agent");
  const asymmetry = finite(Math.abs(a[0] - a[1]) / mean(a), "the asymmetry");
  const categories = {
    convergence: points(
      [joint.converged, 2],
      [a.every((x) => x > 0), 2],
      [a.every((x) => x < 100), 2],
      [after.payoffs.every(Number.isFinite), 2],
      [Number.isFinite(after.total), 2],
    ),
    cooperation: points(
      [c > 0, 1],
      [c > 10, 2],
      [c > 15, 2],
      [c < 100, 3],
      [c < 80, 2],
      [c >= 15 && c <= 60, 3],
      [a.every((x, i) => x > baseline.actions[i]), 2],
    ),
    value: points(
      [v > 0, 2],
      [v > 10, 2],
      [v > 15, 2],
      [v < 100, 3],
      [v >= 10 && v <= 50, 3],
      [after.total > before.total, 3],
    ),
    distribution: points(
      [after.payoffs.every((x) => x > 0), 3],
      [after.payoffs.every((x, i) => x > before.payoffs[i]), 3],
      [share0 >= 0.5 && share0 <= 0.65, 4],
    ),
    strategic: points(
      [joint.converged, 3],
      [mean(a) > mean(baseline.actions), 3],
      [asymmetry > 0.02 && asymmetry < 0.3, 4],
    ),
  };
  return {
    baseline: baseline.actions,
    equilibrium: a,
    cooperationIncreasePct: c,
    valueIncreasePct: v,
    share0,
    asymmetry,
    categories,
    score: Object.values(categories).reduce((x, y) => x + y, 0),
  };
}

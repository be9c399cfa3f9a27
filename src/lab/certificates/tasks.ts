import { SoftmaxTable } from "../softmax-table.ts";

/**
 * The tree of choices of a tiny task. A path is the letters chosen so far; every path is a state of its own, so that the
 * policy sees everything.
 */
export interface Shape {
  id: string;
  title: string;
  /** Whether the policy decides when the episode ends. */
  stops: boolean;
  /** Letters that may be chosen after a path; empty where the episode is over. */
  choices(path: string): string;
}

/** What is paid on a shape: a step reward for every path, an outcome for every full path; 0 where nothing is said. */
export interface Rewards {
  id: string;
  step: Readonly<Record<string, number>>;
  outcome: Readonly<Record<string, number>>;
}

export interface Task {
  shape: Shape;
  rewards: Rewards;
}

const over = (path: string, length: number) => path.length === length || path.endsWith("s");

const one: Shape = {
  id: "one",
  title: "one choice of three, then the end",
  stops: false,
  choices: (path) => (path.length < 1 ? "abc" : ""),
};
const two: Shape = {
  id: "two",
  title: "two choices of two, then the end",
  stops: false,
  choices: (path) => (path.length < 2 ? "ab" : ""),
};
const stop: Shape = {
  id: "stop",
  title: "go on (g) or stop (s), three times at most",
  stops: true,
  choices: (path) => (over(path, 3) ? "" : "gs"),
};
const stopOrChoose: Shape = {
  id: "stop-or-choose",
  title: "stop (s) or go on with a or b, twice at most",
  stops: true,
  choices: (path) => (over(path, 2) ? "" : "abs"),
};

/** Every task, smaller ones first. Of each shape there is one with outcomes of 0 and 1 and one with graded outcomes. */
export const tasks: readonly Task[] = [
  { shape: one, rewards: { id: "binary", step: {}, outcome: { a: 1 } } },
  { shape: one, rewards: { id: "graded", step: { b: 0.25 }, outcome: { a: 1, b: 0.25 } } },
  { shape: two, rewards: { id: "binary", step: { ba: 0.25 }, outcome: { aa: 1 } } },
  { shape: two, rewards: { id: "graded", step: { a: 0.25, bb: 0.5 }, outcome: { aa: 1, ab: 0.25, bb: 0.5 } } },
  { shape: stop, rewards: { id: "binary", step: { g: 0.25, gg: 0.25 }, outcome: { gs: 1, ggg: 1 } } },
  {
    shape: stop,
    rewards: { id: "graded", step: { g: 0.5, gg: 0.25 }, outcome: { s: 0.25, gs: 0.5, ggs: 1 } },
  },
  {
    shape: stopOrChoose,
    rewards: { id: "graded", step: { a: 0.25, bb: 0.5 }, outcome: { s: 0.25, aa: 1, as: 0.5, bs: 0.75 } },
  },
];

/** Which rewards a method is paid: outcomes, step rewards that hold the outcome in the last one, or both side by side. */
export type Layout = "outcome" | "dense" | "both";

/** A task with its rewards multiplied, its outcomes moved, and a potential added to its steps. */
export interface Change {
  scale?: number;
  shift?: number;
  /** Φ of every path (0 where the episode is over) and the discount with which it is added to the step rewards. */
  potential?: { of: (path: string) => number; gamma: number };
}

/** A choice that the policy made on the way of an episode. */
export interface Choice {
  /** Path before it. */
  state: string;
  /** Path after it. */
  node: string;
  action: string;
  /** Row and column of the policy. */
  row: number;
  column: number;
  probability: number;
  entropy: number;
  /** Σ π² over the choices of the state. */
  squares: number;
  /** Step reward as the layout has it. */
  reward: number;
  /** What was paid before it. */
  paid: number;
  /** Expected total of the episode before it. */
  expected: number;
}

export interface Trajectory {
  path: string;
  probability: number;
  choices: readonly Choice[];
  /** 0 in the layout `dense`, where the last step pays it. */
  outcome: number;
  /** Everything that is paid. */
  total: number;
}

/** A task under a policy, worked out: every trajectory with its probability, and the exact gradient of E[total]. */
export interface Solved {
  task: Task;
  layout: Layout;
  policy: SoftmaxTable;
  trajectories: readonly Trajectory[];
  /** ∂ E[total] / ∂ θ[row, column]. */
  gradient: Float64Array;
  /** E[total | path]. */
  expected(path: string): number;
  /** What an expected total would be without the change of scale, outcome or potential. */
  unchanged(expected: number): number;
  /** P(action | state, total) of the trajectories that pay the same. */
  hindsight(choice: Choice, total: number): number;
}

/** Paths where something is to be chosen, in the order of the rows of a policy. */
export function statesOf(shape: Shape, path = ""): string[] {
  const letters = [...shape.choices(path)];
  return letters.length === 0 ? [] : [path, ...letters.flatMap((letter) => statesOf(shape, path + letter))];
}

/** Logits of the policies: all alike, then two that lean in ways that have nothing to do with each other. */
const leanings: readonly (readonly number[])[] = [
  [0],
  [0.7, -0.4, 0.2, -0.9, 0.5, 0, -0.3],
  [-1.1, 0.6, 0.3, 0.8, -0.2, -0.6, 1],
];
export const policyCount = leanings.length;

/** The k-th fixed policy on a shape. */
export function policyOf(shape: Shape, k: number): SoftmaxTable {
  const states = statesOf(shape);
  const columns = Math.max(...states.map((path) => shape.choices(path).length));
  const leaning = leanings[k];
  const logits = Array.from({ length: states.length * columns }, (_, at) =>
    at % columns < shape.choices(states[Math.floor(at / columns)]).length
      ? leaning[at % leaning.length]
      : Number.NEGATIVE_INFINITY,
  );
  return new SoftmaxTable(states.length, columns, logits);
}

/** Φ that the shaping law adds: another number for every path. */
export function samplePotential(path: string): number {
  let sum = 0.5;
  for (const [k, letter] of [...path].entries()) sum += (0.25 * ((letter.charCodeAt(0) % 5) - 1)) / (k + 1);
  return sum;
}

function payments({ shape, rewards }: Task, layout: Layout, { scale = 1, shift = 0, potential }: Change) {
  const outcome = (path: string) => scale * (rewards.outcome[path] ?? 0) + shift;
  const phi = (path: string) => (potential === undefined || shape.choices(path) === "" ? 0 : potential.of(path));
  const step = (path: string): number => {
    if (layout === "outcome") return 0;
    const plain = scale * (rewards.step[path] ?? 0);
    const shaping = potential === undefined ? 0 : potential.gamma * phi(path) - phi(path.slice(0, -1));
    return plain + shaping + (layout === "dense" && shape.choices(path) === "" ? outcome(path) : 0);
  };
  return { step, outcome: (path: string) => (layout === "dense" ? 0 : outcome(path)) };
}

/** Solves a task by going through every way that an episode can go. */
export function solve(task: Task, policyNumber: number, layout: Layout, change: Change = {}): Solved {
  const { shape } = task;
  const policy = policyOf(shape, policyNumber);
  const rows = new Map(statesOf(shape).map((path, row) => [path, row]));
  const pay = payments(task, layout, change);
  const expectations = new Map<string, number>();
  const expect = (path: string, paid: number): number => {
    const letters = [...shape.choices(path)];
    const row = rows.get(path) as number;
    const value =
      letters.length === 0
        ? paid + pay.outcome(path)
        : letters.reduce(
            (sum, letter, k) =>
              sum + policy.probability(row, k) * expect(path + letter, paid + pay.step(path + letter)),
            0,
          );
    expectations.set(path, value);
    return value;
  };
  expect("", 0);
  const expected = (path: string) => expectations.get(path) as number;
  const trajectories = [...walk("", 1, [], 0)];

  function* walk(path: string, probability: number, choices: readonly Choice[], paid: number): Generator<Trajectory> {
    const letters = [...shape.choices(path)];
    if (letters.length === 0) {
      const outcome = pay.outcome(path);
      yield { path, probability, choices, outcome, total: paid + outcome };
      return;
    }
    const row = rows.get(path) as number;
    const entropy = policy.entropy(row);
    const squares = policy.probabilities(row).reduce((sum, p) => sum + p * p, 0);
    for (const [column, action] of letters.entries()) {
      const node = path + action;
      const taken = policy.probability(row, column);
      const reward = pay.step(node);
      const at = { state: path, node, action, row, column, probability: taken, entropy, squares };
      const choice = { ...at, reward, paid, expected: expected(path) };
      yield* walk(node, probability * taken, [...choices, choice], paid + reward);
    }
  }

  for (const { probability, choices, total } of trajectories) {
    for (const { row, column } of choices) policy.accumulate(row, column, probability * total);
  }
  const gradient = Float64Array.from(policy.gradient);
  policy.ascend(0);
  const { scale = 1, shift = 0, potential } = change;
  const moved = shift - (potential?.of("") ?? 0);
  const unchanged = (value: number) => (value - moved) / scale;
  return { task, layout, policy, trajectories, gradient, expected, unchanged, hindsight: hindsightOf(trajectories) };
}

function hindsightOf(trajectories: readonly Trajectory[]): Solved["hindsight"] {
  const mass = (prefix: string, total: number) =>
    trajectories.reduce(
      (sum, one) => (one.path.startsWith(prefix) && Math.abs(one.total - total) < 1e-12 ? sum + one.probability : sum),
      0,
    );
  return ({ state, node }, total) => mass(node, total) / mass(state, total);
}

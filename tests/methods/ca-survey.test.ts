import fc from "fast-check";
import { expect, test } from "vitest";
import { assign } from "../../src/methods/assign.ts";
import {
  bifurcationCredit,
  bifurcationSolve,
  creditScores,
  reportingChecklist,
  selectMethod,
  surveyInventory,
} from "../../src/methods/survey/ca-survey.ts";
import { checklist } from "../../src/methods/survey/checklist.ts";
import { allHits, questions, selectionTree, type Tree } from "../../src/methods/survey/selection.ts";
import { batchFromObjects, InputError } from "../../src/rollouts/index.ts";

const share = fc.double({ min: 0, max: 1, noNaN: true });
const K = 3;
const step = fc.record({
  kind: fc.constantFrom("neutral" as const, "gate" as const, "repair" as const),
  correct: fc.uniqueArray(fc.integer({ min: 0, max: K - 1 })),
  rho: share,
  slip: share,
});
const task = fc.record({
  actions: fc.constant(K),
  p_on: share,
  p_off: share,
  steps: fc.array(step, { minLength: 1, maxLength: 4 }),
});
type Task = typeof task extends fc.Arbitrary<infer T> ? T : never;

const row = fc
  .array(fc.double({ min: 0.01, max: 1, noNaN: true }), { minLength: K, maxLength: K })
  .map((weights) => weights.map((w) => w / weights.reduce((sum, x) => sum + x, 0)));

/** Expected outcome by going through every way an episode can go, told straight from the rules. */
function bruteValue({ steps, p_on, p_off }: Task, policy: number[][][], t: number, m: number): number {
  if (t === steps.length) return m === 0 ? p_on : p_off;
  return policy[t][m].reduce(
    (sum, p, a) => sum + p * bruteAction({ actions: K, steps, p_on, p_off }, policy, t, m, a),
    0,
  );
}
function bruteAction(given: Task, policy: number[][][], t: number, m: number, a: number): number {
  const { kind, correct, rho, slip } = given.steps[t];
  const right = correct.includes(a);
  const outcomes: [probability: number, next: number][] = [];
  if (kind === "neutral") outcomes.push([1, m]);
  else if (kind === "gate") outcomes.push([1, m === 0 && right ? 0 : 1]);
  else if (m === 0) outcomes.push([1, 0]);
  else if (right) outcomes.push([rho, 0], [1 - rho, 1]);
  else outcomes.push([1, 1]);
  const after = (next: number) => bruteValue(given, policy, t + 1, next);
  return outcomes.reduce(
    (sum, [p, next]) => sum + p * (next === 0 ? (1 - slip) * after(0) + slip * after(1) : after(1)),
    0,
  );
}

const taskAndPolicy = task.chain((one) =>
  fc.tuple(
    fc.constant(one),
    fc.array(fc.tuple(row, row), { minLength: one.steps.length, maxLength: one.steps.length }),
  ),
);

test("values, advantages and criticality are those of going through every episode", () => {
  fc.assert(
    fc.property(taskAndPolicy, ([given, policy]) => {
      const { V, Q, A, criticality } = bifurcationSolve({ task: given, policy });
      expect(V.length).toBe(given.steps.length + 1);
      given.steps.forEach((_, t) => {
        for (const m of [0, 1]) {
          const brute = [0, 1, 2].map((a) => bruteAction(given, policy, t, m, a));
          brute.forEach((q, a) => {
            expect(Q[t][m][a]).toBeCloseTo(q, 12);
            expect(A[t][m][a]).toBeCloseTo(q - bruteValue(given, policy, t, m), 12);
          });
          expect(criticality[t][m]).toBeCloseTo(Math.max(...brute) - Math.min(...brute), 12);
        }
      });
    }),
    { numRuns: 60 },
  );
});

test("a policy per step is one that does not look at the status, and none is the uniform one", () => {
  fc.assert(
    fc.property(task, row, (given, one) => {
      const twice = given.steps.map(() => [one, one]);
      const once = given.steps.map(() => one);
      expect(bifurcationSolve({ task: given, policy: once })).toEqual(bifurcationSolve({ task: given, policy: twice }));
      const uniform = given.steps.map(() => [1 / K, 1 / K, 1 / K]);
      expect(bifurcationSolve({ task: given })).toEqual(bifurcationSolve({ task: given, policy: uniform }));
    }),
    { numRuns: 30 },
  );
});

test("credit, luck and residual add up to the outcome, whatever happened", () => {
  const trajectory = fc.record({
    actions: fc.array(fc.integer({ min: 0, max: K - 1 }), { minLength: 4, maxLength: 4 }),
    status: fc.array(fc.constantFrom(0 as const, 1 as const), { minLength: 5, maxLength: 5 }),
    reward: fc.double({ min: -5, max: 5, noNaN: true }),
  });
  fc.assert(
    fc.property(taskAndPolicy, trajectory, ([given, policy], { actions, status, reward }) => {
      const n = given.steps.length;
      const one = { actions: actions.slice(0, n), status: status.slice(0, n + 1), reward };
      const [credit] = bifurcationCredit({ task: given, policy, trajectories: [one] });
      expect(credit.check).toBeCloseTo(reward, 12);
      const { A } = bifurcationSolve({ task: given, policy });
      expect(credit.advantage).toEqual(one.actions.map((a, t) => A[t][one.status[t]][a]));
    }),
    { numRuns: 60 },
  );
});

test("no steps are no credit, and a task without a bifurcation gives none", () => {
  const empty = { actions: 2, steps: [] };
  expect(bifurcationSolve({ task: empty })).toEqual({ V: [[0.95, 0.05]], Q: [], A: [], criticality: [] });
  const [none] = bifurcationCredit({ task: empty, trajectories: [{ actions: [], status: [0], reward: 1 }] });
  expect(none.advantage).toEqual([]);
  expect(none.check).toBeCloseTo(1, 12);
  const flat = { actions: 2, steps: [{ kind: "neutral" as const }, { kind: "neutral" as const }] };
  const { A } = bifurcationSolve({ task: flat });
  expect(A.flat(2).every((a) => a === 0)).toBe(true);
  expect(creditScores({ estimate: [[1, 2]], truth: A.map((at) => at[0]).slice(0, 1) })).toMatchObject({
    pearson: 0,
    signAccuracy: null,
    topRecall: null,
    pivotalMass: null,
  });
});

test("what is not a task, a policy or a trajectory of it is refused", () => {
  const good = { actions: 2, steps: [{ kind: "gate" as const, correct: [1] }] };
  const solve = (args: unknown) => () => bifurcationSolve(args as Parameters<typeof bifurcationSolve>[0]);
  expect(solve({ task: { ...good, steps: [{ kind: "fork" }] } })).toThrow(/steps\.0\.kind/);
  expect(solve({ task: { ...good, steps: [{ kind: "gate", correct: [2] }] } })).toThrow(/correct\.0/);
  expect(solve({ task: { ...good, steps: [{ kind: "gate" }] } })).toThrow(/correct/);
  expect(solve({ task: { ...good, p_on: Number.NaN } })).toThrow(/p_on/);
  expect(solve({ task: good, policy: [[0.5, 0.6]] })).toThrow(/policy\.0 does not sum to 1/);
  expect(solve({ task: good, policy: [[[0.5, 0.5]]] })).toThrow(/policy\.0/);
  const credit = (trajectory: object) => () =>
    bifurcationCredit({ task: good, trajectories: [{ actions: [0], status: [0, 1], reward: 0, ...trajectory }] });
  expect(credit({})).not.toThrow();
  expect(credit({ status: [0] })).toThrow(/status/);
  expect(credit({ actions: [2] })).toThrow(/actions\.0/);
  expect(credit({ actions: [] })).toThrow(/actions/);
  expect(credit({ reward: Number.NaN })).toThrow(InputError);
  expect(() => creditScores({ estimate: [[1]], truth: [[1, 2]] })).toThrow(/truth\.0/);
});

test("the truth scores itself best, and its opposite worst", () => {
  const truth = [
    [0, 0.375, 0, 0],
    [0, -0.375, 0.25, 0],
  ];
  const self = creditScores({ estimate: truth, truth });
  expect(self).toEqual({ pearson: 1, spearman: 1, signAccuracy: 1, topRecall: 1, pivotalMass: 1, mse: 0 });
  const against = creditScores({ estimate: truth.map((list) => list.map((x) => -x)), truth });
  expect([against.signAccuracy, against.topRecall, against.pivotalMass]).toEqual([0, 1, 1]);
  expect(against.pearson).toBeCloseTo(-1, 12);
  const huge = creditScores({ estimate: [[1e200, 0, -1e200]], truth: [[1, 0, -1]] });
  expect(Object.values(huge).every(Number.isFinite)).toBe(true);
  expect(creditScores({ estimate: [[0, 0]], truth: [[0, 1]] })).toMatchObject({ topRecall: 0, pivotalMass: 0 });
  expect(creditScores({ estimate: [], truth: [] }).mse).toBe(0);
});

test("the episode-level baseline sums to zero in every group", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.integer({ min: -3, max: 3 }), fc.constantFrom("a", "b")), { minLength: 1 }),
      (all) => {
        const rollouts = all.map(([reward, group], k) => ({ id: `${k}`, group, reward }));
        const advantage = assign(batchFromObjects(rollouts), "ca-survey").numbers("rollout.advantage");
        for (const name of ["a", "b"]) {
          const own = rollouts.flatMap(({ group }, k) => (group === name ? [k] : []));
          const mean = own.reduce((sum, k) => sum + rollouts[k].reward, 0) / own.length;
          for (const k of own) expect(advantage[k]).toBeCloseTo(rollouts[k].reward - mean, 12);
        }
      },
    ),
    { numRuns: 30 },
  );
});

test("every arXiv id of the inventory stands there once", () => {
  const ids = surveyInventory().map(({ arxiv }) => arxiv);
  expect(new Set(ids).size).toBe(47);
  for (const id of ids) expect(id).toMatch(/^\d{4}\.\d{5}$/);
});

/** All questions of a tree. */
function asked({ branches }: Tree): string[] {
  return branches.flatMap(({ ask, yes }) => [ask, ...("branches" in yes ? asked(yes) : [])]);
}

test("the tree stops at its first hit and tells its way", () => {
  expect(selectMethod({ features: { multi_agent: true, heterogeneous_agents: true } })).toEqual({
    recommend: ["dr-mas", "m-grpo"],
    path: [
      ["multi_agent", true],
      ["dynamic_team", false],
      ["replay_with_agent_removed", false],
      ["heterogeneous_agents", true],
    ],
  });
  const restored = selectMethod({ features: { resettable: true, gold_answer: true } });
  expect(restored.recommend).toEqual(["igpo"]);
  expect(restored.path.slice(-3)).toEqual([
    ["resettable", true],
    ["rollout_budget", false],
    ["gold_answer", true],
  ]);
  expect(selectMethod({ features: {} }).recommend).toEqual(["turn-ppo", "agentprm"]);
  expect(selectMethod({ features: { single_turn: true } }).recommend).toEqual(["spro", "hicra"]);
  expect(new Set(asked(selectionTree))).toEqual(new Set(Object.keys(questions)));
});

test("the first of all hits is the hit of the walk", () => {
  const features = fc.record(Object.fromEntries(Object.keys(questions).map((name) => [name, fc.boolean()])));
  fc.assert(
    fc.property(features, (given) => {
      expect(allHits(given)[0].recommend).toEqual(selectMethod({ features: given }).recommend);
    }),
  );
});

test("an item says something unless it is empty or false", () => {
  const full = Object.fromEntries(checklist.map(({ id }) => [id, 0]));
  expect(reportingChecklist({ report: full })).toEqual({ score: 1, missing: [] });
  for (const nothing of [null, "", [], {}, false, undefined]) {
    expect(reportingChecklist({ report: { ...full, seeds: nothing } }).missing).toEqual(["seeds"]);
  }
  expect(reportingChecklist({ report: {} }).score).toBe(0);
  expect(() => reportingChecklist({ report: [] as never })).toThrow(InputError);
});

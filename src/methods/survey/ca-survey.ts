import { z } from "zod";
import {
  type BifurcationTask,
  bifurcationValues,
  criticalities,
  episodeCredit,
  stepKinds,
} from "../../mechanisms/bifurcation.ts";
import { type CreditScores, scoreCredit } from "../../mechanisms/credit-scores.ts";
import { groupCredit } from "../../operators/group-credit.ts";
import { knownOutcomes } from "../../operators/outcome.ts";
import { type Batch, InputError } from "../../rollouts/index.ts";
import { bit, functionArgs, numberList, numberRows, probability, sameLength } from "../arguments.ts";
import { nestedOf, requireDistribution, requireLength } from "../mechanism/tensors.ts";
import { defineMethod } from "../method.ts";
import { checklist, missingItems } from "./checklist.ts";
import { surveyInventory as inventory, type SurveyMethod } from "./inventory.ts";
import { type Feature, walk } from "./selection.ts";

const params = z.object({
  method: z.enum(["episode"]).default("episode").describe("the baseline: one number per episode (equation 2)"),
});

/**
 * The survey's episode-level baseline (equation 2): A_i = R_i − mean of the group, not divided by anything, the same for
 * every policy token. A rollout that is alone in its group gets 0.
 */
function assign(batch: Batch): Batch {
  return batch.with(groupCredit(batch, knownOutcomes(batch), { normByStd: false }));
}

const stepArgs = z
  .object({
    kind: z.enum(stepKinds),
    correct: z.array(z.int().min(0)).optional(),
    rho: probability.optional(),
    slip: probability.optional(),
  })
  .refine(({ kind, correct }) => kind === "neutral" || correct !== undefined, "a gate or repair with a list `correct`");

const taskArgs = z.object({
  actions: z.int().min(2).default(2),
  p_on: probability.default(0.95),
  p_off: probability.default(0.05),
  /** For steps that do not say. */
  rho: probability.default(1),
  slip: probability.default(0),
  steps: z.array(stepArgs),
});

const policyArgs = z
  .array(z.union([numberList, numberRows]))
  .nullable()
  .default(null);
const solveArgs = z.object({ task: taskArgs, policy: policyArgs });

/** Actions of all steps together: more than this do not fit in memory. */
const mostCells = 10_000_000;

function taskOf({ actions, p_on, p_off, rho, slip, steps }: z.output<typeof taskArgs>): BifurcationTask {
  if (actions * steps.length > mostCells) {
    const expected = `at most ${Math.floor(mostCells / steps.length)} with ${steps.length} steps`;
    throw new InputError("argument task.actions not valid", { expected, got: `${actions}` });
  }
  const built = steps.map((step, t) => {
    const { correct = [] } = step;
    const wrong = correct.findIndex((a) => a >= actions);
    if (wrong >= 0) {
      const name = `argument task.steps.${t}.correct.${wrong}`;
      throw new InputError(`${name} not valid`, { expected: `an action below ${actions}`, got: `${correct[wrong]}` });
    }
    return { kind: step.kind, correct, rho: step.rho ?? rho, slip: step.slip ?? slip };
  });
  return { actions, pOn: p_on, pOff: p_off, steps: built };
}

/** A policy [t][a] or [t][m][a] as one array [(2 t + m) K + a]. */
function policyOf(policy: z.output<typeof policyArgs>, task: BifurcationTask): Float64Array | null {
  if (policy === null) return null;
  const { actions, steps } = task;
  requireLength(policy, steps.length, "policy");
  const out = new Float64Array(2 * steps.length * actions);
  policy.forEach((entry, t) => {
    const nested = entry.some(Array.isArray);
    const rows = (nested ? entry : [entry, entry]) as number[][];
    if (nested) requireLength(rows, 2, `policy.${t}`);
    rows.forEach((row, m) => {
      requireDistribution(row, actions, nested ? `policy.${t}.${m}` : `policy.${t}`);
      out.set(row, (2 * t + m) * actions);
    });
  });
  return out;
}

const pairsOf = (values: Float64Array) =>
  Array.from({ length: values.length / 2 }, (_, t) => [...values.subarray(2 * t, 2 * t + 2)]);

/**
 * Exact values of a bifurcation task (section 6, rebuilt): steps that do nothing (`neutral`), may lose the track (`gate`)
 * or win it back (`repair`); R ~ Bernoulli(p_on) on track at the end, else Bernoulli(p_off).
 * V_H = (p_on, p_off), Q_t(m,a) = p V_{t+1}(0) + (1 − p) V_{t+1}(1) with p the probability of being on track next,
 * V_t = Σ_a π Q_t, A = Q − V, criticality = max_a Q − min_a Q. Status m: 0 on track, 1 off track. O(H K).
 * `policy`: null (uniform), [t][a] or [t][m][a]. `slip` and `rho` of the task stand for steps that do not say.
 * @throws InputError: unknown kind, action out of range, a row of the policy that does not sum to 1 within 1e-6.
 */
export function bifurcationSolve(args: z.input<typeof solveArgs>): {
  V: number[][];
  Q: number[][][];
  A: number[][][];
  criticality: number[][];
} {
  const given = functionArgs(solveArgs, args);
  const task = taskOf(given.task);
  const solved = bifurcationValues(task, policyOf(given.policy, task));
  const { values, actionValues } = solved;
  const shape = [task.steps.length, 2, task.actions];
  const advantages = actionValues.map((q, k) => q - values[Math.floor(k / task.actions)]);
  return {
    V: pairsOf(values),
    Q: nestedOf(actionValues, shape),
    A: nestedOf(advantages, shape),
    criticality: pairsOf(criticalities(solved)),
  };
}

const creditArgs = solveArgs.extend({
  trajectories: z.array(z.object({ actions: z.array(z.int().min(0)), status: z.array(bit), reward: z.number() })),
});

/**
 * Exact credit of trajectories under the policy: advantage_t = A_t(m_t, a_t), luck_t = V_{t+1}(m_{t+1}) − Q_t(m_t, a_t),
 * residual = R − V_H(m_H), and check = V_0 + Σ advantage + Σ luck + residual, which is R again.
 * @throws InputError: actions that are not H or out of range, statuses that are not H + 1.
 */
export function bifurcationCredit(
  args: z.input<typeof creditArgs>,
): { advantage: number[]; luck: number[]; residual: number; check: number }[] {
  const given = functionArgs(creditArgs, args);
  const task = taskOf(given.task);
  const solved = bifurcationValues(task, policyOf(given.policy, task));
  return given.trajectories.map((episode, i) => {
    const name = `trajectories.${i}`;
    requireLength(episode.actions, task.steps.length, `${name}.actions`);
    requireLength(episode.status, task.steps.length + 1, `${name}.status`);
    const wrong = episode.actions.findIndex((a) => a >= task.actions);
    if (wrong >= 0) {
      const got = `${episode.actions[wrong]}`;
      throw new InputError(`argument ${name}.actions.${wrong} not valid`, {
        expected: `an action below ${task.actions}`,
        got,
      });
    }
    const { advantage, luck, residual, check } = episodeCredit(solved, task.actions, episode);
    return { advantage: [...advantage], luck: [...luck], residual, check };
  });
}

const scoreArgs = z.object({
  estimate: numberRows,
  truth: numberRows,
  pivotal_eps: z.number().positive().default(1e-6),
});

/**
 * How good estimated credit is, one list per trajectory: Pearson and Spearman over all steps (0 where a side is constant),
 * mean squared error; on pivotal steps (|truth| > pivotal_eps) the share of right signs; per trajectory with k of them
 * the share of the k largest |estimate| that are pivotal, and the share of Σ |estimate| on them, averaged (null if none).
 * @throws InputError: lists that do not belong together.
 */
export function creditScores(args: z.input<typeof scoreArgs>): CreditScores {
  const { estimate, truth, pivotal_eps } = functionArgs(scoreArgs, args);
  sameLength({ estimate, truth });
  estimate.forEach((list, i) => {
    sameLength({ [`estimate.${i}`]: list, [`truth.${i}`]: truth[i] });
  });
  return scoreCredit(estimate, truth, pivotal_eps);
}

function counts(key: (one: SurveyMethod) => string): Record<string, number> {
  const out: Record<string, number> = {};
  for (const one of inventory) out[key(one)] = (out[key(one)] ?? 0) + 1;
  return out;
}

/** The survey's inventory: 47 methods with arXiv id, granularity and regime. */
export function surveyInventory(_args: Record<string, never> = {}): SurveyMethod[] {
  return inventory.map((one) => ({ ...one }));
}

/** How many methods the inventory holds, in all, in its core, and by granularity and regime. */
export function surveyInventoryCounts(_args: Record<string, never> = {}): {
  total: number;
  core: number;
  granularity: Record<string, number>;
  regime: Record<string, number>;
} {
  return {
    total: inventory.length,
    core: inventory.filter(({ core }) => core).length,
    granularity: counts(({ granularity }) => granularity),
    regime: counts(({ regime }) => regime),
  };
}

const featureArgs = z.object({ features: z.record(z.string(), z.boolean().nullable()).default({}) });

/**
 * Methods that suit a task, by the decision tree, with the questions asked on the way and their answers. It stops at the
 * first hit; a feature that is missing or null counts as false, and one that no question asks for is not looked at.
 */
export function selectMethod(args: { features?: Readonly<Record<string, boolean | null>> }): {
  recommend: string[];
  path: [Feature, boolean][];
} {
  const { features } = functionArgs(featureArgs, args);
  const { leaf, path } = walk((feature) => Object.hasOwn(features, feature) && features[feature] === true);
  return { recommend: [...(leaf?.recommend ?? [])], path: path.map(([feature, said]) => [feature, said]) };
}

const reportArgs = z.object({ report: z.record(z.string(), z.unknown()) });

/**
 * What the report of a study lacks, by the reporting checklist of 15 items: absent, null, "", [], {} or false.
 * score = share of the items that are there.
 */
export function reportingChecklist(args: z.input<typeof reportArgs>): { score: number; missing: string[] } {
  const missing = missingItems(functionArgs(reportArgs, args).report);
  return { score: (checklist.length - missing.length) / checklist.length, missing: missing.map(({ id }) => id) };
}

export const caSurvey = defineMethod({
  id: "ca-survey",
  title: "Survey of credit assignment: inventory, exact tasks, scores and checklist",
  summary:
    "The episode-level baseline of the survey, with its inventory of 47 methods, tasks whose credit is known exactly, scores of credit against that truth, a tree that picks methods and a reporting checklist.",
  facts: {
    paper: {
      title: "From Reasoning to Agentic: Credit Assignment in Reinforcement Learning for Large Language Models",
      arxiv: "2604.09459",
      date: "2026-04",
      repo: "xxzcc/Awesome-Credit-Assignment-in-LLM-RL",
    },
    headline:
      "Reasoning methods settle on process reward models and groups without a critic, agentic ones on looking back, privileged critics and turns; of 41 core methods none reports GPU hours and 2 report a spread.",
    granularity: "rollout",
    methodology: ["survey", "monte-carlo"],
    checked: "there is no official code; the identity of the exact credit holds to 1e-12",
    reconstructed: ["the family of tasks", "the scores", "the decision tree", "the items of the checklist"],
  },
  equations: [
    { text: "A_i = R_i − mean of the group", tex: "A_i = R_i - \\bar R_g" },
    {
      text: "Q_t(m,a) = p V_{t+1}(0) + (1 − p) V_{t+1}(1)",
      tex: "Q_t(m,a) = p\\,V_{t+1}(0) + (1-p)\\,V_{t+1}(1)",
    },
    {
      text: "R = V_0 + Σ_t A_t + Σ_t luck_t + residual",
      tex: "R = V_0 + \\sum_t A_t + \\sum_t \\ell_t + \\varepsilon",
    },
  ],
  params,
  reads: ["rollout.reward", "group?", "tokens.mask?"],
  writes: ["rollout.advantage", "tokens.advantage"],
  scope: "group",
  functions: {
    bifurcationSolve,
    bifurcationCredit,
    creditScores,
    surveyInventory,
    surveyInventoryCounts,
    selectMethod,
    reportingChecklist,
  },
  assign,
});

/** One thing that a study of credit assignment should say. */
export interface ChecklistItem {
  id: string;
  /** What to write, in words. */
  what: string;
  /** What a reader cannot judge without it. */
  why: string;
  /** An example of an entry, as YAML. */
  example: string;
}

/** The reporting checklist, in order. */
export const checklist: readonly ChecklistItem[] = [
  {
    id: "granularity",
    what: "the unit that gets credit: token, segment, step, turn or agent",
    why: "methods on different units answer different questions and cannot be ranked against each other",
    example: "turn",
  },
  {
    id: "methodology",
    what: "where the credit comes from: Monte Carlo, temporal difference, a judge, game theory, information",
    why: "it says which errors to expect: variance, bias of a critic, or taste of a judge",
    example: "monte-carlo",
  },
  {
    id: "estimand",
    what: "the quantity that the credit estimates, as a formula",
    why: "without it nobody can tell a wrong estimate from an estimate of something else",
    example: "A_t = Q(s_t, a_t) - V(s_t) under the current policy",
  },
  {
    id: "baseline_family",
    what: "the methods it is compared with, an episode-level one among them",
    why: "a gain over a weak baseline says nothing about credit assignment",
    example: "[grpo, rloo]",
  },
  {
    id: "auxiliary_models",
    what: "models used besides the policy (critic, reward model, judge), with their sizes; `none` if there are none",
    why: "what a larger model contributes is not a merit of the rule",
    example: "none",
  },
  {
    id: "reward_source",
    what: "where the outcome reward comes from, and how often it is wrong",
    why: "errors of the verifier show up as credit",
    example: "unit tests, 2 % false positives in a sample of 200",
  },
  {
    id: "seeds",
    what: "the random seeds of training, or how many",
    why: "the spread between seeds is often as large as the gain",
    example: "[1, 2, 3, 4, 5]",
  },
  {
    id: "variance_or_ci",
    what: "a standard deviation or confidence interval of every headline number",
    why: "2 of the 41 methods of the survey report one, so most gains cannot be told from noise",
    example: "95 % bootstrap over seeds, ± 1.2 points",
  },
  {
    id: "gpu_hours",
    what: "GPU hours of training, with the kind of GPU",
    why: "none of the 41 methods of the survey reports them, so nobody knows what a gain costs",
    example: "{ h100: 310 }",
  },
  {
    id: "compute_controlled_baseline",
    what: "a baseline given the same compute, for example more rollouts per prompt",
    why: "extra rollouts or judge calls help a plain method too; none of the 41 methods of the survey controls for them",
    example: "grpo with 24 rollouts per prompt instead of 8, the same GPU hours",
  },
  {
    id: "token_budget",
    what: "tokens sampled in training, continuations and judge calls included",
    why: "it makes runs on different machines comparable",
    example: "{ policy: 1.4e9, judge: 2.1e8 }",
  },
  {
    id: "horizon_statistics",
    what: "turns and tokens per rollout: median and a high quantile",
    why: "the credit of one action drowns as episodes get longer, so a result holds for its horizon only",
    example: "{ turns_median: 9, turns_p95: 31, tokens_median: 4200 }",
  },
  {
    id: "hyperparameters",
    what: "all parameters of the rule and of training, and how they were chosen",
    why: "without them the run cannot be repeated, and tuning may explain the gain",
    example: "{ gamma: 0.95, learning_rate: 1.0e-6, chosen_on: validation }",
  },
  {
    id: "code",
    what: "where the code is, with a commit",
    why: "papers and their code often differ in what they compute",
    example: "https://example.org/repository, commit 1a2b3c4",
  },
  {
    id: "failure_analysis",
    what: "cases in which the credit was wrong, and what it did to the policy",
    why: "it shows where the method must not be used",
    example: "credit goes to the last tool call when two calls are both needed (12 of 50 rollouts)",
  },
];

/** Whether a field says nothing: absent, null, "", false, an empty list or an empty object. */
function isMissing(value: unknown): boolean {
  if (value === undefined || value === null || value === false || value === "") return true;
  return typeof value === "object" && Object.keys(value).length === 0;
}

/** Items that a report lacks, in the order of the list. */
export function missingItems(report: Readonly<Record<string, unknown>>): ChecklistItem[] {
  return checklist.filter(({ id }) => !Object.hasOwn(report, id) || isMissing(report[id]));
}

/** What single methods need that does not follow from the columns they declare. */
export interface Special {
  /** Columns to choose where several would do; may depend on the parameters. */
  use?: readonly string[] | ((params: Readonly<Record<string, unknown>>) => readonly string[]);
  /** Columns to leave out, which only other parameters read. */
  skip?: readonly string[];
  /** Optional columns to feed as well. */
  also?: readonly string[];
  /** Channels of the reward to feed for `rewards.*`. */
  channels?: readonly string[];
  /** Parameters that have no default. */
  params?: Readonly<Record<string, unknown>>;
  /** What the method maximises, where it is not the mean of the rewards: the best reward of a group. */
  seeks?: "best";
  /** What explains a bias that is found. */
  bias?: string;
  /** Why none of the laws applies. */
  none?: string;
}

const labels = "it labels or ranks steps and rollouts; nothing of what it writes is a credit to train on";
const pairs = "it compares rollouts in pairs; nothing of what it writes is a credit to train on";
const domain = (what: string) => `its columns describe ${what}, which no task here has`;

export const specials: Readonly<Record<string, Special>> = {
  a2tgpo: { also: ["signals.gt_logprob_0"] },
  calm: { also: ["turns.subgoal_1"] },
  "carl-driving": { none: domain("a drive (route, speed, collisions)") },
  "clip-delta": { also: ["rollout.reward"] },
  "co-reward": {
    none: "its reward is agreement with rephrased prompts: no outcome is read, and no task here has pairs",
  },
  counterfactual: {
    bias: "it is made for siblings sampled on purpose; of rollouts that happen to meet, few turns have any",
  },
  "ctrl-u": { channels: ["rewards.primary", "rewards.auxiliary"] },
  decs: { params: { max_len: 16 } },
  dno: { none: pairs },
  "dr-mas": { use: ["rollout.reward"], also: ["turns.agent"] },
  "duration-aware": { use: ["rollout.reward"] },
  "early-rejection": { none: labels },
  "entropy-critical": { use: ["rollout.reward"] },
  euphonium: { use: ["rollout.reward"] },
  "fl-gfn": { none: "it writes residuals and a loss of flows, not a credit" },
  "grounded-prm": { none: labels },
  "likelihood-rewards": { skip: ["rollout.reward"] },
  "grpo-passk": { seeks: "best" },
  hindsight: { bias: "it needs every action to be able to lead to every return, which no choice here is" },
  "hiring-agents": { none: domain("contracts: effort, report and state of the world") },
  igpo: { also: ["signals.gt_logprob_0"] },
  int: { none: "it says which tokens to imitate (weights); it writes no credit" },
  lare: { none: domain("latent rewards of a language model's own code") },
  matchtir: { use: ["turns.reward"], also: ["rollout.reward"] },
  ofs: { none: "it accepts or rejects rollouts; it writes no credit" },
  "omega-prm": { none: labels },
  oni: { none: domain("messages of a game that a model has labelled") },
  "orchestration-traces": { also: ["turns.agent", "turns.role"] },
  par: { also: ["signals.ref_reward_1"] },
  prime: { also: ["rollout.reward"], use: ["tokens.ref_logprob"] },
  pure: { also: ["rollout.reward"] },
  "reinforce-pp": { use: ({ baseline }) => (baseline === "group_mean" ? ["rollout.reward"] : []) },
  "rest-mcts": { none: labels },
  scir: { none: pairs },
  shapley: { use: ["turns.reward_without"], also: ["turns.agent"] },
  "soar-teacher": { none: domain("problem sets that a teacher wrote") },
  "sotopia-rl": {
    channels: ["rewards.goal", "rewards.relationship", "rewards.knowledge"],
    also: ["turns.agent", "turns.attribution_goal", "turns.attribution_relationship", "turns.attribution_knowledge"],
  },
  "stochastic-matching": { none: domain("dispatching to workers of known skill") },
  "t-reg": { none: "it writes rewards for pairs of preferred and rejected responses, not a credit" },
};

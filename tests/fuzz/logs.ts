// One small, well-formed log for every importer: what the fuzz starts from.
const said = (role: string, content: unknown, more: object = {}) => ({ role, content, ...more });
const call = { id: "c", type: "function", function: { name: "look", arguments: '{"x":1}' } };
const talk = [
  said("system", "rules"),
  said("user", "where?"),
  said("assistant", null, { tool_calls: [call], reasoning_content: "hm" }),
  said("tool", "there", { tool_call_id: "c", name: "look" }),
  said("assistant", [{ type: "text", text: "over there" }], { function_call: { name: "end", arguments: "" } }),
];

const openai = {
  id: "a",
  task_id: 3,
  reward: 1,
  messages: talk,
  rewards: { format: 0.5 },
  seconds: 2,
  metadata: { split: "train" },
};

const tauBench = {
  task_id: 4,
  trial: 0,
  reward: 1,
  info: {
    task: { user_id: "u", instruction: "buy", actions: [{ name: "buy", kwargs: { id: 1 } }], outputs: ["9"] },
    reward_info: { reward: 1, info: { r_actions: 1, r_outputs: 0 } },
    user_cost: 0.1,
  },
  traj: talk,
};

const tau2 = {
  tasks: [{ id: "12", evaluation_criteria: { actions: [{ name: "look", arguments: {}, requestor: "assistant" }] } }],
  simulations: [
    {
      id: "s",
      task_id: "12",
      trial: 2,
      duration: 3.5,
      termination_reason: "user_stop",
      reward_info: { reward: 1, reward_breakdown: { DB: 1 }, action_checks: [{ action: { name: "look" } }] },
      messages: talk,
    },
  ],
};

const whoAndWhen = {
  is_correct: false,
  question: "where?",
  question_ID: "q-1",
  ground_truth: "here",
  history: [
    { role: "human", content: "where?" },
    { role: "Orchestrator (thought)", content: "hm" },
    { name: "Expert", role: "user", content: "there" },
  ],
  mistake_agent: "Expert",
  mistake_step: "2",
};

const gsm8k = {
  question: "3 apples and 4 pears?",
  ground_truth: "3+4=<<3+4=7>>7\nA: 7",
  small: { is_correct: true, solution: "3+4 = <<3+4=7>>7 fruits\n\nA: 7" },
  large: { is_correct: false, solution: "3*4 = 12\n#### 12" },
};

const atif = {
  schema_version: "ATIF-v1.4",
  trajectory_id: "t",
  agent: { name: "solver" },
  steps: [
    { step_id: 1, source: "user", message: "where?" },
    {
      step_id: 2,
      source: "agent",
      message: "look",
      reasoning_content: "hm",
      tool_calls: [{ tool_call_id: "c", function_name: "look", arguments: { x: 1 } }],
      observation: { results: [{ source_call_id: "c", content: "there" }] },
      metrics: { prompt_token_ids: [1, 2], completion_token_ids: [3, 4], logprobs: [-0.5, -1] },
    },
    {
      step_id: 3,
      source: "agent",
      message: "there",
      metrics: { prompt_token_ids: [1, 2, 3, 4, 5], completion_token_ids: [6], logprobs: [-2] },
    },
  ],
  final_metrics: { total_cost_usd: 0.1, total_prompt_tokens: 7 },
};

const node = (parent: number | null, sampled: boolean, message: unknown, ids: number[], more: object = {}) => ({
  parent,
  sampled,
  message,
  token_ids: ids,
  mask: ids.map((_, k) => sampled && k > 0),
  ...more,
});

const verifiers = {
  id: "e",
  group: { id: "g" },
  task: { type: "T", data: { idx: 4 } },
  traces: [
    {
      id: "t-1",
      agent: { name: "solver" },
      rewards: { correct: { score: 1, weight: 2 }, broken: null },
      metrics: { turns: 2 },
      nodes: [
        node(null, false, talk[1], [1, 2]),
        node(0, true, talk[2], [9, 3], { logprobs: [-0.5], advantages: [0.1] }),
        node(1, false, talk[3], [5]),
        node(1, true, said("assistant", "end"), [9, 6], { logprobs: [-1] }),
      ],
    },
  ],
};

const trl = {
  step: 5,
  prompt: [talk[1]],
  completion: [said("assistant", "it is 4")],
  accuracy_reward: 1,
  advantage: 1,
};
const verl = { input: "2+2?", output: "4", gts: "4", score: 1, step: 10, acc: true, uid: "u", pred: "4" };

/** Records by the id of their importer. */
export const logs: Readonly<Record<string, readonly unknown[]>> = {
  atif: [atif],
  gsm8k: [gsm8k],
  openai: [openai, talk, { request: { messages: talk.slice(0, 2) }, response: { choices: [{ message: talk[2] }] } }],
  tau2: [tau2, { ...tau2.simulations[0] }],
  "tau-bench": [tauBench],
  trl: [trl, { prompt: "2+2?", completion: "4", reward: null, note: "x" }],
  verifiers: [
    verifiers,
    verifiers.traces[0],
    { example_id: 3, prompt: [talk[1]], completion: "x", reward: 1, metrics: { a: 1 } },
  ],
  verl: [verl],
  "who-and-when": [whoAndWhen],
};

// One synthetic batch with every column that a credit method reads: tool-using rollouts that share prefixes in their group.
import { Batch } from "../dist/index.js";
import { column, generator } from "./data.mjs";

const keys = { rollout: "rollout", turn: "turns", step: "steps", token: "tokens", reference: "reference" };
const tools = ["search", "lookup", "book", "cancel"];
const agents = ["planner", "solver", "checker"];
const events = ["spawn", "message", "tool_call", "tool_result", "orchestrator_decision", "return"];

/** Columns of a batch as they are made: `make` gets the number of the row. */
class Columns {
  all = new Map();
  #rows;

  constructor(rows) {
    this.#rows = rows;
  }

  #fill(Kind, path, level, make) {
    this.all.set(
      path,
      column(
        level,
        Kind.from({ length: this.#rows[level] }, (_, row) => make(row)),
      ),
    );
  }

  floats(level, columns) {
    for (const [name, make] of Object.entries(columns)) this.#fill(Float32Array, `${keys[level]}.${name}`, level, make);
  }

  bits(level, columns) {
    for (const [name, make] of Object.entries(columns)) this.#fill(Uint8Array, `${keys[level]}.${name}`, level, make);
  }

  /** Numbers of rollouts, under `rewards` or `signals`. */
  scalars(key, columns) {
    for (const [name, make] of Object.entries(columns)) this.#fill(Float64Array, `${key}.${name}`, "rollout", make);
  }

  cells(kind, level, columns) {
    for (const [path, make] of Object.entries(columns)) {
      const values = Array.from({ length: this.#rows[level] }, (_, row) => make(row));
      this.all.set(path, { kind, level, values, present: null });
    }
  }
}

/** Where tokens belong: ends of turns and steps inside their rollout, and the mask; three tokens in ten are observations. */
function layout({ rollouts, turns, tokens }, random) {
  const offsets = new Int32Array(rollouts + 1);
  const turnEnd = new Int32Array(rollouts * turns);
  const stepEnd = new Int32Array(2 * rollouts * turns);
  const observed = [];
  for (let row = 0; row < turnEnd.length; row++) {
    const i = Math.floor(row / turns);
    const from = row % turns === 0 ? 0 : turnEnd[row - 1];
    const length = Math.max(4, Math.round((tokens / turns) * (0.6 + 0.8 * random())));
    turnEnd[row] = from + length;
    stepEnd[2 * row] = from + Math.ceil(0.35 * length);
    stepEnd[2 * row + 1] = from + length;
    observed.push([offsets[i] + from + Math.ceil(0.7 * length), offsets[i] + from + length]);
    offsets[i + 1] = offsets[i] + from + length;
  }
  const mask = new Uint8Array(offsets[rollouts]).fill(1);
  for (const [from, to] of observed) mask.fill(0, from, to);
  return { offsets, turnEnd, stepEnd, mask };
}

/** The branch that a member of a group is on after this share of its turns: all on one, then pairs, then each alone. */
function branch(member, share) {
  if (share < 0.25) return "trunk";
  return share < 0.6 ? `pair ${member >> 1}` : `member ${member}`;
}

/** Ids that agree as long as members of a group are on the same branch. */
function tokenIds({ rollouts, group, tokens }, offsets) {
  const id = new Int32Array(offsets[rollouts]);
  for (let i = 0; i < rollouts; i++) {
    const member = i % group;
    const start = Math.floor(i / group) * 104729;
    for (let t = 0; t < offsets[i + 1] - offsets[i]; t++) {
      const share = t / tokens;
      const path = share < 0.25 ? 0 : share < 0.6 ? 1 + (member >> 1) : group + member;
      id[offsets[i] + t] = (Math.imul(t + 1, 7919) ^ Math.imul(path + 1, 31337 + start)) & 0x1ffff;
    }
  }
  return id;
}

function toolCalls(random, most) {
  return Array.from({ length: Math.floor(random() * (most + 1)) }, () => ({
    name: tools[Math.floor(random() * tools.length)],
    arguments: { user: `u${Math.floor(random() * 3)}`, item: Math.floor(random() * 5) },
  }));
}

function tokenColumns(columns, { uniform, logprob }, random) {
  columns.floats("token", {
    logprob,
    old_logprob: logprob,
    ref_logprob: logprob,
    prm_logprob: logprob,
    prm_ref_logprob: logprob,
    logprob_no_prompt: logprob,
    logprob_better: logprob,
    logprob_worse: logprob,
    hindsight_logprob: logprob,
    full_kl: uniform,
    sum_pi_squared: uniform,
    entropy: () => 3 * random(),
    value: uniform,
    mc_value: uniform,
    prm: uniform,
    flow_score: uniform,
    potential: uniform,
    return_prediction: uniform,
  });
  columns.bits("token", { planning: () => random() < 0.1 });
}

function turnColumns(columns, { uniform, coin, logprob, rating }, { turns, group, calls }, random) {
  columns.floats("turn", {
    reward: coin,
    aux_reward: uniform,
    bias_reward: uniform,
    reward_without: coin,
    value: uniform,
    value_low: uniform,
    value_high: uniform,
    value_term: uniform,
    q: uniform,
    q_value: uniform,
    logprob,
    gt_logprob: logprob,
    hindsight_logprob: logprob,
    entropy: uniform,
    potential: uniform,
    return_prediction: uniform,
    shapley: uniform,
    prm: uniform,
    judge_score: uniform,
    r_think: uniform,
    r_query: uniform,
    rm_score: uniform,
    helpful_prob: uniform,
    latent_0: uniform,
    latent_1: uniform,
    attribution_goal: rating,
    attribution_relationship: rating,
    attribution_knowledge: rating,
    duration_s: () => 1 + 9 * random(),
  });
  const rarely = () => random() < 0.1;
  columns.bits("turn", {
    switch: (row) => row % 4 === 0,
    success: coin,
    subgoal_door: rarely,
    subgoal_key: rarely,
  });
  const memberOf = (row) => Math.floor(row / turns) % group;
  columns.cells("string", "turn", {
    "turns.node": (row) => `${branch(memberOf(row), (row % turns) / turns)}, turn ${row % turns}`,
    "turns.state": (row) => `room ${Math.floor(random() * 12)} after ${(row % turns) >> 2}`,
    "turns.key": () => `door ${Math.floor(random() * 40)}`,
    "turns.action": () => tools[Math.floor(random() * tools.length)],
    "turns.message": () => `you see door ${Math.floor(random() * 40)}`,
    "turns.agent": (row) => agents[row % 3],
    "turns.role": (row) => ["orchestrator", "worker"][row % 2],
    "turns.event": (row) => events[row % events.length],
    "turns.to": (row) => (row % events.length === 0 ? `worker ${row % 5}` : null),
  });
  columns.cells("json", "turn", {
    "turns.tool_calls": () => toolCalls(random, calls),
    "turns.tests_passed": () => Array.from({ length: 10 }, coin),
    "turns.success_prob": () => Object.fromEntries(agents.map((agent) => [agent, random()])),
  });
}

function stepColumns(columns, { uniform, coin, logprob }, { turns, group }, random) {
  columns.floats("step", {
    reward: uniform,
    prm: uniform,
    value: uniform,
    pfr: uniform,
    potential: uniform,
    return_prediction: uniform,
    item_reward: uniform,
    mc_value: () => Math.floor(9 * random()) / 8,
    logprob,
    hindsight_logprob: logprob,
    log_pf: logprob,
    log_pb: logprob,
    log_flow: logprob,
    energy: uniform,
    speed: () => 15 * random(),
    speed_limit: () => 13,
    lane_distance: uniform,
    lane_width: () => 3.5,
    route_completion: (row) => (row % (2 * turns)) / (2 * turns),
  });
  columns.bits("step", {
    mc_correct: () => Math.floor(9 * random()),
    mc_total: () => 8,
    has_answer: () => random() < 0.1,
    valid: coin,
    verify: coin,
    critique_1: coin,
    critique_2: coin,
    critique_3: coin,
  });
  const memberOf = (row) => Math.floor(row / (2 * turns)) % group;
  columns.cells("string", "step", {
    "steps.node": (row) => {
      const k = row % (2 * turns);
      return `${branch(memberOf(row), (k >> 1) / turns)}, step ${k}`;
    },
  });
}

function rolloutColumns(columns, { uniform, coin, logprob }, { turns, group, gold }, random) {
  const all = (names, make) => Object.fromEntries(names.map((name) => [name, make]));
  const whole = (least, most) => () => least + Math.floor((most - least) * random());
  columns.scalars("rollout", { reward: coin });
  columns.scalars("rewards", {
    ...all(["accuracy", "format", "rubric", "preference", "task", "outcome", "rule", "execution", "syntax"], coin),
    ...all(["schema_linking", "ngram", "trajectory", "length", "model", "page", "primary", "auxiliary"], uniform),
    ...all(["goal", "relationship", "knowledge"], whole(0, 10)),
  });
  columns.scalars("signals", {
    ...all(["greedy_reward", "submitted"], coin),
    ...all(["rm_logit", "judge_score", "judge_prob", "score", "uncertainty", "consistency_loss"], uniform),
    ...all(["ref_reward_0", "ref_reward_1", "mc_value_0", "potential_final", "log_flow_final"], uniform),
    gt_logprob_0: logprob,
    cot_tokens: whole(100, 1100),
    timestep: whole(0, 1000),
    duration_s: () => 60 * random(),
    intervention_step: whole(0, 2 * turns),
    guided_successes: whole(0, 4),
    group_label: (i) => i % 2,
  });
  columns.cells("string", "rollout", {
    "signals.answer": () => String(Math.floor(4 * random())),
    "signals.pair": (i) => `p${Math.floor(i / (2 * group))}`,
  });
  columns.cells("json", "rollout", {
    meta: () => ({ gold_calls: Array.from({ length: gold }, () => toolCalls(random, 1)).flat() }),
  });
}

/**
 * A batch of `rollouts` rollouts in groups of `group`, of about `tokens` tokens in `turns` turns of two steps each. Turns
 * issue up to `calls` tool calls; about half of `gold` reference actions stand in `meta.gold_calls`.
 */
export function everything({ rollouts, group, tokens, turns, gold = 2 * turns, calls = 2, seed }) {
  const random = generator(seed);
  const shape = { rollouts, group, tokens, turns, gold, calls };
  const { offsets, turnEnd, stepEnd, mask } = layout(shape, random);
  const reference = 32;
  const regular = (count) => ({
    offsets: Int32Array.from({ length: rollouts + 1 }, (_, i) => i * count),
    present: null,
  });
  const rows = {
    rollout: rollouts,
    turn: turnEnd.length,
    step: stepEnd.length,
    token: mask.length,
    reference: rollouts * reference,
  };
  const kinds = {
    uniform: random,
    coin: () => (random() < 0.5 ? 1 : 0),
    logprob: () => -2 * random(),
    rating: () => Math.floor(4 * random()),
  };
  const columns = new Columns(rows);
  columns.all.set("tokens.id", column("token", tokenIds(shape, offsets)));
  columns.all.set("tokens.mask", column("token", mask));
  columns.all.set("turns.end", column("turn", turnEnd));
  columns.all.set("steps.end", column("step", stepEnd));
  rolloutColumns(columns, kinds, shape, random);
  tokenColumns(columns, kinds, random);
  turnColumns(columns, kinds, shape, random);
  stepColumns(columns, kinds, shape, random);
  columns.floats("reference", { logprob: kinds.logprob, base_logprob: kinds.logprob });
  const batch = new Batch({
    ids: Array.from({ length: rollouts }, (_, i) => `r${i}`),
    groupNames: Array.from({ length: rollouts }, (_, i) => `g${Math.floor(i / group)}`),
    levels: {
      token: { offsets, present: null },
      turn: regular(turns),
      step: regular(2 * turns),
      reference: regular(reference),
    },
    columns: columns.all,
  });
  return { batch, tokens: mask.length };
}

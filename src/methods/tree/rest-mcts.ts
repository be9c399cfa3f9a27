import { z } from "zod";
import { nodesOfRows, nodeTree, type PrefixTree } from "../../operators/prefix-tree.ts";
import { type Batch, InputError } from "../../rollouts/index.ts";
import { count, functionArgs, numberList, probability, sameLength } from "../arguments.ts";
import { defineMethod } from "../method.ts";
import { correctThreshold } from "../parameters.ts";

const ofSearch = "of the search; the credit does not use it";

const params = z.object({
  correct_threshold: correctThreshold,
  alpha: z.number().min(0).max(1).default(0.5).describe(`weight of the simulation, ${ofSearch}`),
  exploration_constant: z.number().min(0).default(0.7).describe(`weight of the exploration term, ${ofSearch}`),
  inf: z.number().default(1).describe(`bonus of a child that was never visited, ${ofSearch}`),
  low: z.number().default(0).describe(`least value of a state, ${ofSearch}`),
});

/** What the ends below each node say: M(n) > 0 steps from before n to a correct end, and whether n lies on the way to one. */
interface Labels {
  /** M(n); 0 where nothing can be inferred. */
  distance: Int32Array;
  /** 1 towards a correct end, −1 on a branch that left the way, 0 where nothing can be inferred. */
  sign: Int8Array;
}

/** Distances to correct ends from the ends of all rollouts; a reward of null or none is an unfinished end. */
function labelsOf(batch: Batch, { size, parent, leaf }: PrefixTree, threshold: number): Labels {
  const rewards = batch.numbers("rollout.reward", { absent: 0, missing: 0 });
  const scored = batch.validity("rollout.reward");
  const distance = new Int32Array(size);
  const sign = new Int8Array(size);
  const wrongBelow = new Uint8Array(size);
  for (let i = 0; i < leaf.length; i++) {
    if (scored !== null && scored[i] === 0) continue;
    if (rewards[i] >= threshold) distance[leaf[i]] = 1;
    else wrongBelow[leaf[i]] = 1;
  }
  for (let node = size - 1; node >= 0; node--) {
    const up = parent[node];
    if (up < 0) continue;
    if (wrongBelow[node] === 1) wrongBelow[up] = 1;
    if (distance[node] > 0 && (distance[up] === 0 || distance[node] + 1 < distance[up]))
      distance[up] = distance[node] + 1;
  }
  for (let node = 0; node < size; node++) {
    if (distance[node] > 0) sign[node] = 1;
    else if (parent[node] >= 0 && wrongBelow[node] === 1 && distance[parent[node]] > 0) {
      distance[node] = distance[parent[node]];
      sign[node] = -1;
    }
  }
  return { distance, sign };
}

/**
 * Quality values of ReST-MCTS* (arXiv 2406.03816 section 3). In the tree of a question's steps, M(n) counts the steps from
 * before n to the nearest correct end below it; a branch that leads to wrong ends only takes M of the node it left. From
 * the root (v = 0) down: w(n) = ±(1 − v(p)) / M(n), minus on such branches, and v(n) = max(0, v(p) + w(n)). Null for steps
 * below which only unfinished ends lie, and everywhere in a tree without a correct end.
 */
function assign(batch: Batch, p: z.output<typeof params>): Batch {
  const tree = nodeTree(batch, "steps.node");
  const { distance, sign } = labelsOf(batch, tree, p.correct_threshold);
  const value = new Float64Array(tree.size);
  const reward = new Float64Array(tree.size);
  for (let node = 0; node < tree.size; node++) {
    if (tree.parent[node] < 0 || sign[node] === 0) continue;
    const before = value[tree.parent[node]];
    reward[node] = (sign[node] * (1 - before)) / distance[node];
    value[node] = Math.max(0, before + reward[node]);
  }
  const nodes = nodesOfRows(tree, batch.offsets("step"));
  const valid = Uint8Array.from(nodes, (node) => Math.abs(sign[node]));
  const values = batch.floats("step");
  const rewards = batch.floats("step");
  nodes.forEach((node, row) => {
    values[row] = value[node];
    rewards[row] = reward[node];
  });
  return batch.with({
    "steps.value": { values, valid },
    "steps.reward": { values: rewards, valid },
    "steps.min_steps": { values: nodes.map((node) => distance[node]), valid },
  });
}

const weightedArgs = z.object({
  /** v of the state before the step. */
  prev_value: probability,
  /** m: steps that are still missing to a correct end after this one. */
  distance: z.number().min(0),
  /** r: probability that the step is wrong. */
  error: probability,
});

/** Soft form of the step reward: w = (1 − v) / (m + 1) · (1 − 2 r) and the value max(0, v + w). */
export function weightedReward(args: z.input<typeof weightedArgs>): { reward: number; value: number } {
  const { prev_value, distance, error } = functionArgs(weightedArgs, args);
  const reward = ((1 - prev_value) / (distance + 1)) * (1 - 2 * error);
  return { reward, value: Math.max(0, prev_value + reward) };
}

const { alpha, exploration_constant, inf, low } = params.shape;
const children = { values: numberList, visits: z.array(count) };
const uctArgs = z.object({ ...children, parent_visits: count, exploration_constant, inf });

/**
 * Selection scores of the children of a node: V + c sqrt(2 ln N / n), and V + inf for a child that was never visited.
 * @throws InputError also when a child was visited and its parent never.
 */
export function mctsStarUct(args: z.input<typeof uctArgs>): number[] {
  const { values, visits, parent_visits, exploration_constant, inf } = functionArgs(uctArgs, args);
  sameLength({ values, visits });
  if (parent_visits === 0 && visits.some((n) => n > 0))
    throw new InputError("a child was visited and its parent never", { expected: "parent_visits of at least 1" });
  return values.map((value, k) => {
    if (visits[k] === 0) return value + inf;
    return value + exploration_constant * Math.sqrt((2 * Math.log(parent_visits)) / visits[k]);
  });
}

const backupArgs = z.object({ ...children, current: z.number() });

/** Backed-up value of a node: mean of its children weighted by visits, or `current` when none was visited. */
export function mctsStarBackup(args: z.input<typeof backupArgs>): number {
  const { values, visits, current } = functionArgs(backupArgs, args);
  sameLength({ values, visits });
  const total = visits.reduce((a, b) => a + b, 0);
  return total === 0 ? current : values.reduce((sum, value, k) => sum + (value / total) * visits[k], 0);
}

const simulateArgs = z.object({ value: z.number(), simulated: numberList, alpha, low });

/** Value of a node after a simulation: (1 − α) V + α max(low, largest simulated value). */
export function mctsStarSimulate(args: z.input<typeof simulateArgs>): number {
  const { value, simulated, alpha, low } = functionArgs(simulateArgs, args);
  return (1 - alpha) * value + alpha * simulated.reduce((a, b) => Math.max(a, b), low);
}

export const restMcts = defineMethod({
  id: "rest-mcts",
  title: "ReST-MCTS*: step values from the distance to a correct end",
  summary:
    "In a searched tree of reasoning steps whose ends are graded, infer for every step a value between 0 and 1 from its distance to a correct end; the values train the value model, the correct paths the policy.",
  facts: {
    paper: {
      title: "ReST-MCTS*: LLM Self-Training via Process Reward Guided Tree Search",
      arxiv: "2406.03816",
      date: "2024-06",
      repo: "THUDM/ReST-MCTS",
    },
    headline:
      "At an equal search budget more accurate than best-of-N and tree of thought on MATH and SciBench; its self-training beats ReST-EM and Self-Rewarding over two iterations with three backbones.",
    granularity: "step",
    methodology: ["tree", "reward-model"],
    checked: "official code (value inference, back-up and selection), max abs diff 4.5e-10",
  },
  equations: [
    {
      text: "w_n = ±(1 − v_p) / M_n, M_n = 1 + steps still missing after n",
      tex: "w_n = \\frac{1 - v_p}{m_n + 1}\\,(1 - 2 r_n)",
    },
    { text: "v_n = max(0, v_p + w_n), v_root = 0", tex: "v_n = \\max(0, v_p + w_n),\\quad v_{\\mathrm{root}} = 0" },
  ],
  params,
  reads: ["steps.node", "rollout.reward", "group?"],
  writes: ["steps.value", "steps.reward", "steps.min_steps"],
  scope: "group",
  unscored: true,
  functions: { weightedReward, mctsStarUct, mctsStarBackup, mctsStarSimulate },
  assign,
});

/** What decides which methods suit: true or false of the task and of what is at hand. */
export type Feature =
  | "multi_agent"
  | "dynamic_team"
  | "replay_with_agent_removed"
  | "heterogeneous_agents"
  | "single_turn"
  | "step_verifier_or_prm"
  | "rollout_budget"
  | "shared_prefixes"
  | "reward_model_scores_partial_text"
  | "states_recur"
  | "privileged_training_info"
  | "resettable"
  | "gold_answer"
  | "judge_llm"
  | "preference_pairs";

export type Features = Readonly<Partial<Record<Feature, boolean>>>;

/** A list of methods and why they suit. */
export interface Leaf {
  recommend: readonly string[];
  reason: string;
}

/** A question and where "yes" leads. */
interface Branch {
  ask: Feature;
  yes: Leaf | Tree;
}

/** Questions in order; where all answers are no, `otherwise`, or on with the questions behind where that is null. */
export interface Tree {
  branches: readonly Branch[];
  otherwise: Leaf | null;
}

/** The questions as a person is asked them. */
export const questions: Readonly<Record<Feature, string>> = {
  multi_agent: "Do several agents act in one rollout?",
  dynamic_team: "Does the team change while it works (sub-agents are started, or chosen per task)?",
  replay_with_agent_removed: "Can a rollout be run again with one agent or message taken out?",
  heterogeneous_agents: "Do the agents differ in model or task, so that their rewards are on scales of their own?",
  single_turn: "Is a rollout one answer, without turns of an environment in between?",
  step_verifier_or_prm: "Is there a verifier or a process reward model that scores steps?",
  rollout_budget: "Can you afford to sample continuations from the middle of a rollout?",
  shared_prefixes: "Do rollouts of one prompt share beginnings?",
  reward_model_scores_partial_text: "Is there a reward model that can score unfinished text?",
  states_recur: "Do rollouts of one task come through the same states?",
  privileged_training_info:
    "Is something known in training that the policy does not see (a reference solution, hidden state)?",
  resettable: "Can the environment be put back into an earlier state?",
  gold_answer: "Is there a gold answer?",
  judge_llm: "Is there a language model that can judge turns?",
  preference_pairs: "Are there pairs of better and worse rollouts?",
};

const leaf = (recommend: readonly string[], reason: string): Leaf => ({ recommend, reason });

const multiAgent: Tree = {
  branches: [
    {
      ask: "dynamic_team",
      yes: leaf(
        ["orchestration-traces", "puppeteer"],
        "the team changes, so the credit is about who was started and when",
      ),
    },
    {
      ask: "replay_with_agent_removed",
      yes: leaf(["sharp", "c3"], "replays without an agent measure what it added"),
    },
    {
      ask: "heterogeneous_agents",
      yes: leaf(["dr-mas", "m-grpo"], "agents on scales of their own need advantages normalised per agent"),
    },
  ],
  otherwise: leaf(["mappa", "llm-mca"], "without replays a coach or critic has to say what each agent added"),
};

const singleTurn: Tree = {
  branches: [
    { ask: "step_verifier_or_prm", yes: leaf(["pure", "capo"], "scores of steps can be turned into credit of steps") },
    {
      ask: "rollout_budget",
      yes: leaf(["vineppo", "spo"], "continuations from the middle estimate values without a critic"),
    },
    { ask: "shared_prefixes", yes: leaf(["tempo"], "shared beginnings are a tree whose nodes have values for free") },
    {
      ask: "reward_model_scores_partial_text",
      yes: leaf(["scar", "red"], "scores of unfinished text say which part raised the reward"),
    },
  ],
  otherwise: leaf(["spro", "hicra"], "only the policy's own probabilities tell the tokens apart"),
};

const resettable: Tree = {
  branches: [
    {
      ask: "rollout_budget",
      yes: leaf(["c3", "ccpo"], "from a restored state the same turn can be tried differently"),
    },
  ],
  otherwise: null,
};

/** The decision tree, put together from the survey's taxonomy (the paper's own one is not available). */
export const selectionTree: Tree = {
  branches: [
    { ask: "multi_agent", yes: multiAgent },
    { ask: "single_turn", yes: singleTurn },
    { ask: "states_recur", yes: leaf(["gigpo"], "actions taken in the same state can be compared with each other") },
    {
      ask: "privileged_training_info",
      yes: leaf(["sweet-rl"], "a critic that sees more than the policy judges turns better"),
    },
    { ask: "resettable", yes: resettable },
    { ask: "gold_answer", yes: leaf(["igpo"], "each turn is paid for how much likelier it makes the gold answer") },
    {
      ask: "judge_llm",
      yes: leaf(["hcapo", "criticsearch"], "a judge that knows the outcome can look back at each turn"),
    },
    { ask: "preference_pairs", yes: leaf(["istar", "itpo"], "pairs train an implicit reward of turns") },
  ],
  otherwise: leaf(["turn-ppo", "agentprm"], "a learned value of turns is what is left"),
};

const isLeaf = (node: Leaf | Tree): node is Leaf => "recommend" in node;

/** Questions that were asked, each with its answer. */
export type Path = readonly (readonly [Feature, boolean])[];

export interface Walk {
  leaf: Leaf | null;
  path: Path;
}

/**
 * Walks the tree to its first hit.
 * @param answer gives the answer to a question; it is asked once for each question on the way.
 */
export function walk(answer: (feature: Feature) => boolean, tree: Tree = selectionTree): Walk {
  const path: (readonly [Feature, boolean])[] = [];
  for (const { ask, yes } of tree.branches) {
    const said = answer(ask);
    path.push([ask, said]);
    if (!said) continue;
    if (isLeaf(yes)) return { leaf: yes, path };
    const below = walk(answer, yes);
    path.push(...below.path);
    if (below.leaf !== null) return { leaf: below.leaf, path };
  }
  return { leaf: tree.otherwise, path };
}

/** All leaves that "yes" leads to, in the order of the tree: the first hit, those it would hide, and what is left over. */
export function allHits(features: Features, tree: Tree = selectionTree): Leaf[] {
  const hits: Leaf[] = [];
  for (const { ask, yes } of tree.branches) {
    if (features[ask] !== true) continue;
    if (isLeaf(yes)) hits.push(yes);
    else {
      hits.push(...allHits(features, yes));
      if (yes.otherwise !== null) return hits;
    }
  }
  return tree.otherwise === null ? hits : [...hits, tree.otherwise];
}

/** Where a method of the tree stands in the catalogue. */
export interface Place {
  id: string;
  /** Parameters that make the method behave as the one of the tree. */
  params: Readonly<Record<string, string>>;
  /** Columns that these parameters need besides. */
  needs: readonly string[];
}

/** Methods of the tree that are part of a method with another name here. */
const partOf: Readonly<Record<string, Place>> = {
  c3: { id: "counterfactual", params: {}, needs: [] },
  sharp: { id: "shapley", params: { mode: "sharp" }, needs: ["turns.agent"] },
  scar: { id: "shapley", params: { mode: "share" }, needs: [] },
  hicra: { id: "entropy-critical", params: { mode: "hicra" }, needs: ["tokens.planning"] },
  istar: { id: "oprl", params: {}, needs: [] },
};

/** Where a method of the tree stands in the catalogue, or would stand. */
export function placeOf(name: string): Place {
  return partOf[name] ?? { id: name, params: {}, needs: [] };
}

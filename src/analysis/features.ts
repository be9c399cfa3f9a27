import type { Feature } from "../methods/survey/selection.ts";
import type { Batch } from "../rollouts/index.ts";

/** What a file says about one question. */
export interface Seen {
  value: boolean;
  /** What in the file says so. */
  why: string;
}

/** Columns that answer a question with yes wherever they are; a star stands for any ending. */
export const tellingColumns: Readonly<Partial<Record<Feature, readonly string[]>>> = {
  replay_with_agent_removed: ["turns.reward_without", "turns.shapley"],
  step_verifier_or_prm: ["steps.prm", "steps.label", "steps.verify", "steps.wrong", "steps.critique_*", "tokens.prm"],
  rollout_budget: ["steps.mc_value", "steps.mc_correct", "tokens.mc_value", "steps.node", "turns.node", "turns.parent"],
  shared_prefixes: ["steps.node", "turns.node", "turns.parent"],
  reward_model_scores_partial_text: ["tokens.reward", "signals.partial_score", "turns.rm_score"],
  resettable: ["turns.node", "turns.parent"],
  gold_answer: ["meta.gold_calls", "turns.gt_logprob", "reference.logprob"],
  judge_llm: ["turns.judge_score", "turns.hindsight_logprob", "steps.critique_*"],
  preference_pairs: ["signals.pair", "rollout.preference"],
};

/** Tokens that two rollouts have to begin with alike before this counts as a shared beginning. */
const sharedTokens = 8;

function holds(batch: Batch, path: string): boolean {
  if (path.endsWith("*")) return batch.paths.some((name) => name.startsWith(path.slice(0, -1)));
  if (!path.startsWith("meta.")) return batch.has(path);
  return batch.has("meta") && batch.cells(path).some((cell) => cell !== undefined);
}

/** The different texts of a turn column in one rollout. */
function textsOf(batch: Batch, path: string, i: number): string[] {
  const offsets = batch.offsets("turn");
  const texts = batch.strings(path).slice(offsets[i], offsets[i + 1]);
  return [...new Set(texts.filter((text) => text !== null))].sort();
}

/** Whether two members of any group have something in common. */
function common(batch: Batch, keysOf: (i: number) => readonly string[]): boolean {
  const { count, offsets, members } = batch.groups();
  for (let g = 0; g < count; g++) {
    const seen = new Set<string>();
    for (const i of members.subarray(offsets[g], offsets[g + 1])) {
      const keys = keysOf(i);
      if (keys.some((key) => seen.has(key))) return true;
      for (const key of keys) seen.add(key);
    }
  }
  return false;
}

function beginningOf(batch: Batch, ids: ArrayLike<number>, i: number): string[] {
  const [from, to] = batch.offsets("token").subarray(i, i + 2);
  if (to - from < sharedTokens) return [];
  return [Array.from({ length: sharedTokens }, (_, k) => ids[from + k]).join(" ")];
}

/** Whether some group holds two rewards that differ. */
function ranked(batch: Batch): boolean {
  const rewards = batch.numbers("rollout.reward", { absent: 0, missing: 0 });
  const scored = batch.validity("rollout.reward");
  const { count, offsets, members } = batch.groups();
  for (let g = 0; g < count; g++) {
    const own = [...members.subarray(offsets[g], offsets[g + 1])].filter(
      (i) => batch.hasIn("rollout.reward", i) && (scored === null || scored[i] === 1),
    );
    if (own.some((i) => rewards[i] !== rewards[own[0]])) return true;
  }
  return false;
}

const isText = (batch: Batch, path: string) => batch.find(path)?.kind === "string";

/** Finds out what a file shows of a task, from batches handed in one after another. */
export class FeatureCollector {
  readonly #columns = new Map<Feature, string>();
  readonly #teams = new Set<string>();
  #agents = 0;
  #turns = 0;
  #states = false;
  #recurring = false;
  #tokens = false;
  #alike = false;
  #ranked = false;

  add(batch: Batch): void {
    for (const [feature, paths] of Object.entries(tellingColumns) as [Feature, readonly string[]][]) {
      const found = this.#columns.has(feature) ? undefined : paths.find((path) => holds(batch, path));
      if (found !== undefined) this.#columns.set(feature, found);
    }
    const offsets = batch.offsets("turn");
    const named = isText(batch, "turns.agent");
    for (let i = 0; i < batch.size; i++) {
      this.#turns = Math.max(this.#turns, offsets[i + 1] - offsets[i]);
      if (!named) continue;
      const team = textsOf(batch, "turns.agent", i);
      this.#agents = Math.max(this.#agents, team.length);
      if (this.#teams.size < 2) this.#teams.add(JSON.stringify(team));
    }
    if (isText(batch, "turns.state")) {
      this.#states = true;
      this.#recurring ||= common(batch, (i) => textsOf(batch, "turns.state", i));
    }
    if (batch.has("tokens.id", "every") && batch.size > 0) {
      this.#tokens = true;
      const ids = batch.numbers("tokens.id", { missing: -1 });
      this.#alike ||= common(batch, (i) => beginningOf(batch, ids, i));
    }
    this.#ranked ||= batch.has("rollout.reward") && ranked(batch);
  }

  /** Answers to the questions that the file answers; the others have to be asked. */
  finish(): ReadonlyMap<Feature, Seen> {
    const seen = new Map<Feature, Seen>();
    for (const [feature, path] of this.#columns) seen.set(feature, { value: true, why: `the file has ${path}` });
    const add = (feature: Feature, value: boolean, why: string) => {
      if (seen.get(feature)?.value !== true) seen.set(feature, { value, why });
    };
    const several = this.#agents > 1;
    add("multi_agent", several, several ? `${this.#agents} agents in one rollout` : "no rollout names two agents");
    if (several) {
      const changes = this.#teams.size > 1;
      add("dynamic_team", changes, changes ? "rollouts differ in their agents" : "the same agents in every rollout");
    }
    const single = this.#turns <= 1;
    add("single_turn", single, single ? "no rollout has two turns" : `up to ${this.#turns} turns`);
    if (this.#states) {
      const why = this.#recurring ? "rollouts of a group share states" : "no two rollouts of a group share a state";
      add("states_recur", this.#recurring, why);
    }
    if (this.#tokens) {
      const why = this.#alike ? "rollouts of a group begin alike" : "no two rollouts of a group begin alike";
      add("shared_prefixes", this.#alike, why);
    }
    if (this.#ranked) add("preference_pairs", true, "groups hold better and worse rollouts");
    return seen;
  }
}

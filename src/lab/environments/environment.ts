/** A call of a tool, as it stands in `turns.tool_calls`. */
export interface ToolCall {
  name: string;
  arguments: Readonly<Record<string, string | number>>;
}

/** What the environment answers to one action. */
export interface StepResult {
  /** What the agent reads next. */
  observation: string;
  /** Reward of this step: what training may see. */
  reward: number;
  done: boolean;
}

/** What a person should know before choosing a task. */
export interface EnvironmentFacts {
  /** Name on the command line, as `key-door`. */
  id: string;
  title: string;
  /** One or two sentences: what is to be done and what is rewarded. */
  task: string;
  /** How many actions an episode takes. */
  horizon: string;
  /** How many actions there are to choose from. */
  branching: string;
  /** What the agent sees of the state. */
  observability: string;
  /** Where the choice lies that decides the outcome. */
  decisive: string;
  /** What one action is. */
  level: "token" | "turn";
  /** Names of those who act; one for most tasks. */
  agents: readonly string[];
}

/**
 * A task, as an agent sees it. An action is a text: a tool call such as `open(3)` (level `turn`), or one token (level
 * `token`). `Snapshot` is a plain value that holds everything, chance included: after `restore(snapshot)` the same actions
 * give the same answers.
 */
export interface Environment<Snapshot = unknown> {
  readonly facts: EnvironmentFacts;
  /** What the agent is told before its first action of this episode. */
  readonly prompt: string;
  /**
   * Every piece (`splitWords`) that prompts, actions, observations and views can be made of: the vocabulary of token
   * policies.
   */
  words(): readonly string[];
  /** Every action that can ever be taken: the columns of tabular and MLP policies. */
  allActions(): readonly string[];
  /** How many different tasks (prompts) there are; 1 when left out. Rollouts of one group share the task, not the seed. */
  readonly tasks?: number;
  /**
   * Starts an episode; equal seeds give equal episodes.
   * @param task a whole number from 0: which of the tasks; drawn with the seed when left out.
   */
  reset(seed: number, task?: number): void;
  /** Actions that may be taken now. */
  actions(): readonly string[];
  /** Who acts now. */
  agent(): string;
  /**
   * Takes one action. Any text that is not among `actions()` is a wasted step: it is answered, and costs a step.
   * @throws Error when the episode is over.
   */
  step(action: string): StepResult;
  /** What the agent can know now, in words: two moments with equal words are one state to it. */
  view(): string;
  snapshot(): Snapshot;
  restore(snapshot: Snapshot): void;
  /** True outcome of the episode as it stands, 0 to 1. Looks at the facts, not at what was said. */
  verify(): number;
  /** Exact verdict on an action in the present state, before it is taken: the reward of a process that never errs. */
  judge?(action: string): number;
  /** The tool call that an action stands for, for `turns.tool_calls`; null when it is none. */
  call?(action: string): ToolCall | null;
  /** Facts of this episode for `meta`: `gold_calls`, the right answer, where the decisive choice was. */
  meta?(): Readonly<Record<string, unknown>>;
}

/** One of the things that can follow an action. */
export interface Outcome<Snapshot> {
  probability: number;
  snapshot: Snapshot;
  result: StepResult;
}

/** An environment whose chance is known, so that values, advantages and gradients can be worked out exactly. */
export interface ExactEnvironment<Snapshot = unknown> extends Environment<Snapshot> {
  /** How episodes may begin; the probabilities sum to 1. */
  starts(): readonly { probability: number; snapshot: Snapshot }[];
  /** Everything that can follow an action in the present state, without taking it; the probabilities sum to 1. */
  outcomes(action: string): readonly Outcome<Snapshot>[];
}

/** Whether the chance of an environment is known. */
export function isExact(environment: Environment): environment is ExactEnvironment {
  return "starts" in environment && "outcomes" in environment;
}

/** A call of a tool, as it stands in `turns.tool_calls`. */
export interface ToolCall {
  name: string;
  arguments: Readonly<Record<string, string | number>>;
}

/** What the environment answers to one action. */
export interface StepResult {
  /** What the agent reads next. */
  observation: string;
  reward: number;
  done: boolean;
}

/**
 * A task with turns, as an agent sees it. `Snapshot` is a plain value that holds everything, chance included: after
 * `restore(snapshot)` the same actions give the same answers.
 */
export interface Environment<Snapshot> {
  /** What the agent is told before its first turn. */
  readonly prompt: string;
  /** Starts an episode; equal seeds give equal episodes. */
  reset(seed: number): void;
  /**
   * Takes one turn.
   * @throws Error when the episode is over or the action is not one of `actions()`.
   */
  step(action: ToolCall): StepResult;
  /** Actions that may be taken now. */
  actions(): readonly ToolCall[];
  /** What the agent can know now, in words: two moments with equal words are one state to it. */
  view(): string;
  snapshot(): Snapshot;
  restore(snapshot: Snapshot): void;
  /** Outcome of the episode as it stands: 1 when the task is done, else 0. Looks at the facts, not at what was said. */
  verify(): number;
}

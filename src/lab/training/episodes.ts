import { callText } from "../environments/calls.ts";
import type { Environment, ToolCall } from "../environments/environment.ts";
import type { Policy, Sampling, Session, Trace } from "../policies/policy.ts";
import { Random } from "../random.ts";

/** How one episode begins. */
export interface Start {
  group: string;
  seed: number;
  task: number;
  /** Seed of the policy's own chance. */
  draw: number;
}

/** One agent action together with what followed it. */
export interface Turn {
  agent: string;
  /** What the agent knew before it acted. */
  view: string;
  action: string;
  observation: string;
  reward: number;
  /** Tokens of the trace up to here, this turn included. */
  end: number;
  /** The environment's own verdict on the (last) action; null where it has none. */
  verdict: number | null;
}

/** One action: a whole turn, or one token of it. */
export interface Action {
  /** Tokens of the trace up to here, what followed the action included. */
  end: number;
  reward: number;
  verdict: number | null;
}

/** An episode that was played to its end. */
export interface Episode {
  start: Start;
  prompt: string;
  turns: Turn[];
  actions: Action[];
  trace: Trace;
  /** Sum of the rewards of the steps: what training may see. */
  reward: number;
  /** What the verifier says. */
  trueReward: number;
  meta: Readonly<Record<string, unknown>>;
  /** States after the actions but the last, where they were asked for. */
  snapshots: unknown[];
  /** log π(right answer | an answer is given now) before each turn, where it was asked for and the answer is known. */
  beliefs: number[];
}

/** An environment for each episode that is played at a time. */
export class Stage {
  readonly #make: () => Environment;
  readonly #pool: Environment[] = [];

  constructor(make: () => Environment) {
    this.#make = make;
  }

  at(k: number): Environment {
    while (this.#pool.length <= k) this.#pool.push(this.#make());
    return this.#pool[k];
  }

  /** One environment, for facts and for working on the side. */
  get first(): Environment {
    return this.at(0);
  }
}

export interface PlayOptions {
  sampling: Sampling;
  /** Keeps the state after every action. */
  snapshots?: boolean;
  /** Asks before every turn how likely the right answer is. */
  beliefs?: boolean;
}

/** What an episode would have to say to be right, and what it could say instead. */
interface Answer {
  right: string;
  among: readonly string[];
}

interface Running {
  environment: Environment;
  slot: number;
  random: Random;
  done: boolean;
  episode: Omit<Episode, "trace">;
  /** Token environments: whether the next action goes on with the same turn. */
  open: boolean;
  answer: Answer | null;
}

/**
 * The right answer of an episode, if its environment says so: `meta.answer`, else the last of `meta.gold_calls`; and the
 * actions that are answers too: those that begin alike, as all `open(…)`.
 */
function answerOf(environment: Environment): Answer | null {
  const { answer, gold_calls: gold } = environment.meta?.() ?? {};
  const last = Array.isArray(gold) && gold.length > 0 ? callText(gold[gold.length - 1] as ToolCall) : null;
  const right = typeof answer === "string" ? answer : last;
  if (right === null || !environment.allActions().includes(right)) return null;
  const head = right.slice(0, right.indexOf("(") + 1);
  return { right, among: environment.allActions().filter((action) => action.startsWith(head)) };
}

function begin(environment: Environment, session: Session, start: Start, withAnswer: boolean): Running {
  environment.reset(start.seed, (environment.tasks ?? 1) > 1 ? start.task : undefined);
  const { prompt } = environment;
  return {
    environment,
    slot: session.open(prompt),
    random: new Random(start.draw),
    done: false,
    episode: { start, prompt, turns: [], actions: [], reward: 0, trueReward: 0, meta: {}, snapshots: [], beliefs: [] },
    open: false,
    answer: withAnswer ? answerOf(environment) : null,
  };
}

/** Takes the action and writes it down; tokens of one response are one turn until the environment answers. */
function take(running: Running, session: Session, action: string, keepSnapshots: boolean): void {
  const { environment, episode, slot } = running;
  const agent = environment.agent();
  const view = environment.view();
  const verdict = environment.judge?.(action) ?? null;
  const { observation, reward, done } = environment.step(action);
  if (observation !== "") session.observe(slot, observation);
  const end = session.length(slot);
  const last = episode.turns[episode.turns.length - 1];
  if (running.open && last.agent === agent) {
    last.action += action;
    last.observation = observation;
    last.reward += reward;
    last.end = end;
    last.verdict = verdict;
  } else episode.turns.push({ agent, view, action, observation, reward, end, verdict });
  running.open = environment.facts.level === "token" && observation === "";
  episode.actions.push({ end, reward, verdict });
  episode.reward += reward;
  running.done = done;
  if (keepSnapshots && !done) episode.snapshots.push(environment.snapshot());
}

function believe({ answer, open, slot, environment, episode }: Running, session: Session): void {
  if (answer === null || open) return;
  episode.beliefs.push(session.score({ slot, view: environment.view(), actions: answer.among }, answer.right));
}

/**
 * Plays episodes side by side, each to its end: all that still run act in one call of the policy. What an episode draws
 * depends on its start alone.
 */
export function play(stage: Stage, policy: Policy, starts: readonly Start[], options: PlayOptions): Episode[] {
  const session = policy.session(options.sampling);
  const { snapshots = false, beliefs = false } = options;
  const all = starts.map((start, k) => begin(stage.at(k), session, start, beliefs));
  for (let running = all; running.length > 0; running = running.filter(({ done }) => !done)) {
    if (beliefs) for (const one of running) believe(one, session);
    const choices = session.choose(
      running.map(({ slot, environment, random }) => ({
        slot,
        view: environment.view(),
        actions: environment.actions(),
        random,
      })),
    );
    running.forEach((one, k) => {
      take(one, session, choices[k].action, snapshots);
    });
  }
  return all.map(({ environment, slot, episode }) => {
    const trace = session.trace(slot);
    session.close(slot);
    return { ...episode, trueReward: environment.verify(), meta: environment.meta?.() ?? {}, trace };
  });
}

/** Whether a policy chooses among whole actions, so that its traces hold nothing that the environment wrote. */
export const choosesActions = (policy: Policy) => policy.kind !== "transformer";

const callForm = /^\s*([\p{L}_][\p{L}\p{N}_]*)\((.*)\)\s*$/u;

/** The call that an action such as `open(3)` is; arguments by the names that the reference calls of that name have. */
export function callOf(action: string, gold: readonly ToolCall[]): ToolCall | null {
  const match = callForm.exec(action);
  if (match === null) return null;
  const [, name, inside] = match;
  const names = Object.keys(gold.find((call) => call.name === name)?.arguments ?? {});
  const values = inside.trim() === "" ? [] : inside.split(",").map((text) => text.trim());
  const pairs = values.map((text, k) => [names[k] ?? `argument_${k + 1}`, numberOr(text)] as const);
  return { name, arguments: Object.fromEntries(pairs) };
}

function numberOr(text: string): string | number {
  const value = Number(text);
  return text !== "" && Number.isFinite(value) ? value : text;
}

/** Reference calls of an episode, if its environment knows them. */
export function goldCalls({ meta }: Episode): readonly ToolCall[] {
  return Array.isArray(meta.gold_calls) ? (meta.gold_calls as ToolCall[]) : [];
}

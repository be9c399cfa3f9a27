import { z } from "zod";
import { callText } from "./calls.ts";
import { defineEnvironment } from "./entry.ts";
import type { EnvironmentFacts, ToolCall } from "./environment.ts";
import { type Clock, type Move, type Rules, RulesEnvironment } from "./rules.ts";

/** How a part of the work stands; whether it is sound is hidden until the end. */
type Part = "open" | "flawed" | "sound";

export interface OrchestratorState extends Clock {
  /** Workers spawned. */
  workers: number;
  parts: readonly Part[];
  /** Worker and part at work now, both from 0; null when the orchestrator acts. */
  at: { worker: number; part: number } | null;
  /** Result of the last aggregation: null for none, else the share of parts that were sound then. */
  result: number | null;
  /** Whether the orchestrator stopped of its own accord. */
  stopped: boolean;
}

const facts: EnvironmentFacts = {
  id: "orchestrator",
  title: "Orchestrator and workers",
  task:
    "An orchestrator spawns workers, delegates parts of a job to them, aggregates their reports and stops. All share one " +
    "reward: the share of sound parts in the result when it stops, less what spawning and working cost.",
  horizon: "until stop, at most turns (12)",
  branching: "2 of a worker; of the orchestrator 3 + workers · parts (9)",
  observability: "partial: who has spawned and reported is seen, whether a report is sound is not",
  decisive:
    "in who gets which part, in the care of the workers, and in stopping while parts are open; luck is in the work",
  level: "turn",
  agents: ["orchestrator", "worker 1", "worker 2", "worker 3"],
};

const share = (value: number, text: string) => z.number().min(0).max(1).default(value).describe(text);
const cost = (value: number, text: string) => z.number().min(0).max(10).default(value).describe(text);

const params = z.object({
  parts: z.int().min(1).max(4).default(2).describe("parts of the job"),
  workers: z.int().min(1).max(5).default(3).describe("workers that can be spawned; worker k knows part k best"),
  turns: z.int().min(4).max(60).default(12).describe("turns of an episode, those of the workers included"),
  p_expert: share(0.95, "chance that careful work on the part one knows best is sound"),
  p_other: share(0.6, "chance that careful work on another part is sound"),
  haste: share(0.6, "factor on these chances for quick work"),
  spawn_cost: cost(0.02, "cost of a worker"),
  careful_cost: cost(0.02, "cost of careful work"),
  quick_cost: cost(0.005, "cost of quick work"),
});
type Params = z.output<typeof params>;

const call = (name: string, args: ToolCall["arguments"] = {}): ToolCall => ({ name, arguments: args });
const workerNames = (workers: number) => Array.from({ length: workers }, (_, k) => `worker ${k + 1}`);

/** Rules of the task. */
export function orchestratorRules(given: Params): Rules<OrchestratorState> {
  const { parts, workers, turns, p_expert, p_other, haste, spawn_cost, careful_cost, quick_cost } = given;
  const delegations = Array.from({ length: workers * parts }, (_, k) => ({
    worker: Math.floor(k / parts),
    part: k % parts,
  }));
  const delegate = ({ worker, part }: { worker: number; part: number }) =>
    call("delegate", { worker: worker + 1, part: part + 1 });
  const calls = [
    call("spawn"),
    ...delegations.map(delegate),
    call("aggregate"),
    call("stop"),
    call("careful"),
    call("quick"),
  ];
  const allActions = calls.map(callText);
  const isBegun = (state: OrchestratorState) => state.parts.some((part) => part !== "open");
  const allowed = (state: OrchestratorState) =>
    allActions.filter((action, k) => {
      if (action === "careful()" || action === "quick()") return state.at !== null;
      if (state.at !== null) return false;
      if (action === "spawn()") return state.workers < workers;
      if (action === "aggregate()") return isBegun(state);
      if (action === "stop()") return state.result !== null;
      return delegations[k - 1].worker < state.workers;
    });
  const verify = ({ stopped, result }: OrchestratorState) => (stopped && result !== null ? result : 0);

  const work = (state: OrchestratorState, action: string): Move<OrchestratorState>[] => {
    const { worker, part } = state.at ?? { worker: 0, part: 0 };
    const isCareful = action === "careful()";
    const chance = (worker % parts === part ? p_expert : p_other) * (isCareful ? 1 : haste);
    const observation = `Worker ${worker + 1} reports part ${part + 1}.`;
    const after = (made: Part) => ({ ...state, parts: state.parts.with(part, made), at: null });
    const reward = -(isCareful ? careful_cost : quick_cost);
    return [
      { probability: chance, state: after("sound"), observation, reward },
      { probability: 1 - chance, state: after("flawed"), observation, reward },
    ];
  };

  const lead = (state: OrchestratorState, action: string): Move<OrchestratorState>[] => {
    if (action === "spawn()") {
      const next = { ...state, workers: state.workers + 1 };
      return [{ state: next, observation: `Worker ${next.workers} is ready.`, reward: -spawn_cost }];
    }
    if (action === "aggregate()") {
      const result = state.parts.filter((part) => part === "sound").length / parts;
      return [{ state: { ...state, result }, observation: "The reports are put together." }];
    }
    if (action === "stop()") {
      const next = { ...state, stopped: true, done: true };
      return [{ state: next, observation: "That is all.", reward: verify(next) }];
    }
    const at = delegations[allActions.indexOf(action) - 1];
    return [{ state: { ...state, at }, observation: `Worker ${at.worker + 1}, please do part ${at.part + 1}.` }];
  };

  const partText = (part: Part, k: number) => `part ${k + 1} ${part === "open" ? "open" : "reported"}`;
  const about =
    `A job has ${parts} parts; worker k knows part k best. The orchestrator has spawn(), delegate(WORKER, PART), ` +
    "aggregate(), stop(); a worker has careful(), quick(). The more sound parts in the result, the better.";
  return {
    facts: { ...facts, agents: ["orchestrator", ...workerNames(workers)] },
    horizon: turns,
    starts: () => ({
      count: 1,
      state: () => ({
        turn: 0,
        done: false,
        workers: 0,
        parts: Array.from({ length: parts }, () => "open" as const),
        at: null,
        result: null,
        stopped: false,
      }),
    }),
    prompt: () => about,
    calls,
    allActions,
    actions: allowed,
    agent: ({ at }) => (at === null ? "orchestrator" : `worker ${at.worker + 1}`),
    view: (state) => {
      if (state.at !== null) return `part ${state.at.part + 1}`;
      const merged = state.result === null ? "nothing put together" : "put together";
      return [
        `workers ${state.workers}`,
        ...state.parts.map(partText),
        merged,
        `turns left: ${turns - state.turn}`,
      ].join(", ");
    },
    moves: (state, action) => (state.at === null ? lead(state, action) : work(state, action)),
    wasted: "That cannot be done now.",
    late: "Time is up.",
    texts: () => [
      `${about} is ready. The reports are put together. please do part open reported, nothing`,
      ...["part", "workers", "Worker", "That is all.", "Worker reports"],
      ...Array.from({ length: Math.max(turns, workers, parts) + 1 }, (_, k) => `turns left: ${k}`),
    ],
    verify,
    meta: ({ parts: made, workers: spawned }) => ({ parts: made, spawned }),
  };
}

/**
 * An orchestrator with workers. `spawn()` adds a worker, `delegate(WORKER, PART)` hands over a part and the turn, the worker
 * chooses `careful()` or `quick()`, `aggregate()` puts together what was reported, `stop()` ends the episode once there is a
 * result.
 *
 * Horizon: until `stop()`, at most `turns`. Branching: 2 of a worker, of the orchestrator 3 + workers · parts, those that make
 * sense at a time. Observability: partial, the soundness of a report is hidden. The decisive choices lie in who gets which
 * part, in the care of the workers, and in stopping while parts are open. Luck is in the work; all outcomes are known exactly.
 * Costs are paid at once as negative rewards; the verifier looks at the outcome only.
 */
export const orchestrator = defineEnvironment({
  facts,
  params,
  make: (given) => new RulesEnvironment(orchestratorRules(given)),
});

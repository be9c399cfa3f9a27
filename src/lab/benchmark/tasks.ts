import type { ExactEnvironment } from "../environments/environment.ts";
import { makeEnvironment } from "../environments/registry.ts";
import { type ExactModel, exactModel, tableOf } from "../exact/model.ts";
import { advantageOf, exactValues, optimum } from "../exact/values.ts";
import { Random } from "../random.ts";
import type { SoftmaxTable } from "../softmax-table.ts";
import { essay } from "./essay.ts";
import { search } from "./search.ts";

/** An exactly solvable task of the benchmark. */
export interface BenchTask {
  id: string;
  /** What it makes hard, in one sentence. */
  about: string;
  make(): ExactEnvironment;
  /** Whether the reward that training sees is not what is wanted. */
  gameable?: boolean;
}

const registered = (id: string, params: Readonly<Record<string, unknown>>) => () =>
  makeEnvironment(id, params) as ExactEnvironment;

/** Tasks of the benchmark by id. */
export const benchTasks: Readonly<Record<string, BenchTask>> = Object.fromEntries(
  (
    [
      {
        id: "gates",
        about: "Two of eight steps decide, both have to be right; the others do nothing.",
        make: registered("bifurcation", { family: "and-gates", horizon: 8, actions: 4, right: 1, seed: 3 }),
      },
      {
        id: "luck",
        about: "Two of six steps decide, and chance throws one episode in three off the track.",
        make: registered("bifurcation", {
          family: "noisy",
          horizon: 6,
          actions: 3,
          right: 1,
          slip: 0.06,
          p_on: 0.9,
          p_off: 0.1,
          seed: 3,
        }),
      },
      {
        id: "repair",
        about: "A wrong step can be made good a few steps later.",
        make: registered("bifurcation", { family: "gate-repair", horizon: 8, actions: 4, right: 1, seed: 5 }),
      },
      {
        id: "team",
        about: "Three agents take two steps each; two of the six decide.",
        make: registered("bifurcation", { family: "and-gates", horizon: 6, actions: 3, right: 1, agents: 3, seed: 7 }),
      },
      {
        id: "chain",
        about: "Three steps, three actions each, all have to be right.",
        make: registered("chain", { length: 3, actions: 3, shown: true }),
      },
      {
        id: "key-door",
        about: "Find a parcel: the key pays off two turns later, the porter helps by luck, guessing sometimes works.",
        make: registered("key-door", { lockers: 2, turns: 4 }),
      },
      {
        id: "search-fixed",
        about: "Search until found, then answer; every episode is padded to four turns.",
        make: () => search(true),
      },
      {
        id: "search-stop",
        about: "The same choices and rewards, but answering ends the episode: the policy decides when to stop.",
        make: () => search(false),
      },
      {
        id: "essay",
        about: "The reward sees polish as well as substance; only substance is wanted.",
        make: essay,
        gameable: true,
      },
    ] satisfies BenchTask[]
  ).map((task) => [task.id, task]),
);

/** A task laid out for work: its model, the policy that it starts from, and what there is to reach. */
export interface TaskSetting {
  task: BenchTask;
  model: ExactModel;
  start: SoftmaxTable;
  /** Expected reward of the start, and of the best policy. */
  startValue: number;
  optimalValue: number;
  /** The best that the verdict can be. */
  optimalVerdict: number;
  /** Below this an advantage counts as none: a tenth of the largest under the start policy. */
  pivotalEps: number;
}

const settings = new Map<string, TaskSetting>();

/** A logit between −0.7 and 0.7 that depends on nothing but a text. */
function startLogit(text: string): number {
  let hash = 0;
  for (let k = 0; k < text.length; k++) hash = Math.imul(hash ^ text.charCodeAt(k), 0x01000193) + k;
  return 1.4 * new Random(hash).uniform() - 0.7;
}

/** The setting of a task; made once. Where policies start depends on what they see and may do, not on the seed. */
export function settingOf(task: BenchTask): TaskSetting {
  const known = settings.get(task.id);
  if (known !== undefined) return known;
  const model = exactModel(task.make());
  const start = tableOf(model, ({ agent, view }, action) => startLogit(`${agent}, ${view}: ${action}`));
  const values = exactValues(model, start);
  let largest = 0;
  model.rows.forEach((_, row) => {
    model.actions.forEach((_name, a) => {
      if (start.probability(row, a) === 0 || values.visits[row] === 0) return;
      largest = Math.max(largest, Math.abs(advantageOf(values, model.actions.length, row, a)));
    });
  });
  const setting = {
    task,
    model,
    start,
    startValue: values.value,
    optimalValue: optimum(model).value,
    optimalVerdict: optimum(model, "verified").value,
    pivotalEps: 0.1 * largest,
  };
  settings.set(task.id, setting);
  return setting;
}

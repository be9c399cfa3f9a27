import type { Method } from "../../methods/method.ts";
import { parseRead } from "../../methods/reads.ts";
import { type Critic, criticColumns, fedTokens, fedTurns, feeders } from "./columns.ts";
import type { Episode } from "./episodes.ts";
import { type Special, specials } from "./specials.ts";
import type { Layout } from "./tasks.ts";

/** What a method is fed with. */
export interface Plan {
  columns: readonly string[];
  layout: Layout;
  /** Tables of rows inside a rollout that the method looks at. */
  rows: readonly ("turns" | "steps")[];
  /** Whether a column of a learned critic is among them. */
  critic: boolean;
}

const stepRewards = ["turns.reward", "steps.reward", "tokens.reward"];
/** Columns that tell a method what was achieved: rewards, what stands for chances of success, and exact values. */
const rewarding = [...stepRewards, "rollout.reward", "rewards."];
const chances = ["signals.rm_logit", "reference.", "tests_passed", "mc_correct", "gt_logprob"];
const values = ["prm", "mc_value", "return_prediction", "pfr"];

/** Whether any of the columns knows how the episode went. */
export function tellsOutcome({ columns }: Plan): boolean {
  return columns.some((path) => [...rewarding, ...chances, ...values].some((part) => path.includes(part)));
}

/** Whether any of the columns changes with the rewards. */
export function readsRewards({ columns }: Plan): boolean {
  return columns.some((path) => [...rewarding, ...values].some((part) => path.includes(part)));
}

/** The column that serves a need: step rewards before outcomes, else the first that can be fed. */
function chosen(
  anyOf: readonly string[],
  params: Readonly<Record<string, unknown>>,
  { use, skip, channels }: Special,
): string | undefined {
  const rewardColumn = typeof params.reward_column === "string" ? params.reward_column : "rollout.reward";
  const wanted = typeof use === "function" ? use(params) : use;
  const able = anyOf
    .map((path) => (path === "reward_column" ? rewardColumn : path))
    .flatMap((path) => (path === "rewards.*" ? (channels ?? ["rewards.task"]) : [path]))
    .filter((path) => path in feeders && skip?.includes(path) !== true);
  const asked = able.find((path) => wanted?.includes(path));
  return asked ?? stepRewards.find((path) => able.includes(path)) ?? able[0];
}

/** What to feed a method with, or why it cannot be fed. */
export function planOf(method: Method, params: Readonly<Record<string, unknown>>): Plan | string {
  const special = specials[method.id] ?? {};
  if (special.none !== undefined) return special.none;
  const columns = new Set<string>(special.also);
  for (const read of method.reads.map(parseRead)) {
    if (read.anyOf.some((path) => !path.includes(".") && path !== "reward_column")) continue;
    if (read.optional && read.when === null) continue;
    if (read.anyOf.some((path) => path === "tokens.id" || path.endsWith(".end"))) continue;
    const path = chosen(read.anyOf, params, special);
    if (path !== undefined) columns.add(path);
    else if (!read.optional) return `needs ${read.anyOf.join(" or ")}, which no task here can say`;
  }
  for (const path of special.channels ?? []) columns.add(path);
  const dense = stepRewards.some((path) => columns.has(path));
  const atEnd = columns.has("rollout.reward");
  const layout = dense ? (atEnd ? "both" : "dense") : "outcome";
  const rows = (["turns", "steps"] as const).filter((key) =>
    [...columns, ...method.reads.flatMap((read) => parseRead(read).anyOf)].some((path) => path.split(".")[0] === key),
  );
  return { columns: [...columns], layout, rows, critic: [...columns].some((path) => criticColumns.has(path)) };
}

/** A rollout but for its id and its group. */
export type Columns = Readonly<Record<string, unknown>>;

/** An episode as a rollout with the columns of the plan. Turns and steps are the same rows. */
export function columnsOf(episode: Episode, plan: Plan, critic: Critic): Columns {
  const turns = fedTurns(episode, critic);
  const tokens = fedTokens(turns);
  const whole = { episode, critic, total: episode.trajectory.total };
  let end = 0;
  const ends = episode.turns.map((turn) => {
    end += turn.tokens.length;
    return end;
  });
  const tables: Record<string, Record<string, unknown>> = {
    tokens: { id: tokens.map(({ token }) => token.id) },
    turns: { end: ends },
    steps: { end: ends },
  };
  const rollout: Record<string, unknown> = {};
  for (const path of plan.columns) {
    const [key, name] = path.split(".");
    const feeder = feeders[path];
    const cells =
      feeder.level === "turn"
        ? turns.map(feeder.cell)
        : feeder.level === "token"
          ? tokens.map(feeder.cell)
          : feeder.level === "reference"
            ? feeder.cells(whole)
            : feeder.cell(whole);
    if (key === "rollout") rollout[name] = cells;
    else {
      tables[key] ??= {};
      tables[key][name] = cells;
    }
  }
  for (const key of ["turns", "steps"] as const) if (!plan.rows.includes(key)) delete tables[key];
  return { ...rollout, ...tables };
}

import { coopetitionEnvironment, environmentNames } from "../../methods/multi-agent/coopetition-environments.ts";
import { coopetitionRollout } from "../../methods/multi-agent/coopetition-gym.ts";
import { gaussian } from "../gaussian.ts";
import { Random } from "../random.ts";
import type { Experiment, Scale, Summary, Trial } from "./experiment.ts";

const modes = ["private", "integrated", "cooperative"] as const;
type Mode = (typeof modes)[number];
const expected: Readonly<Record<Mode, readonly [number, number]>> = {
  private: [23.3, 22.5],
  integrated: [25.4, 25.5],
  cooperative: [28.3, 29.2],
};
const samples = 16;
const spread = 2;
const rate = 0.3;
const averaged = 200;
/** Trust stays where it begins, so that every step is a game of its own. */
const still = { rates: { build: 0, erode: 0, damage: 0, repair: 0 } };

/** Mean actions of two independent learners: Gaussian policies of fixed width, the mean reward as baseline. */
function learn(mode: Mode, updates: number, random: Random) {
  const mean = [50, 50];
  const total = [0, 0];
  const curve: number[] = [];
  for (let update = 0; update < updates; update++) {
    if (update % 10 === 0) curve.push((mean[0] + mean[1]) / 2);
    const actions = Array.from({ length: samples }, () => mean.map((m) => m + spread * gaussian(random)));
    const { rewards } = coopetitionRollout({ env: "SLCD", actions, rewardMode: mode, overrides: still });
    mean.forEach((m, i) => {
      const base = rewards.reduce((sum, row) => sum + row[i], 0) / samples;
      const slope = rewards.reduce((sum, row, k) => sum + ((row[i] - base) * (actions[k][i] - m)) / spread ** 2, 0);
      mean[i] += (rate * slope) / samples;
      if (update >= updates - averaged) total[i] += mean[i] / Math.min(averaged, updates);
    });
  }
  return { actions: total, curve };
}

const levels = [0.2, 0.4, 0.6, 0.8];

/** How many of the levels can be exploited: half of agent 0's action pays agent 0 and costs the others. */
function exploitable(env: string): number {
  const phase = env === "ApacheProject" ? "emergence" : null;
  const { endowments, horizon, gamma } = coopetitionEnvironment(env, phase);
  const totals = (level: number, factor: number) => {
    const actions = endowments.map((_, i) => endowments[0] * level * (i === 0 ? factor : 1));
    const steps = new Array<number[]>(horizon).fill(actions);
    const { rewards } = coopetitionRollout({
      env,
      actions: steps,
      phase,
      gamma: gamma ?? 0.5,
      rewardMode: "integrated",
    });
    const sums = endowments.map((_, i) => rewards.reduce((sum, row) => sum + row[i], 0));
    return [sums[0], sums.slice(1).reduce((sum, x) => sum + x, 0)];
  };
  return levels.filter((level) => {
    const [own, others] = totals(level, 1);
    const [ownHalved, othersHalved] = totals(level, 0.5);
    return ownHalved > own && othersHalved < others;
  }).length;
}

const safe = ["PartnerHoldUp", "ReputationMarket", "LoyaltyTeam", "CoalitionFormation", "ApacheProject", "PublicGoods"];

function trial(seed: number, scale: Scale): Trial {
  const measures: Record<string, number> = {};
  const curves: Record<string, number[]> = {};
  for (const mode of modes) {
    const { actions, curve } = learn(mode, scale === "full" ? 1500 : 30, new Random(seed));
    actions.forEach((action, i) => {
      measures[`${mode}, agent ${i}`] = action;
    });
    curves[mode] = curve;
  }
  const counts = environmentNames.map(exploitable);
  measures["exploitable points"] = counts.reduce((sum, n) => sum + n, 0);
  measures["exploitable points of the six"] = environmentNames.reduce(
    (sum, name, k) => sum + (safe.includes(name) ? counts[k] : 0),
    0,
  );
  return { measures, curves };
}

function actionsOf(summary: Summary, mode: Mode): number[] {
  return [0, 1].map((i) => summary.mean(`${mode}, agent ${i}`));
}

const pair = (values: readonly number[]) => `(${values.map((x) => x.toFixed(1)).join(", ")})`;

/** The more of the others' payoffs an agent is paid, the more it gives; an audit counts where that can be exploited. */
export const experiment: Experiment = {
  id: "coopetition-gym",
  version: 1,
  claim:
    "The same payoffs, paid privately, with a share in the partner's, or together, train two agents to give more and " +
    "more; under the integrated reward 28 of 80 audited points can be exploited.",
  environment:
    "SLCD as a one-shot game with trust 0.65: two independent Gaussian learners from 50, 1500 updates of 16 samples. " +
    "Audit: the 20 environments at 20, 40, 60 and 80 % joint cooperation, whole episodes, agent 0's action halved.",
  baseline: "the private payoff",
  seeds: 5,
  trial,
  findings: (summary) => [
    ...modes.map((mode) => ({
      expected: `${mode}: mean actions ${pair(expected[mode])} within 0.5`,
      measured: pair(actionsOf(summary, mode)),
      holds: actionsOf(summary, mode).every((action, i) => Math.abs(action - expected[mode][i]) <= 0.5),
      kind: "claim" as const,
    })),
    {
      expected: "private < integrated < cooperative for both agents, in every seed",
      measured: modes.map((mode) => pair(actionsOf(summary, mode))).join(" < "),
      holds:
        summary.share((m) =>
          [0, 1].every((i) => {
            const [one, two, three] = modes.map((mode) => m[`${mode}, agent ${i}`]);
            return one < two && two < three;
          }),
        ) === 1,
      kind: "claim",
    },
    {
      expected: `28 of 80 points are exploitable, none of ${safe.join(", ")}`,
      measured: ["exploitable points", "exploitable points of the six"]
        .map((name, k) => `${summary.mean(name)} of ${k === 0 ? "80" : "those six"}`)
        .join(", "),
      holds: summary.mean("exploitable points") === 28 && summary.mean("exploitable points of the six") === 0,
      kind: "claim",
    },
  ],
  plots: [
    {
      kind: "lines",
      title: "Mean action of the two agents",
      x: "update",
      y: "action",
      curves: modes,
      every: 10,
    },
  ],
  notes:
    "The audit is exact and the same for every seed. The card names neither width nor rate of the learners: standard " +
    "deviation 2, rate 0.3, mean reward as baseline; actions are means over the last 200 updates. Trust is held at " +
    "0.65 by setting its rates to 0.",
};

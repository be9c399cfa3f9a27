import { assign } from "../../methods/assign.ts";
import { batchFromObjects } from "../../rollouts/index.ts";
import { Random } from "../random.ts";
import { SoftmaxTable } from "../softmax-table.ts";
import { atLeast, atMost } from "./bounds.ts";
import type { Experiment, Scale, Trial } from "./experiment.ts";

const options = 4;
const groupSize = 8;
const rate = 0.5;
const arms = {
  "both trained": { target: 0, trained: true },
  "both trained, aligned to 3": { target: 3, trained: true },
  "sub-agent frozen": { target: 0, trained: false },
} as const;
type Arm = keyof typeof arms;
const names = Object.keys(arms) as Arm[];

/** P(right plan) · P(right tool) after every update. */
function train(arm: Arm, seed: number, updates: number): number[] {
  const random = new Random(seed);
  const planner = new SoftmaxTable(1, options);
  const caller = new SoftmaxTable(1, options);
  const { target, trained } = arms[arm];
  const curve: number[] = [];
  for (let update = 0; update < updates; update++) {
    const trajectories = Array.from({ length: groupSize }, (_, i) => {
      const plan = planner.sample(0, random);
      const tools = Array.from({ length: 1 + random.below(3) }, () => caller.sample(0, random));
      const right = tools.filter((tool) => tool === 0).length;
      const reward = plan === 0 && 2 * right >= tools.length ? 1 : 0;
      const main = { id: `m${i}`, action: plan, reward, signals: { role: "main" } };
      const subs = tools.map((action, k) => ({
        id: `s${i}-${k}`,
        action,
        reward,
        signals: { role: "sub", parent: `m${i}` },
      }));
      return [main, ...subs];
    }).flat();
    const rollouts = trajectories.map(({ id, reward, signals }) => ({ id, group: "g", reward, signals }));
    const credit = assign(batchFromObjects(rollouts), "m-grpo", { target });
    const advantage = credit.numbers("rollout.advantage");
    const weight = credit.numbers("rollout.weight");
    trajectories.forEach(({ action, signals }, k) => {
      const policy = signals.role === "main" ? planner : caller;
      policy.accumulate(0, action, (weight[k] * advantage[k]) / groupSize);
    });
    planner.ascend(rate);
    if (trained) caller.ascend(rate);
    else caller.gradient.fill(0);
    curve.push(planner.probability(0, 0) * caller.probability(0, 0));
  }
  return curve;
}

function trial(seed: number, scale: Scale): Trial {
  const measures: Record<string, number> = {};
  const curves: Record<string, number[]> = {};
  for (const name of names) {
    const curve = train(name, seed, scale === "full" ? 300 : 20);
    measures[`right plan and tool, ${name}`] = curve[curve.length - 1];
    curves[name] = curve.filter((_, t) => t % 2 === 0);
  }
  return { measures, curves };
}

/** Main and sub trajectories of a question as two groups of comparison, both paid by the main outcome. */
export const experiment: Experiment = {
  id: "m-grpo",
  version: 1,
  claim:
    "Training the main agent and its sub-agents with the same outcome in groups of their own beats a frozen " +
    "sub-agent.",
  environment:
    "4 plans (one right), one to three calls of a sub-agent with 4 tools (one right); success if the plan and at " +
    "least half of the calls are right. Two softmax tables, 300 updates of 8 rollouts, rate 0.5.",
  baseline: "the sub-agent frozen",
  seeds: 20,
  trial,
  findings: (summary) => [
    atLeast(summary, "right plan and tool, both trained", 0.95, { over: "mean" }),
    atLeast(summary, "right plan and tool, both trained, aligned to 3", 0.95, { over: "mean" }),
    atMost(summary, "right plan and tool, sub-agent frozen", 0.5, { over: "mean" }),
  ],
  plots: [
    {
      kind: "lines",
      title: "P(right plan) · P(right tool)",
      x: "update",
      y: "probability",
      curves: names,
      every: 2,
    },
  ],
  notes:
    "Main and sub-agents are paid the outcome alone (no format and no judge). With a frozen uniform sub-agent the " +
    "metric cannot exceed 0.25, whatever the planner learns.",
};

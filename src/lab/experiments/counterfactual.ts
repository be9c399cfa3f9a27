import { assign } from "../../methods/assign.ts";
import { comaAdvantage, differenceReward } from "../../methods/counterfactual/counterfactual.ts";
import { cosine } from "../../operators/vectors.ts";
import { batchFromObjects } from "../../rollouts/index.ts";
import { Random } from "../random.ts";
import { SoftmaxTable } from "../softmax-table.ts";
import type { Experiment, Scale, Trial } from "./experiment.ts";
import { GradientMoments } from "./gradient-moments.ts";
import { advantagesOf } from "./group-rewards.ts";

const teams = [2, 4, 8, 16];
const samples = 20_000;
const card = [0.06, 0.19, 0.44, 0.95];
const arms = ["shared", "difference", "coma"] as const;

/** Moments of the gradient of agent 1's logit, when agents choose 0 or 1 evenly and the reward counts ones. */
function agentGradient(agents: number, count: number, random: Random): Record<(typeof arms)[number], GradientMoments> {
  const first: number[] = [];
  const rewards: number[] = [];
  for (let k = 0; k < count; k++) {
    const actions = Array.from({ length: agents }, () => random.below(2));
    first.push(actions[0]);
    rewards.push(actions.reduce((sum, a) => sum + a, 0));
  }
  const shared = advantagesOf("dr-grpo", [rewards]);
  const moments = { shared: new GradientMoments(1), difference: new GradientMoments(1), coma: new GradientMoments(1) };
  for (let k = 0; k < count; k++) {
    const others = rewards[k] - first[k];
    const [difference] = differenceReward({ reward: rewards[k], reward_without: [others] });
    const coma = comaAdvantage({ q: [others, others + 1], policy: [0.5, 0.5], action: first[k] }).advantage;
    const score = first[k] - 0.5;
    moments.shared.add([shared[k] * score]);
    moments.difference.add([difference * score]);
    moments.coma.add([coma * score]);
  }
  return moments;
}

const choices = 4;
const leaves = 8;

/** Gradients of two agents of 4 actions, the second seeing the first's, on a table of success chances. */
class Pair {
  /** Row 0: the first agent; row 1 + a: the second after a. */
  readonly policy = new SoftmaxTable(1 + choices, choices);
  readonly success: number[];

  constructor(random: Random) {
    this.success = Array.from({ length: choices * choices }, () => random.uniform());
  }

  exact(): Float64Array {
    const gradient = this.policy.copy();
    for (let a = 0; a < choices; a++)
      for (let b = 0; b < choices; b++) {
        const weight = this.success[a * choices + b] / choices ** 2;
        gradient.accumulate(0, a, weight);
        gradient.accumulate(1 + a, b, weight);
      }
    return gradient.gradient.slice();
  }

  /** Gradient by eight leaves: replayed as a tree (4 first messages, 2 replies to each) or as eight chains. */
  sampled(replayed: boolean, random: Random): Float64Array {
    const firsts = Array.from({ length: replayed ? leaves / 2 : leaves }, () => this.policy.sample(0, random));
    const taken = Array.from({ length: leaves }, (_, i) => {
      const parent = replayed ? i >> 1 : i;
      return { parent, a: firsts[parent], b: this.policy.sample(1 + firsts[parent], random) };
    });
    const batch = batchFromObjects(
      taken.map(({ parent, a, b }, i) => ({
        id: `${i}`,
        group: "g",
        reward: random.uniform() < this.success[a * choices + b] ? 1 : 0,
        turns: { node: [`${parent}`, `${parent}.${i}`] },
      })),
    );
    const credited = replayed ? assign(batch, "counterfactual") : assign(batch, "grpo");
    const advantage = credited.numbers(replayed ? "turns.advantage" : "rollout.advantage");
    const weight = replayed ? credited.numbers("turns.weight") : null;
    taken.forEach(({ a, b }, i) => {
      this.policy.accumulate(0, a, weight === null ? advantage[i] : advantage[2 * i] * weight[2 * i]);
      this.policy.accumulate(1 + a, b, weight === null ? advantage[i] : advantage[2 * i + 1] * weight[2 * i + 1]);
    });
    const gradient = this.policy.gradient.slice();
    this.policy.gradient.fill(0);
    return gradient;
  }
}

function trial(seed: number, scale: Scale): Trial {
  const random = new Random(seed);
  const full = scale === "full";
  const measures: Record<string, number> = {};
  for (const agents of teams) {
    const moments = agentGradient(agents, full ? samples : 500, random);
    for (const arm of arms) {
      measures[`${arm}: mean, n = ${agents}`] = moments[arm].mean[0];
      measures[`${arm}: variance, n = ${agents}`] = Math.max(0, moments[arm].variance);
    }
  }
  let tree = 0;
  let chains = 0;
  const tables = full ? 500 : 20;
  for (let k = 0; k < tables; k++) {
    const pair = new Pair(random);
    const exact = pair.exact();
    tree += cosine(pair.sampled(true, random), exact) / tables;
    chains += cosine(pair.sampled(false, random), exact) / tables;
  }
  measures["replayed siblings: cosine"] = tree;
  measures["chains: cosine"] = chains;
  return { measures };
}

/** The same gradient on average, and how much of the others' luck is in it. */
export const experiment: Experiment = {
  id: "counterfactual",
  version: 1,
  claim:
    "Shared centred reward, difference reward and COMA give an agent the same mean gradient; its variance grows with " +
    "the number of agents for the first, stays for the second, and is 0 for the third with the exact Q.",
  environment:
    "n agents with binary actions (uniform), reward = number of ones, 20 000 draws. Limit: two agents of 4 actions " +
    "on a random table of success chances, 8 leaves, 500 tables per seed. Nothing is trained.",
  baseline: "dr-grpo (shared centred reward); grpo on 8 chains",
  seeds: 5,
  trial,
  findings: (summary) => [
    ...arms.map((arm) => {
      const means = teams.map((agents) => summary.mean(`${arm}: mean, n = ${agents}`));
      return {
        expected: `${arm}: mean gradient 0.25 for every n (within 0.01)`,
        measured: means.map((x) => x.toFixed(4)).join(" / "),
        holds: means.every((x) => Math.abs(x - 0.25) <= 0.01),
        kind: "claim" as const,
      };
    }),
    {
      expected: `shared: the variance is (n − 1)/16 (within 5 %; card: ${card.join(", ")})`,
      measured: teams.map((agents) => summary.mean(`shared: variance, n = ${agents}`).toFixed(3)).join(" / "),
      holds: teams.every(
        (agents) => Math.abs((16 * summary.mean(`shared: variance, n = ${agents}`)) / (agents - 1) - 1) <= 0.05,
      ),
      kind: "claim",
    },
    {
      expected: "difference reward: the variance stays at 1/16 (within 5 %)",
      measured: teams.map((agents) => summary.mean(`difference: variance, n = ${agents}`).toFixed(4)).join(" / "),
      holds: teams.every((agents) => Math.abs(16 * summary.mean(`difference: variance, n = ${agents}`) - 1) <= 0.05),
      kind: "claim",
    },
    {
      expected: "COMA with the exact Q: no variance",
      measured: `largest ${Math.max(...teams.map((agents) => summary.max(`coma: variance, n = ${agents}`))).toExponential(1)}`,
      holds: teams.every((agents) => summary.max(`coma: variance, n = ${agents}`) <= 1e-12),
      kind: "claim",
    },
    {
      expected: "with 8 leaves replayed siblings do not beat 8 chains (cosine 0.27 against 0.32 in the card)",
      measured: `${summary.text("replayed siblings: cosine", 3)} against ${summary.text("chains: cosine", 3)}`,
      holds: summary.mean("replayed siblings: cosine") <= summary.mean("chains: cosine"),
      kind: "limit",
    },
  ],
  plots: [
    {
      kind: "bars",
      title: "Variance of one agent's gradient",
      y: "variance",
      measures: arms.flatMap((arm) => teams.map((agents) => `${arm}: variance, n = ${agents}`)),
    },
  ],
  notes:
    "The default action of the difference reward is 0. The second agent of the limit sees the first one's message; " +
    "both methods with their defaults.",
};

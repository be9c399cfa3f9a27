import { assign } from "../../methods/assign.ts";
import { batchFromObjects } from "../../rollouts/index.ts";
import { Random } from "../random.ts";
import type { Experiment, Scale, Summary, Trial } from "./experiment.ts";

const trees = 400;
const children = 4;
const simulations = 4;
const steps = 5;
const rightChance = 0.8;
const luck = 0.35;

interface Simulation {
  tree: number;
  child: number;
  nodes: string[];
  sound: boolean[];
  verify: number[];
  reward: number;
}

/** All simulations of one tree: expanded children, each with steps that are simulated after it. */
function simulate(tree: number, toolChance: number, random: Random): Simulation[] {
  const judged = (sound: boolean) => (random.uniform() < toolChance === sound ? 1 : -1);
  const out: Simulation[] = [];
  for (let child = 0; child < children; child++) {
    const childSound = random.uniform() < rightChance;
    const childVerdict = judged(childSound);
    for (let s = 0; s < simulations; s++) {
      const sound = [childSound, ...Array.from({ length: steps }, () => random.uniform() < rightChance)];
      const verify = [childVerdict, ...sound.slice(1).map(judged)];
      const nodes = sound.map((_, k) => (k === 0 ? `c${child}` : `c${child}s${s}k${k}`));
      const reward = sound.every((one) => one) || random.uniform() < luck ? 1 : 0;
      out.push({ tree, child, nodes, sound, verify, reward });
    }
  }
  return out;
}

/** Share of numbers that say 1 where the step is sound and -1 where it is not. */
class Accuracy {
  #right = 0;
  #count = 0;

  add(label: number, sound: boolean): void {
    if (label > 0 === sound) this.#right++;
    this.#count++;
  }

  get value(): number {
    return this.#right / Math.max(this.#count, 1);
  }

  get count(): number {
    return this.#count;
  }
}

function study(toolChance: number, count: number, random: Random) {
  const all = Array.from({ length: count }, (_, tree) => simulate(tree, toolChance, random)).flat();
  const batch = batchFromObjects(
    all.map(({ tree, nodes, verify, reward }, i) => ({
      id: `${i}`,
      group: `${tree}`,
      reward,
      signals: { expand_step: 0 },
      steps: { node: nodes, verify },
    })),
  );
  const credited = assign(batch, "grounded-prm");
  const label = credited.numbers("steps.label");
  const keep = credited.numbers("steps.keep");
  const real = { kept: new Accuracy(), mixed: new Accuracy(), tool: new Accuracy(), outcome: new Accuracy() };
  const every = { kept: new Accuracy(), mixed: new Accuracy(), tool: new Accuracy() };
  let row = 0;
  all.forEach(({ sound, verify }, i) => {
    sound.forEach((one, k) => {
      for (const accuracies of k === 0 ? [real, every] : [every]) {
        accuracies.tool.add(verify[k], one);
        accuracies.mixed.add(label[row], one);
        if (keep[row] === 1) accuracies.kept.add(label[row], one);
      }
      row++;
    });
    if (i % simulations !== 0) return;
    const outcomes = all.slice(i, i + simulations).reduce((sum, { reward }) => sum + (reward > 0 ? 1 : -1), 0);
    real.outcome.add(outcomes, sound[0]);
  });
  return { real, every };
}

function trial(seed: number, scale: Scale): Trial {
  const random = new Random(seed);
  const measures: Record<string, number> = {};
  for (const toolChance of [0.8, 0.9]) {
    const { real, every } = study(toolChance, scale === "full" ? trees : 20, random);
    measures[`kept labels, tool ${toolChance}`] = real.kept.value;
    measures[`tool alone, tool ${toolChance}`] = real.tool.value;
    measures[`outcome only, tool ${toolChance}`] = real.outcome.value;
    measures[`all steps: kept labels, tool ${toolChance}`] = every.kept.value;
    measures[`all steps: tool alone, tool ${toolChance}`] = every.tool.value;
    measures[`all steps: labels without filter, tool ${toolChance}`] = every.mixed.value;
    measures[`coverage, tool ${toolChance}`] = every.kept.count / every.tool.count;
  }
  return { measures };
}

function compared(summary: Summary, label: string, against: string, margin: number, card: string) {
  return {
    expected: `${label}: at least ${against}${margin > 0 ? ` + ${margin}` : ""} (card: ${card})`,
    measured: `${summary.text(label, 3)} against ${summary.text(against, 3)}`,
    holds: summary.mean(label) >= summary.mean(against) + margin,
    kind: "claim" as const,
  };
}

/** Tool verdicts of what follows and the outcome, backed up and filtered by the step's own verdict. */
export const experiment: Experiment = {
  id: "grounded-prm",
  version: 1,
  claim:
    "On expanded nodes the labels that the filter keeps are more often right than the tool alone, and far more often " +
    "than the sign of the outcomes.",
  environment:
    "400 trees of 4 children, 4 simulations each with 5 steps; every step right with 0.8, outcome right if all are, " +
    "else with 0.35 by luck; tool right with 0.8 (and 0.9). Nothing is trained.",
  baseline: "the tool's verdict alone; the sign of the summed outcomes",
  seeds: 3,
  trial,
  findings: (summary) => [
    compared(summary, "kept labels, tool 0.8", "tool alone, tool 0.8", 0.05, "0.93 against 0.81"),
    compared(summary, "kept labels, tool 0.8", "outcome only, tool 0.8", 0.3, "0.93 against 0.49"),
    compared(summary, "kept labels, tool 0.9", "tool alone, tool 0.9", 0.05, "0.97 against 0.91"),
    compared(summary, "kept labels, tool 0.9", "outcome only, tool 0.9", 0.3, "0.97 against 0.49"),
    compared(summary, "all steps: kept labels, tool 0.8", "all steps: tool alone, tool 0.8", 0, "0.823 against 0.804"),
    {
      expected: "coverage is about one half (0.35 to 0.65)",
      measured: summary.text("coverage, tool 0.8", 3),
      holds: Math.abs(summary.mean("coverage, tool 0.8") - 0.5) <= 0.15,
      kind: "claim",
    },
    {
      expected: "without the filter the labels are not better than the tool over all steps",
      measured: `${summary.text("all steps: labels without filter, tool 0.8", 3)} against ${summary.text("all steps: tool alone, tool 0.8", 3)}`,
      holds:
        summary.mean("all steps: labels without filter, tool 0.8") <= summary.mean("all steps: tool alone, tool 0.8"),
      kind: "limit",
    },
  ],
  plots: [
    {
      kind: "bars",
      title: "Accuracy of labels on expanded nodes",
      y: "share right",
      measures: [0.8, 0.9].flatMap((tool) => [
        `outcome only, tool ${tool}`,
        `tool alone, tool ${tool}`,
        `kept labels, tool ${tool}`,
      ]),
    },
  ],
  notes:
    "The 5 steps of a simulation come after the expanded child. A child counts once per simulation, for the outcome " +
    "sign once.",
};

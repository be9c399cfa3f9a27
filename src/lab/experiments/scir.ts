import { agreedLabel, inconsistencyGradient } from "../../methods/preference/internal-models.ts";
import { sigmoid } from "../../operators/scalars.ts";
import { gaussian } from "../gaussian.ts";
import { Random } from "../random.ts";
import { atLeast } from "./bounds.ts";
import type { Experiment, Scale, Summary, Trial } from "./experiment.ts";

const width = 20;
const strength = 1.5;
const noise = 0.9;
const entropyWeight = 0.1;
const rate = 0.5;

const range = (summary: Summary, name: string) => `${summary.min(name).toFixed(3)} to ${summary.max(name).toFixed(3)}`;

const normal = (random: Random) => Float64Array.from({ length: width }, () => gaussian(random));

function dot(u: Float64Array, x: Float64Array): number {
  let sum = 0;
  for (let k = 0; k < width; k++) sum += u[k] * x[k];
  return sum;
}

/** Weights of a model that knows the truth up to noise of its own. */
function modelOf(truth: Float64Array, random: Random): Float64Array {
  return truth.map((w) => strength * (w + (noise * gaussian(random)) / Math.sqrt(width)));
}

/** How well two models do on fresh pairs, and how well the label does on which they agree. */
function judge(models: readonly Float64Array[], truth: Float64Array, pairs: readonly Float64Array[]) {
  const right = [0, 0];
  let [agreed, agreedRight] = [0, 0];
  for (const x of pairs) {
    const label = dot(truth, x) > 0 ? 1 : -1;
    const probs = models.map((u) => sigmoid(dot(u, x)));
    probs.forEach((p, k) => {
      right[k] += p > 0.5 === label > 0 ? 1 : 0;
    });
    const said = agreedLabel(probs, 0);
    agreed += Math.abs(said);
    agreedRight += said === label ? 1 : 0;
  }
  const [first, second] = right.map((n) => n / pairs.length);
  return {
    agreement: agreed / pairs.length,
    accuracy: (first + second) / 2,
    gain: agreedRight / agreed - Math.max(first, second),
    agreedAccuracy: agreedRight / agreed,
  };
}

/** One step of both models down the mean penalty of the pairs. */
function descend(models: readonly Float64Array[], pairs: readonly Float64Array[]): void {
  const steps = models.map(() => new Float64Array(width));
  for (const x of pairs) {
    const probs = models.map((u) => sigmoid(dot(u, x)));
    inconsistencyGradient(probs, entropyWeight).forEach((slope, k) => {
      const weight = (slope * probs[k] * (1 - probs[k])) / pairs.length;
      for (let i = 0; i < width; i++) steps[k][i] += weight * x[i];
    });
  }
  models.forEach((u, k) => {
    for (let i = 0; i < width; i++) u[i] -= rate * steps[k][i];
  });
}

function trial(seed: number, scale: Scale): Trial {
  const random = new Random(seed);
  const full = scale === "full";
  const direction = normal(random);
  const length = Math.sqrt(dot(direction, direction));
  const truth = direction.map((x) => x / length);
  const models = [modelOf(truth, random), modelOf(truth, random)];
  const pairs = Array.from({ length: full ? 2000 : 200 }, () => normal(random));
  const fresh = Array.from({ length: full ? 4000 : 400 }, () => normal(random));
  const before = judge(models, truth, fresh);
  const agreement: number[] = [];
  const accuracy: number[] = [];
  const steps = full ? 300 : 30;
  for (let step = 0; step < steps; step++) {
    if (step % 10 === 0) {
      const now = judge(models, truth, fresh.slice(0, 1000));
      agreement.push(now.agreement);
      accuracy.push(now.accuracy);
    }
    descend(models, pairs);
  }
  const after = judge(models, truth, fresh);
  return {
    measures: {
      "agreement before": before.agreement,
      "agreement after": after.agreement,
      "accuracy before": before.accuracy,
      "accuracy after": after.accuracy,
      "gain of accuracy": after.accuracy - before.accuracy,
      "accuracy where both agree, before": before.agreedAccuracy,
      "agreed label above the better model, before": before.gain,
      "agreed label above the better model, after": after.gain,
    },
    curves: { agreement, accuracy },
  };
}

/**
 * Making two internal models agree, with no label at all, makes both better; where they agree from the start, trust
 * them.
 */
export const experiment: Experiment = {
  id: "scir",
  version: 1,
  claim:
    "Trained on nothing but their inconsistency, two noisy models of one truth come to agree and become more " +
    "accurate; what they agree on beforehand is more often right than either.",
  environment:
    "Truth: a direction in 20 dimensions; two logistic models with 1.5 times that direction plus noise of their own. " +
    "2000 unlabelled pairs, penalty with entropy weight 0.1, rate 0.5, 300 full-batch steps; 4000 fresh pairs.",
  baseline: "the models before training",
  seeds: 6,
  trial,
  findings: (summary) => [
    {
      expected: "agreement before training between 0.65 and 0.81",
      measured: `${summary.text("agreement before", 3)}, ${range(summary, "agreement before")}`,
      holds: summary.min("agreement before") >= 0.65 && summary.max("agreement before") <= 0.81,
      kind: "limit",
    },
    atLeast(summary, "agreement after", 0.98),
    {
      expected: "mean accuracy of the two models rises in every seed (from 0.76–0.82 to 0.81–0.87)",
      measured:
        `${summary.text("accuracy before", 3)} to ${summary.text("accuracy after", 3)}, ` +
        `gains ${range(summary, "gain of accuracy")}`,
      holds: summary.min("gain of accuracy") > 0,
      kind: "claim",
    },
    atLeast(summary, "agreed label above the better model, before", 0.05),
    {
      expected: "once the models agree everywhere, selection filters nothing any more",
      measured: `agreed label above the better model: ${summary.text("agreed label above the better model, after", 4)}`,
      holds: summary.max("agreed label above the better model, after") < 0.01,
      kind: "limit",
    },
  ],
  plots: [
    {
      kind: "lines",
      title: "Two models trained on their inconsistency alone",
      x: "step",
      y: "share of fresh pairs",
      curves: ["agreement", "accuracy"],
      every: 10,
    },
  ],
  notes:
    "The gradient and the agreed label are the method's own (the pieces behind scirPenalty and scirSelect). The " +
    "agreement at the start is that of the draw of the models, which the card gives for its own seeds.",
};

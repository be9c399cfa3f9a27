import {
  type Experiment,
  type ExperimentPlot,
  type Finding,
  Summary,
  type Verdict,
  verdictOf,
} from "../../lab/experiments/experiment.ts";
import type { TimedTrial } from "./trial-file.ts";

/** What a run of an experiment has shown, with the numbers behind it: the file docs/claims/ID.json. */
export interface Evidence {
  id: string;
  title: string;
  version: number;
  claim: string;
  environment: string;
  baseline: string;
  notes: string | null;
  /** How many seeds were run, from 1 on, and how many the experiment asks for. */
  seeds: number;
  wantedSeeds: number;
  /** Time of all trials on one core. */
  seconds: number;
  verdict: Verdict;
  findings: Finding[];
  plots: readonly ExperimentPlot[];
  /** Every measure, a number per seed. */
  measures: Record<string, number[]>;
}

const rounded = (value: number, digits: number) => Number(value.toPrecision(digits));

/** The evidence of the trials of one experiment. */
export function evidenceOf(experiment: Experiment, title: string, trials: readonly TimedTrial[]): Evidence {
  const summary = new Summary(trials.map(({ trial }) => trial));
  const findings = experiment.findings(summary);
  const names = Object.keys(trials[0].trial.measures);
  const milliseconds = trials.reduce((sum, one) => sum + one.milliseconds, 0);
  return {
    id: experiment.id,
    title,
    version: experiment.version,
    claim: experiment.claim,
    environment: experiment.environment,
    baseline: experiment.baseline,
    notes: experiment.notes ?? null,
    seeds: trials.length,
    wantedSeeds: experiment.seeds,
    seconds: rounded(milliseconds / 1000, 2),
    verdict: verdictOf(findings),
    findings,
    plots: experiment.plots,
    measures: Object.fromEntries(names.map((name) => [name, summary.values(name).map((value) => rounded(value, 8))])),
  };
}

/** How many of the claimed relations were found: "4 of 5". */
export function heldOf({ findings }: Evidence): string {
  const claims = findings.filter(({ kind }) => kind === "claim");
  return `${claims.filter(({ holds }) => holds).length} of ${claims.length}`;
}

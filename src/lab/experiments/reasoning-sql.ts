import { assign } from "../../methods/assign.ts";
import { executionReward, schemaLinkingReward, sqlNgramSimilarity } from "../../methods/verifier/reasoning-sql.ts";
import { batchFromObjects } from "../../rollouts/index.ts";
import { Random } from "../random.ts";
import { SoftmaxTable } from "../softmax-table.ts";
import { atLeast, atMost } from "./bounds.ts";
import type { Experiment, Scale, Trial } from "./experiment.ts";

const questions = 8;
const groupSize = 6;

/** Words of the four slots of a query; those of the last three are tables and columns. */
const words = [
  ["COUNT", "SUM", "AVG", "MIN", "MAX", "TOTAL"],
  ["price", "weight", "height", "age", "score", "size"],
  ["shops", "people", "films", "trains", "rivers", "games"],
  ["city", "year", "colour", "owner", "status", "kind"],
];

function queryOf(chosen: readonly number[]): string {
  const [aggregate, column, table, filter] = chosen.map((word, slot) => words[slot][word]);
  return `SELECT ${aggregate}(${column}) FROM ${table} WHERE ${filter} = 1`;
}

type Channels = Readonly<Record<"execution" | "syntax" | "schema_linking" | "ngram", number>>;

/** Rewards of a query against the right one; equal queries are scored once. */
function scorer(): (predicted: string, gold: string) => Channels {
  const known = new Map<string, Channels>();
  return (predicted, gold) => {
    const key = `${predicted}\n${gold}`;
    const found = known.get(key) ?? {
      execution: executionReward({ sql: predicted, match: predicted === gold }),
      syntax: 1,
      schema_linking: schemaLinkingReward({ predicted, gold }),
      ngram: sqlNgramSimilarity({ predicted, gold }),
    };
    known.set(key, found);
    return found;
  };
}

/** Mean over questions of the exact chance of the right query, before every update and at the end. */
function train(partial: boolean, seed: number, updates: number): number[] {
  const random = new Random(seed);
  const slots = words.length;
  const policy = new SoftmaxTable(questions * slots, words[0].length);
  const gold = Array.from({ length: questions }, () => words.map((list) => random.below(list.length)));
  const golden = gold.map(queryOf);
  const score = scorer();
  const chance = () =>
    gold.reduce((sum, right, q) => {
      return sum + right.reduce((p, word, slot) => p * policy.probability(q * slots + slot, word), 1);
    }, 0) / questions;
  const curve = [chance()];
  for (let update = 0; update < updates; update++) {
    const samples = Array.from({ length: questions * groupSize }, (_, i) => {
      const question = Math.floor(i / groupSize);
      return { question, chosen: words.map((_, slot) => policy.sample(question * slots + slot, random)) };
    });
    const rollouts = samples.map(({ question, chosen }, i) => {
      const channels = score(queryOf(chosen), golden[question]);
      return {
        id: `${i}`,
        group: `${question}`,
        rewards: partial ? channels : { execution: channels.execution },
      };
    });
    const advantage = assign(batchFromObjects(rollouts), "reasoning-sql").numbers("rollout.advantage");
    samples.forEach(({ question, chosen }, i) => {
      chosen.forEach((word, slot) => {
        policy.accumulate(question * slots + slot, word, advantage[i] / groupSize);
      });
    });
    policy.ascend(0.5);
    curve.push(chance());
  }
  return curve;
}

function trial(seed: number, scale: Scale): Trial {
  const updates = scale === "full" ? 300 : 6;
  const partial = train(true, seed, updates);
  const execution = train(false, seed, updates);
  const thinned = (curve: readonly number[]) => curve.filter((_, t) => t % 3 === 0);
  return {
    measures: {
      "exact query, partial rewards": partial[updates],
      "exact query, execution only": execution[updates],
    },
    curves: { "partial rewards": thinned(partial), "execution only": thinned(execution) },
  };
}

/** Rewards for the parts of a query lead to the whole, which is too rare to be found by chance. */
export const experiment: Experiment = {
  id: "reasoning-sql",
  version: 1,
  claim: "Partial rewards for syntax, schema and likeness learn every query; execution alone learns few.",
  environment:
    "8 questions; a query of an aggregate, a column, a table and a filter, 6 options each, the right one 1 in 1296 at " +
    "first. Softmax per question and slot, groups of 6 for every question, rate 0.5, 300 updates.",
  baseline: "reasoning-sql with the execution reward alone",
  seeds: 5,
  trial,
  findings: (summary) => [
    atLeast(summary, "exact query, partial rewards", 0.95),
    atMost(summary, "exact query, execution only", 0.4),
  ],
  plots: [
    {
      kind: "lines",
      title: "Chance of the right query",
      x: "update",
      y: "mean exact chance",
      curves: ["partial rewards", "execution only"],
      every: 3,
    },
  ],
  notes:
    "Queries are texts scored by the functions of the method; every query runs, and a wrong one never returns the rows of " +
    "the right one. Every update samples all questions, the gradient is the mean over a group of the sum over slots.",
};

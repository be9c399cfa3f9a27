import { assign } from "../../methods/assign.ts";
import { batchFromObjects } from "../../rollouts/index.ts";
import { Random } from "../random.ts";
import { SoftmaxTable } from "../softmax-table.ts";
import { atLeast, atMost } from "./bounds.ts";
import { accumulateDecisions } from "./decisions.ts";
import { collapsedShare, type EvidenceChain, search, successOf } from "./evidence-chain.ts";
import type { Experiment, Scale, Trial } from "./experiment.ts";

const chain: EvidenceChain = {
  pieces: 5,
  searches: 8,
  actions: 10,
  success: [0.01, 0.01, 0.01, 0.01, 0.01, 0.95],
  logprob: [-3, -2.5, -2, -1.4, -0.7, -0.05],
};
const groups = 4;
const groupSize = 8;

interface Run {
  curve: number[];
  /** Exact success at the end. */
  success: number;
  collapse: number;
}

function train(turnWeight: number, rate: number, updates: number, seed: number): Run {
  const random = new Random(seed);
  const policy = new SoftmaxTable(chain.pieces, chain.actions);
  const curve: number[] = [];
  let collapse = 0;
  for (let update = 0; update < updates; update++) {
    curve.push(successOf(chain, policy));
    const episodes = Array.from({ length: groups * groupSize }, () => search(chain, policy, random));
    const rollouts = episodes.map(({ logprobs, reward }, i) => ({
      id: `r${i}`,
      group: `g${Math.floor(i / groupSize)}`,
      reward,
      signals: { gt_logprob_0: chain.logprob[0] },
      turns: { gt_logprob: logprobs },
    }));
    const credit = assign(batchFromObjects(rollouts), "trace", { turn_weight: turnWeight });
    const advantage = credit.numbers("turns.advantage");
    accumulateDecisions(
      policy,
      episodes.map(({ decisions }) => decisions),
      advantage,
      1 / episodes.length,
    );
    policy.ascend(rate);
    collapse += collapsedShare(advantage, groups) / updates;
  }
  return { curve, success: successOf(chain, policy), collapse };
}

function trial(seed: number, scale: Scale): Trial {
  const updates = scale === "full" ? 200 : 20;
  const full = train(0.2, 2, updates, seed);
  const outcome = train(0, 2, updates, seed);
  const slow = train(0.2, 0.3, Math.min(updates, 150), seed);
  return {
    measures: {
      "trace success": full.success,
      "outcome-only success": outcome.success,
      "trace groups without a gradient": full.collapse,
      "outcome-only groups without a gradient": outcome.collapse,
      "trace success, rate 0.3": slow.success,
    },
    curves: { trace: full.curve, "outcome only": outcome.curve },
  };
}

/** Values read off a frozen scorer pay tool turns long before the first success. */
export const experiment: Experiment = {
  id: "trace",
  version: 1,
  claim: "Temporal differences of a frozen scorer's gap to the gold answer learn where the outcome alone gets stuck.",
  environment:
    "5 pieces of evidence, 8 tool turns, 10 actions of which one finds the next piece; success 0.95 with all pieces, " +
    "else 0.01. Tabular softmax, 200 updates of 4 groups of 8, rate 2 (mean over rollouts, sum over turns).",
  baseline: "trace with turn_weight 0 (group-relative outcome)",
  seeds: 5,
  trial,
  findings: (summary) => {
    const failed = summary.values("outcome-only success").filter((x) => x < 0.5).length;
    return [
      atLeast(summary, "trace success", 0.9),
      {
        expected: "outcome only fails (success below 0.5) in at least two of five seeds",
        measured: `fails in ${failed}: ${summary
          .values("outcome-only success")
          .map((x) => x.toFixed(2))
          .join(", ")}`,
        holds: failed >= 2,
        kind: "claim",
      },
      atMost(summary, "trace groups without a gradient", 0.05, { over: "mean" }),
      atLeast(summary, "outcome-only groups without a gradient", 0.7, { over: "mean" }),
      atMost(summary, "trace success, rate 0.3", 0.1, { over: "mean", kind: "limit" }),
    ];
  },
  plots: [
    { kind: "lines", title: "Exact success", x: "update", y: "success", curves: ["trace", "outcome only"] },
    {
      kind: "bars",
      title: "Groups without a gradient",
      y: "share",
      measures: ["trace groups without a gradient", "outcome-only groups without a gradient"],
    },
  ],
  notes:
    "Success is the exact chance under the policy after the last update. The limit is shown at 150 updates of rate " +
    "0.3.",
};

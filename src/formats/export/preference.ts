import { z } from "zod";
import { type Batch, InputError, levelOf } from "../../rollouts/index.ts";
import { canonicalJson } from "../import/digest.ts";
import { type Conversation, conversationOf } from "./conversation.ts";
import { type Credit, creditColumn, firstColumn } from "./credit.ts";
import { defineExporter, type Row, type Tally } from "./exporter.ts";

const params = z.object({
  column: z
    .string()
    .optional()
    .describe("rollout-level column that ranks (default: rollout.advantage where there is one, else rollout.reward)"),
  pairs: z
    .enum(["best-worst", "all"])
    .default("best-worst")
    .describe("one pair of the best and the worst of each group, or every pair that differs enough"),
  min_margin: z.number().min(0).default(0).describe("pairs must differ by more than this"),
  different_prompts: z
    .enum(["leave-out", "chosen"])
    .default("leave-out")
    .describe("pairs whose prompts differ: leave them out, or let the prompt of the chosen one stand for both"),
});
type Params = z.output<typeof params>;

interface Member {
  i: number;
  credit: number;
  talk: Conversation;
  promptKey: string;
}

const nothingDiffers = "nothing in its group differs";
const differingPrompts = "the prompts of its pairs differ (different_prompts=chosen takes one for both)";

/** Members of a group that can be compared; the others go to the tally. */
function comparable(batch: Batch, tally: Tally, members: Int32Array, credit: Credit): Member[] {
  const found: Member[] = [];
  for (const i of members) {
    const talk = conversationOf(batch, i);
    if (!credit.has(i)) tally.leaveOut(batch.ids[i], `no ${credit.path}`);
    else if (typeof talk === "string") tally.leaveOut(batch.ids[i], talk);
    else found.push({ i, credit: credit.values[i], talk, promptKey: canonicalJson(talk.prompt) });
  }
  return found;
}

/** Candidates for pairs, better one first: best against worst (the first of equals), or all. */
function candidates(members: readonly Member[], pairs: Params["pairs"]): [Member, Member][] {
  if (members.length < 2) return [];
  if (pairs === "best-worst") {
    const best = members.reduce((a, b) => (b.credit > a.credit ? b : a));
    const worst = members.reduce((a, b) => (b.credit < a.credit ? b : a));
    return [[best, worst]];
  }
  return members.flatMap((a, k) =>
    members.slice(k + 1).map((b): [Member, Member] => (b.credit > a.credit ? [b, a] : [a, b])),
  );
}

function* groupRows(batch: Batch, tally: Tally, members: readonly Member[], p: Params): Generator<Row> {
  const used = new Set<Member>();
  const refused = new Map<Member, string>();
  const refuse = (pair: readonly Member[], reason: string) => {
    for (const member of pair) if (!refused.has(member)) refused.set(member, reason);
  };
  const equal = members.every((member) => member.credit === members[0].credit);
  if (equal && members.length > 1) refuse(members, nothingDiffers);
  for (const [chosen, rejected] of equal ? [] : candidates(members, p.pairs)) {
    const margin = chosen.credit - rejected.credit;
    const pair = [chosen, rejected];
    if (!(margin > p.min_margin)) refuse(pair, margin > 0 ? "the margin is too small" : nothingDiffers);
    else if (chosen.promptKey !== rejected.promptKey && p.different_prompts === "leave-out") {
      refuse(pair, differingPrompts);
    } else if (canonicalJson(chosen.talk.completion) === canonicalJson(rejected.talk.completion)) {
      refuse(pair, "its pairs say the same");
    } else {
      used.add(chosen).add(rejected);
      yield {
        prompt: chosen.talk.prompt,
        chosen: chosen.talk.completion,
        rejected: rejected.talk.completion,
        margin,
        chosen_id: batch.ids[chosen.i],
        rejected_id: batch.ids[rejected.i],
        group: batch.groupNames[chosen.i],
      };
    }
  }
  tally.exported += used.size;
  const otherwise = members.length < 2 ? "alone in its group" : "neither best nor worst of its group";
  for (const member of members) {
    if (!used.has(member)) tally.leaveOut(batch.ids[member.i], refused.get(member) ?? otherwise);
  }
}

/** The column to rank by; it has one value per rollout. */
export function rankingColumn(batch: Batch, asked: string | undefined): Credit {
  const path = asked ?? firstColumn(batch, ["rollout.advantage", "rollout.reward"]) ?? "rollout.reward";
  if (levelOf(path) !== "rollout") {
    throw new InputError("this export needs one value per rollout", {
      column: path,
      expected: "a rollout-level column such as rollout.advantage, rollout.reward or rewards.NAME",
    });
  }
  return creditColumn(batch, path);
}

/** Pairs of a better and a worse answer for DPO and its kin. */
export const preference = defineExporter({
  id: "preference",
  title: "preference pairs JSONL",
  describe:
    "One line per pair of rollouts of a group: prompt, chosen, rejected and the margin between their credits. Groups must " +
    "come whole, as readers give them.",
  trainer: "TRL DPOTrainer and reward-model trainers",
  format: "jsonl",
  reads: ["rollout.advantage | rollout.reward", "messages | meta.prompt", "group"],
  params,
  start: (p) => {
    const closed = new Set<string>();
    return function* (batch, tally) {
      const credit = rankingColumn(batch, p.column);
      const { count, offsets, members } = batch.groups();
      for (let g = 0; g < count; g++) {
        const inGroup = members.subarray(offsets[g], offsets[g + 1]);
        const name = batch.groupNames[inGroup[0]];
        if (name !== null && closed.has(name)) {
          throw new InputError(`group ${JSON.stringify(name)} comes in two places`, {
            rollout: batch.ids[inGroup[0]],
            hint: "sort the rollouts by group first",
          });
        }
        if (name !== null) closed.add(name);
        yield* groupRows(batch, tally, comparable(batch, tally, inGroup, credit), p);
      }
    };
  },
});

import type { GroupsSummary } from "../../analysis/groups.ts";
import type { Member } from "../../analysis/members.ts";
import { creditAtLevel } from "../../analysis/series.ts";
import { transcriptOf } from "../../analysis/transcript.ts";
import type { Batch } from "../../rollouts/index.ts";
import { type GroupOrder, sortGroups } from "./groups.ts";
import { shownColumns, unitOf } from "./rollout.ts";

/** One rollout as JSON: what each row said, and its credit by column; token columns also token by token. */
function rolloutJson(batch: Batch, rollout: number, paths: readonly string[]) {
  const shown = shownColumns(batch, paths);
  const transcript = transcriptOf(batch, rollout, unitOf(batch, shown));
  const level = transcript.unit === "message" ? "rollout" : transcript.unit;
  const first = level === "rollout" ? rollout : batch.offsets(level)[rollout];
  const numbers = shown.map(({ path, level: own, credit }) => {
    const placed = creditAtLevel(batch, { name: path, levels: { [own]: credit } }, level);
    return (row: number) => (placed === null || placed.valid?.[row] === 0 ? null : placed.values[row]);
  });
  const creditOf = (row: number) => Object.fromEntries(shown.map(({ path }, k) => [path, numbers[k](row)]));
  const rows = transcript.rows.map(({ row, agent, text, calls, observation, state }) => {
    return {
      row,
      agent,
      text,
      tool_calls: calls,
      observation,
      state,
      credit: creditOf(level === "rollout" ? first : first + row),
    };
  });
  const tokens = batch.offsets("token");
  const ofTokens = shown.filter((column) => column.level === "token");
  const tokenCredit = Object.fromEntries(
    ofTokens.map(({ path, credit }) => [
      path,
      Array.from(credit.values.subarray(tokens[rollout], tokens[rollout + 1])),
    ]),
  );
  const { id, group, reward, unit, before } = transcript;
  const said = before.map(({ role, text, calls }) => ({ role, text, tool_calls: calls }));
  return { id, group, reward, unit, before: said, rows, ...(ofTokens.length > 0 ? { tokens: tokenCredit } : {}) };
}

/** All that `inspect` shows, as one JSON object. */
export function inspection(
  summary: GroupsSummary,
  order: GroupOrder,
  columns: readonly string[],
  chosen: readonly { batch: Batch; rollout: number }[],
  members: readonly Member[] | null,
) {
  const { groups, rollouts, unscored, binary, mean, withoutSpread, unit, lengths } = summary;
  return {
    rollouts,
    unscored,
    binary,
    mean,
    groups_without_spread: withoutSpread,
    length_unit: unit,
    lengths,
    columns,
    groups: sortGroups(groups, order),
    ...(members === null ? {} : { members }),
    shown: chosen.map(({ batch, rollout }) => rolloutJson(batch, rollout, columns)),
  };
}

import fc from "fast-check";
import { expect, test } from "vitest";
import { answered, exported } from "./credited.ts";

const group = [
  answered("a", "g", { reward: 0.2 }),
  answered("b", "g", { reward: 0.9 }),
  answered("c", "g", { reward: 0.5 }),
  answered("d", "g", { reward: 0.9 }),
];
const pairsOf = (rows: Record<string, unknown>[]) => rows.map((row) => `${row.chosen_id}>${row.rejected_id}`);

test("the best and the worst of a group make a pair; the first of equals counts", async () => {
  const { rows, report } = await exported("preference", [group]);
  expect(rows).toEqual([
    {
      prompt: [{ role: "user", content: "why?" }],
      chosen: [{ role: "assistant", content: "because b" }],
      rejected: [{ role: "assistant", content: "because a" }],
      margin: expect.closeTo(0.7),
      chosen_id: "b",
      rejected_id: "a",
      group: "g",
    },
  ]);
  expect(report).toMatchObject({ rollouts: 4, exported: 2, rows: 1 });
  expect(report.leftOut).toEqual([{ reason: "neither best nor worst of its group", count: 2, ids: ["c", "d"] }]);
});

test("all pairs differ by more than the margin, better one first", async () => {
  const { rows } = await exported("preference", [group], { pairs: "all", min_margin: 0.35 });
  expect(pairsOf(rows).sort()).toEqual(["b>a", "b>c", "d>a", "d>c"]);
});

test("the advantage ranks where there is one, and a column can be named", async () => {
  const both = [
    answered("a", "g", { reward: 1, advantage: -1, rewards: { style: 3 } }),
    answered("b", "g", { reward: 0, advantage: 1, rewards: { style: 4 } }),
  ];
  expect(pairsOf((await exported("preference", [both])).rows)).toEqual(["b>a"]);
  expect(pairsOf((await exported("preference", [both], { column: "rollout.reward" })).rows)).toEqual(["a>b"]);
  const styled = await exported("preference", [both], { column: "rewards.style" });
  expect(styled.rows[0].margin).toBe(1);
});

test("what cannot be paired is counted with its reason", async () => {
  const { report } = await exported("preference", [
    [
      ...group,
      answered("alone", "h", { reward: 1 }),
      answered("same1", "i", { reward: 1 }),
      answered("same2", "i", { reward: 1 }),
      answered("unscored", "j", { reward: null }),
      { id: "silent", group: "j", reward: 1 },
      answered("p1", "k", { reward: 1 }, "one?"),
      answered("p2", "k", { reward: 0 }, "two?"),
    ],
  ]);
  const reasons = Object.fromEntries(report.leftOut.map(({ reason, ids }) => [reason, ids]));
  expect(reasons).toMatchObject({
    "alone in its group": ["alone"],
    "nothing in its group differs": ["same1", "same2"],
    "no rollout.reward": ["unscored"],
    "neither messages nor meta.prompt and meta.completion": ["silent"],
    "the prompts of its pairs differ (different_prompts=chosen takes one for both)": ["p1", "p2"],
  });
  expect(report.exported + report.leftOut.reduce((sum, { count }) => sum + count, 0)).toBe(report.rollouts);
});

test("differing prompts can be bridged with the prompt of the chosen one", async () => {
  const pair = [answered("p1", "k", { reward: 1 }, "one?"), answered("p2", "k", { reward: 0 }, "two?")];
  const { rows } = await exported("preference", [pair], { different_prompts: "chosen" });
  expect(rows[0]).toMatchObject({ prompt: [{ role: "user", content: "one?" }], chosen_id: "p1" });
});

test("text prompts stay text", async () => {
  const text = (id: string, reward: number) => ({ id, group: "g", reward, meta: { prompt: "2+2=", completion: id } });
  const { rows } = await exported("preference", [[text("4", 1), text("5", 0)]]);
  expect(rows[0]).toMatchObject({ prompt: "2+2=", chosen: "4", rejected: "5" });
});

test("a group in two batches is refused, a column of another level too", async () => {
  await expect(exported("preference", [group, [answered("late", "g", { reward: 1 })]])).rejects.toThrow(
    /group "g" comes in two places/,
  );
  await expect(exported("preference", [group], { column: "turns.reward" })).rejects.toThrow(/one value per rollout/);
  await expect(exported("preference", [group], { column: "rewards.none" })).rejects.toThrow(/rewards\.none.*missing/);
});

test("every pair prefers, stays in its group, and the counts add up", async () => {
  const rewards = fc.array(fc.record({ group: fc.constantFrom("g", "h"), reward: fc.integer({ min: 0, max: 3 }) }), {
    minLength: 1,
    maxLength: 12,
  });
  await fc.assert(
    fc.asyncProperty(rewards, fc.constantFrom("all", "best-worst"), async (list, pairs) => {
      const rollouts = list.map(({ group: name, reward }, k) => answered(`r${k}`, name, { reward }));
      const result = await exported("preference", [rollouts], { pairs }).catch((error: Error) => error);
      const differs = ["g", "h"].some(
        (name) => new Set(list.filter((x) => x.group === name).map((x) => x.reward)).size > 1,
      );
      if (result instanceof Error) {
        expect(differs).toBe(false);
        return;
      }
      for (const { chosen_id, rejected_id, margin } of result.rows) {
        const [chosen, rejected] = [chosen_id, rejected_id].map((id) => list[Number(String(id).slice(1))]);
        expect(chosen.group).toBe(rejected.group);
        expect(chosen.reward - rejected.reward).toBe(margin);
        expect(margin).toBeGreaterThan(0);
      }
      const left = result.report.leftOut.reduce((sum, { count }) => sum + count, 0);
      expect(left + result.report.exported).toBe(rollouts.length);
    }),
    { numRuns: 40 },
  );
});

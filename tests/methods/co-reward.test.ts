import fc from "fast-check";
import { expect, test } from "vitest";
import { assign } from "../../src/methods/assign.ts";
import { emaTeacherWeight, majorityVote } from "../../src/methods/verifier/co-reward.ts";
import { batchFromObjects } from "../../src/rollouts/index.ts";
import { expectNear } from "../operators/arbitraries.ts";
import { credit } from "./credit.ts";
import { groupNormalised } from "./plain.ts";

const answer = fc.constantFrom("1", "2", "3", " ", "", null);

/** The answer that no other one outnumbers, the earliest of those. */
function voted(answers: readonly (string | null)[]): string {
  const votes = answers.filter((a) => a !== null && a.trim() !== "") as string[];
  const count = (a: string) => votes.filter((b) => b === a).length;
  return votes.find((a) => votes.every((b) => count(b) <= count(a))) ?? "";
}

const rollouts = fc
  .array(fc.tuple(fc.constantFrom("q1", "q1r", "q2", "q2r"), answer, fc.constantFrom("teacher", "student")), {
    minLength: 1,
    maxLength: 10,
  })
  // Each of the four phrasings has one rollout at least.
  .map((list) => [...["q1", "q1r", "q2", "q2r"].map((group) => [group, "1", "student"] as const), ...list])
  .map((list) =>
    list.map(([group, answer, role], i) => {
      return { id: `r${i}`, group, signals: { answer, role, pair: group.slice(0, 2) } };
    }),
  );

test("every mode grades by the vote of its voters", () => {
  fc.assert(
    fc.property(rollouts, fc.constantFrom("cross", "self", "teacher"), (list, mode) => {
      const result = assign(batchFromObjects(list), "co-reward", { mode });
      const labels = list.map(({ group }) => {
        const source = mode !== "cross" ? group : group.endsWith("r") ? group.slice(0, 2) : `${group}r`;
        const voters = list.filter((r) => r.group === source && (mode !== "teacher" || r.signals.role === "teacher"));
        return voted(voters.map((r) => r.signals.answer));
      });
      expect([...result.strings("rollout.pseudo_label")]).toEqual(labels);
      const graded = list.map(({ signals }) => mode !== "teacher" || signals.role !== "teacher");
      const rewards = list.map(({ signals }, i) =>
        Number(graded[i] && labels[i] !== "" && signals.answer === labels[i]),
      );
      expect(Array.from(result.numbers("rollout.reward"))).toEqual(rewards);
      // Teachers stand apart, each in a group of its own that nobody shares.
      const pools = list.map(({ group, id }, i) => (graded[i] ? group : id));
      const expected = groupNormalised(rewards, pools, 1e-6, (r) => r / (1 + 1e-6)).map((a, i) => (graded[i] ? a : 0));
      expectNear(result.numbers("rollout.advantage"), expected);
    }),
  );
});

test("says which pair does not have two phrasings", () => {
  const one = (id: string, group: string, pair?: string | number) => ({
    id,
    group,
    signals: { answer: "1", ...(pair === undefined ? {} : { pair }) },
  });
  expect(() => credit("co-reward", [one("a", "g", "p")])).toThrow(/"p" has 1 groups/);
  expect(() => credit("co-reward", [one("a", "g", "p"), one("b", "g", "q")])).toThrow(/as in rollout a/);
  expect(() => credit("co-reward", [one("a", "g", "p"), one("b", "h")])).toThrow(/signals\.pair.*missing/);
  expect(credit("co-reward", [one("a", "g", 7), one("b", "h", 7)])).toHaveLength(2);
  const number = [{ id: "a", group: "g", signals: { answer: 5 } }];
  expect(() => credit("co-reward", number, { mode: "self" })).toThrow(/text or null/);
});

test("votes are exact strings, and the teacher slows down along a cosine", () => {
  expect(majorityVote({ answers: ["x ", "x", "x ", null, " "] })).toBe("x ");
  expectNear([emaTeacherWeight({ step: 0, total: 10 }), emaTeacherWeight({ step: 10, total: 10 })], [0.99, 0.99999]);
});

import fc from "fast-check";
import { expect, test } from "vitest";
import { assign } from "../../src/methods/assign.ts";
import { capoTokenReward, voteSteps } from "../../src/methods/judge/capo.ts";
import { batchFromObjects, InputError, type RolloutObject } from "../../src/rollouts/index.ts";
import { credit, warningsOf } from "./credit.ts";

const rules = ["intersection", "majority", "union", "average", "greedy"] as const;
const mark = fc.constantFrom<0 | 1>(0, 1);
const critiques = fc
  .integer({ min: 1, max: 4 })
  .chain((steps) => fc.array(fc.array(mark, { minLength: steps, maxLength: steps }), { minLength: 1, maxLength: 5 }));

test("a step that all mark is wrong to half of them, one that half mark is wrong to some", () => {
  fc.assert(
    fc.property(critiques, (list) => {
      const [all, half, any, share, first] = rules.map((how) => voteSteps({ critiques: list, how }) as number[]);
      list[0].forEach((_, s) => {
        const marks = list.map((critique) => critique[s] as number);
        expect(all[s]).toBe(Math.min(...marks));
        expect(any[s]).toBe(Math.max(...marks));
        expect(share[s]).toBeCloseTo(marks.reduce((a, b) => a + b, 0) / marks.length, 12);
        expect(half[s]).toBe(share[s] >= 0.5 ? 1 : 0);
        expect(first[s]).toBe(marks[0]);
      });
    }),
  );
  expect(
    voteSteps({
      critiques: [
        [null, 1],
        [0, 1],
      ],
      how: "greedy",
    }),
  ).toEqual([0, 1]);
  expect(voteSteps({ critiques: [[null]] })).toBeNull();
  expect(() => voteSteps({ critiques: [[1], [1, 0]] })).toThrow(InputError);
});

interface Response {
  group: string;
  reward: number;
  steps: { mask: number[]; wrong: number }[];
}

const responses = fc.array(
  fc.record({
    group: fc.constantFrom("a", "b"),
    reward: fc.constantFrom(0, 1),
    steps: fc.array(
      fc.record({ mask: fc.array(fc.constantFrom(1, 1, 0), { minLength: 1, maxLength: 3 }), wrong: mark }),
      { maxLength: 3 },
    ),
  }),
  { minLength: 1, maxLength: 5 },
);

function objectsOf(list: readonly Response[]) {
  return list.map(({ group, reward, steps }, i) => {
    let end = 0;
    const ends = steps.map(({ mask }) => {
      end += mask.length;
      return end;
    });
    const tokens = { mask: steps.flatMap(({ mask }) => mask) };
    return { id: `r${i}`, group, reward, tokens, steps: { end: ends, critique_1: steps.map(({ wrong }) => wrong) } };
  });
}

test("advantages are the rewards of all policy tokens of the group, centred and scaled together", () => {
  fc.assert(
    fc.property(responses, fc.constantFrom(0, 1), (list, ddof) => {
      const actual = credit("capo", objectsOf(list), { ddof }, "tokens.advantage");
      const tokens = list.flatMap(({ group, reward, steps }) =>
        steps.flatMap(({ mask, wrong }) => mask.map((m) => ({ group, m, r: 2 * reward - wrong }))),
      );
      tokens.forEach(({ group, m, r }, t) => {
        const pool = tokens.filter((other) => other.m === 1 && other.group === group).map((other) => other.r);
        const mean = pool.reduce((a, b) => a + b, 0) / pool.length;
        const squares = pool.reduce((sum, x) => sum + (x - mean) ** 2, 0);
        const flat = pool.every((x) => x === pool[0]);
        const expected = m === 0 || flat ? 0 : (r - mean) / (Math.sqrt(squares / (pool.length - ddof)) + 1e-6);
        expect(actual[t]).toBeCloseTo(expected, 9);
      });
    }),
  );
});

test("without tokens a step is one unit; rewards of one response are those of the function", () => {
  const steps = { critique_1: [0, 1], critique_2: [1, 1] };
  const result = assign(batchFromObjects([{ id: "a", reward: 1, steps }]), "capo", {
    vote_rule: "average",
    normalize: "none",
  });
  expect([...result.numbers("steps.reward")]).toEqual([1.5, 1]);
  expect([...result.numbers("steps.advantage")]).toEqual([1.5, 1]);
  expect(capoTokenReward({ reward: 1, wrong: [0.5, 1], ends: [1, 2] })).toEqual([1.5, 1]);
  expect(() => capoTokenReward({ reward: 1, wrong: [0, 0], ends: [2, 2] })).toThrow(/does not increase/);
});

test("the first critiques are read, up to the first that is absent; a response without steps is one step", () => {
  const tokens = { id: [1, 2] };
  const rollouts: RolloutObject[] = [
    { id: "a", reward: 1, tokens, steps: { end: [2], critique_1: [0], critique_2: [1], critique_3: [1] } },
    { id: "b", reward: 1, tokens, steps: { end: [2], critique_2: [1] } },
    { id: "c", reward: 1, tokens },
  ];
  const run = (params: object) => credit("capo", rollouts, { normalize: "none", ...params }, "tokens.advantage");
  expect(run({ vote_rule: "union" })).toEqual([1, 1, 2, 2, 2, 2]);
  expect(run({ vote_rule: "union", max_critiques: 1 })).toEqual([2, 2, 2, 2, 2, 2]);
  expect(() => credit("capo", [{ id: "a", reward: 1, steps: { critique_1: [0.5] } }])).toThrow(/0 or 1/);
});

test("warns when nobody judged, and when the process outweighs the outcome", () => {
  const rollouts = [{ id: "a", reward: 1, tokens: { id: [1] } }];
  expect(warningsOf("capo", rollouts)[0]).toContain("nobody judged");
  expect(warningsOf("capo", rollouts, { w_process: 2 })).toHaveLength(2);
});

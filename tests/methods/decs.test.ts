import fc from "fast-check";
import { expect, test } from "vitest";
import { assign } from "../../src/methods/assign.ts";
import { easyQuota, nextEasyRatio, splitReasoningChunks } from "../../src/methods/judge/decs.ts";
import { batchFromObjects, InputError, rolloutObject } from "../../src/rollouts/index.ts";

interface Response {
  group: string;
  reward: number;
  mask: number[];
  cuts: boolean[];
  answers: number[];
  think: number | null;
}

const responses = fc.array(
  fc
    .record({
      group: fc.constantFrom("a", "b"),
      reward: fc.constantFrom(-1, 0, 1, 1, 2),
      mask: fc.array(fc.constantFrom(1, 1, 0), { minLength: 1, maxLength: 7 }),
      cuts: fc.array(fc.boolean(), { minLength: 7, maxLength: 7 }),
      answers: fc.array(fc.constantFrom(0, 0, 1), { minLength: 7, maxLength: 7 }),
      think: fc.option(fc.nat(7)),
    })
    .map((x): Response => ({ ...x, think: x.think === null ? null : Math.min(x.think, x.mask.length) })),
  { minLength: 1, maxLength: 6 },
);

function endsOf({ mask, cuts }: Response): number[] {
  return mask.flatMap((_, t) => (cuts[t] || t === mask.length - 1 ? [t + 1] : []));
}

/** Steps 1 to 5 of the card with plain lists, position by position. */
function oracle(list: readonly Response[], form: string, bonus: number, max_len: number) {
  const info = list.map((r) => {
    const think = r.think ?? r.mask.length;
    const ends = endsOf(r);
    const chunks = ends.filter((_, k) => (k === 0 ? 0 : ends[k - 1]) < think).map((end) => Math.min(end, think));
    const first = chunks.findIndex((_, k) => r.answers[k] === 1);
    const found = r.reward > 0 && first >= 0;
    const used = r.mask.filter((m) => m === 1).length / max_len;
    const less = form === "code" ? r.reward + bonus * (1 - used) : r.reward * (1 - bonus * used);
    const at = (j: number) => (found && j >= chunks[first] && j < think ? less : r.reward * (1 + bonus));
    return { end: found ? chunks[first] : null, ratio: found ? (first + 1) / chunks.length : 0, at };
  });
  return list.map((r, i) => {
    const reward = r.mask.map((_, j) => info[i].at(j));
    const advantage = r.mask.map((m, j) => {
      const pool = info.filter((_, k) => list[k].group === r.group).map(({ at }) => at(j));
      if (m === 0) return 0;
      if (pool.length === 1) return pool[0] / (1 + 1e-6);
      const mean = pool.reduce((a, b) => a + b, 0) / pool.length;
      const spread = Math.sqrt(pool.reduce((sum, x) => sum + (x - mean) ** 2, 0) / (pool.length - 1));
      return pool.every((x) => x === pool[0]) ? 0 : (reward[j] - mean) / (spread + 1e-6);
    });
    return { nrp_end: info[i].end, nrp_ratio: info[i].ratio, reward, advantage };
  });
}

test("prefixes, rewards and advantages are those of the definition, position by position", () => {
  fc.assert(
    fc.property(responses, fc.constantFrom("code", "paper"), fc.constantFrom(0.1, 0.5), (list, form, bonus) => {
      const rollouts = list.map((r, i) => {
        const end = endsOf(r);
        return {
          id: `r${i}`,
          group: r.group,
          reward: r.reward,
          tokens: { mask: r.mask },
          steps: { end, has_answer: r.answers.slice(0, end.length) },
          signals: { think_end: r.think },
        };
      });
      const params = { max_len: 8, bonus, redundant_form: form };
      const result = assign(batchFromObjects(rollouts), "decs", params);
      oracle(list, form, bonus, 8).forEach((expected, i) => {
        const out = rolloutObject(result, i) as unknown as Record<string, unknown> & {
          tokens: Record<string, number[]>;
        };
        expect(out.nrp_end).toBe(expected.nrp_end);
        expect(out.nrp_ratio).toBeCloseTo(expected.nrp_ratio, 12);
        expect(out.tokens.reward).toEqual(expected.reward.map((x) => expect.closeTo(x, 9)));
        expect(out.tokens.advantage).toEqual(expected.advantage.map((x) => expect.closeTo(x, 6)));
      });
    }),
  );
});

test("bad input is refused", () => {
  const good = { id: "a", reward: 1, tokens: { id: [1, 2] }, steps: { end: [1, 2], has_answer: [0, 1] } };
  const run = (change: object, params: object = { max_len: 8 }) =>
    assign(batchFromObjects([{ ...good, ...change }]), "decs", { ...params });
  expect(() => run({}, {})).toThrow(/max_len.*response budget/);
  expect(() => run({}, { max_len: 1 })).toThrow(/"a".*longer than max_len/);
  expect(() => run({ steps: { end: [1, 2] } })).toThrow(/steps\.has_answer.*missing/);
  expect(() => run({ steps: {} })).toThrow(/steps\.has_answer.*missing/);
  expect(() => run({ steps: { end: [1, 2], has_answer: [0, 0.5] } })).toThrow(/0 or 1/);
  expect(() => run({ steps: { has_answer: [0, 1] } })).toThrow(/steps\.end/);
  expect(() => run({ signals: { think_end: 3 } })).toThrow(/from 0 to 2/);
});

/** The splitter as the card words it, segment by segment. */
function segments(ids: number[], cut: "last_segment" | "first"): number[] {
  const [split, newline, thinkEnd] = [7, 1, 9];
  const kept = cut === "first" && ids.includes(thinkEnd) ? ids.slice(0, ids.indexOf(thinkEnd)) : ids;
  const parts: number[][] = [[]];
  for (const id of kept) {
    if (id === split) parts.push([]);
    (parts.at(-1) as number[]).push(id);
  }
  const last = parts.at(-1) as number[];
  if (last.includes(thinkEnd)) last.length = last.indexOf(thinkEnd);
  const follows = (part: number[]) =>
    part.some((id, t) => id === newline && part.slice(0, t).some((x) => x !== newline));
  const multi = (part: number[]) => follows(part) && follows([...part].reverse());
  const merged: number[][] = [];
  for (let k = 0; k < parts.length; k++) {
    if (!multi(parts[k]) && k + 1 < parts.length) parts[k + 1] = [...parts[k], ...parts[k + 1]];
    else merged.push(parts[k]);
  }
  let end = 0;
  return merged.filter((part) => part.length > 0).map((part) => (end += part.length));
}

test("chunks are those of the splitter written segment by segment", () => {
  const ids = fc.array(fc.constantFrom(1, 3, 4, 5, 7, 9), { maxLength: 16 });
  fc.assert(
    fc.property(ids, fc.constantFrom("last_segment" as const, "first" as const), (list, cut) => {
      const args = { ids: list, split_tokens: [7], newline_tokens: [1], think_end_token: 9, cut };
      expect(splitReasoningChunks(args)).toEqual(segments(list, cut));
    }),
    { numRuns: 400 },
  );
});

test("the share of easy prompts follows the redundancy that is left", () => {
  expect(nextEasyRatio({ kappa: 0, ratio: 0.5 })).toBe(0);
  expect(nextEasyRatio({ kappa: 0.1, ratio: 0.6, prev_ratio: 0.5 })).toBeCloseTo(0.12, 12);
  expect(nextEasyRatio({ kappa: 0, ratio: 0.1, prev_ratio: 0.9, lo: 0, hi: 0.5 })).toBe(0);
  expect(nextEasyRatio({ kappa: 0.5, ratio: 1, prev_ratio: 0.1, lr: 1, lo: 0, hi: 0.5 })).toBe(0.5);
  expect(easyQuota({ kappa: 0.5, mixed_kept: 4, easy_available: 9 })).toBe(4);
  expect(easyQuota({ kappa: -1, mixed_kept: 4, easy_available: 9 })).toBe(0);
  expect(easyQuota({ kappa: 1, mixed_kept: 4, easy_available: 9 })).toBe(9);
  expect(() => easyQuota({ kappa: 0.5, mixed_kept: -1, easy_available: 9 })).toThrow(InputError);
});

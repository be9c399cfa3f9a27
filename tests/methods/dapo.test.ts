import fc from "fast-check";
import { expect, test } from "vitest";
import { overlongPenalty } from "../../src/methods/group/dapo.ts";
import { InputError, type RolloutObject } from "../../src/rollouts/index.ts";
import { credit, warningsOf } from "./credit.ts";

const tokens = (count: number) => ({ id: new Array(count).fill(1) });

test("the penalty falls in a line over the buffer and is flat on both sides", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 40 }), fc.integer({ min: 1, max: 20 }), (length, buffer) => {
      const p = overlongPenalty({ length, max_length: 20, buffer, factor: 2 });
      if (length <= 20 - buffer) expect(p).toBe(0);
      else if (length >= 20) expect(p).toBe(-2);
      else expect(p).toBeCloseTo((-2 * (length - 20 + buffer)) / buffer, 12);
    }),
  );
});

test("a buffer outside (0, max_length], a limit without tokens and a missing metric are refused", () => {
  const group = [1, 0].map((reward, i) => ({ id: `r${i}`, group: "p", reward, tokens: tokens(3) }));
  for (const buffer of [null, 5])
    expect(() => credit("dapo", group, { max_length: 4, buffer })).toThrow(/buffer does not fit/);
  expect(() => credit("dapo", group, { filter_metric: "signals.acc" })).toThrow(/signals\.acc/);
  expect(() => credit("dapo", [{ id: "a", reward: 1 }], { max_length: 4, buffer: 2 })).toThrow(/no tokens/);
  expect(() => overlongPenalty({ length: 3, max_length: 2, buffer: 3 })).toThrow(InputError);
});

test("groups are kept by a metric of their own, those of one member always", () => {
  const rollouts: RolloutObject[] = [
    { id: "a", group: "p", reward: 1, signals: { acc: 1 } },
    { id: "b", group: "q", reward: 1, signals: { acc: 0 } },
    { id: "c", group: "p", reward: 0, signals: { acc: 1 } },
    { id: "d", group: "q", reward: 1, signals: { acc: 1 } },
    { id: "e", reward: 1, signals: { acc: 0 } },
  ];
  const params = { filter_metric: "signals.acc" };
  expect(credit("dapo", rollouts, params, "rollout.keep")).toEqual([0, 1, 0, 1, 1]);
  expect(credit("dapo", rollouts, params)).toEqual([0, 0, 0, 0, 0]);
  expect(credit("dapo", rollouts, { target_groups: 1 }, "rollout.keep")).toEqual([1, 0, 1, 0, 0]);
});

test("a truncated response loses its advantage and stays in the statistics; short rollouts keep theirs", () => {
  const rollouts = [1, 0, 0].map((reward, i) => ({
    id: `r${i}`,
    group: "p",
    reward,
    signals: { truncated: Number(i === 1) },
  }));
  const [a, b, c] = credit("dapo", rollouts, { overlong_filter: true });
  const plain = credit("dapo", rollouts);
  expect([a, c]).toEqual([plain[0], plain[2]]);
  expect(b).toBe(0);
});

test("a batch of dead groups gives zeros and says so", () => {
  const dead = [1, 1].map((reward, i) => ({ id: `r${i}`, group: "p", reward }));
  expect(credit("dapo", dead)).toEqual([0, 0]);
  expect(warningsOf("dapo", dead)).toHaveLength(1);
});

import fc from "fast-check";
import { expect, test } from "vitest";
import { rolloutsToRows, rolloutsToTokens, rowsToTokens, tokenSpans } from "../../src/operators/broadcast.ts";
import { batchFromObjects, type RolloutObject } from "../../src/rollouts/index.ts";
import { inSinglePrecision, tokenRollouts } from "./arbitraries.ts";

/** Rollouts whose tokens are cut into turns; a rollout without tokens has no turns. */
const turned = fc.tuple(tokenRollouts, fc.nat(2)).map(([list, cut]) =>
  list.map((rollout, i): RolloutObject => {
    const tokens = (rollout.tokens?.y ?? []).length;
    const end = Array.from({ length: tokens }, (_, t) => t + 1).filter(
      (t) => t === tokens || (t + i) % (cut + 2) === 0,
    );
    return { ...rollout, turns: { end } };
  }),
);
const maskOf = ({ tokens }: RolloutObject) => (tokens?.mask ?? tokens?.y.map(() => 1)) as number[];

test("every policy token gets the value of its rollout and every other token 0", () => {
  fc.assert(
    fc.property(tokenRollouts, fc.boolean(), (list, narrow) => {
      const plain = batchFromObjects(list);
      const batch = narrow ? inSinglePrecision(plain) : plain;
      const values = list.map((_, i) => i - 1.5);
      const out = rolloutsToTokens(batch, values);
      expect([...out]).toEqual(list.flatMap((rollout, i) => maskOf(rollout).map((m) => (m === 1 ? values[i] : 0))));
      expect(out).toBeInstanceOf(batch.single ? Float32Array : Float64Array);
    }),
  );
});

test("every policy token gets the value of the turn that holds it", () => {
  fc.assert(
    fc.property(turned, (list) => {
      const batch = batchFromObjects(list);
      const values = Array.from({ length: batch.count("turn") }, (_, row) => row + 1);
      let row = 0;
      const expected = list.flatMap((rollout) => {
        const end = (rollout.turns?.end ?? []) as number[];
        const first = row;
        row += end.length;
        return maskOf(rollout).map((m, t) => (m === 1 ? values[first + end.findIndex((e) => t < e)] : 0));
      });
      expect([...rowsToTokens(batch, "turn", values)]).toEqual(expected);
    }),
  );
});

test("spans of turns tile the tokens of their rollout", () => {
  fc.assert(
    fc.property(turned, (list) => {
      const batch = batchFromObjects(list);
      const { starts, ends } = tokenSpans(batch, "turn");
      const covered = Array.from(starts, (from, row) => Array.from({ length: ends[row] - from }, (_, k) => from + k));
      expect(covered.flat()).toEqual(Array.from({ length: batch.count("token") }, (_, t) => t));
    }),
  );
});

test("every turn gets the value of its rollout", () => {
  fc.assert(
    fc.property(turned, (list) => {
      const batch = batchFromObjects(list);
      const values = list.map((_, i) => 10 * i);
      const expected = list.flatMap(({ turns }, i) => (turns?.end ?? []).map(() => values[i]));
      expect([...rolloutsToRows(batch, "turn", values)]).toEqual(expected);
    }),
  );
});

test("turns without end are an error that names the rollout", () => {
  const batch = batchFromObjects([
    { id: "a", tokens: { id: [1] }, turns: { end: [1] } },
    { id: "lost", tokens: { id: [1] }, turns: { agent: ["x"] } },
  ]);
  expect(() => tokenSpans(batch, "turn")).toThrow(/rollout "lost".*turns\.end/);
});

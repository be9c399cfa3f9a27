import fc from "fast-check";
import { expect, test } from "vitest";
import { assign } from "../../src/methods/assign.ts";
import { tregLoss } from "../../src/methods/preference/t-reg.ts";
import { batchFromObjects, rolloutObject } from "../../src/rollouts/index.ts";
import { expectNear } from "../operators/arbitraries.ts";
import { credit } from "./credit.ts";
import { slopes } from "./plain.ts";

const lp = fc.double({ min: -3, max: 0, noNaN: true });
const response = fc
  .array(
    fc.record({
      logprob: lp,
      ref_logprob: lp,
      logprob_better: lp,
      logprob_worse: lp,
      mask: fc.constantFrom(0 as const, 1 as const),
    }),
    {
      minLength: 1,
      maxLength: 4,
    },
  )
  .map((tokens) => ({
    logprob: tokens.map((t) => t.logprob),
    ref_logprob: tokens.map((t) => t.ref_logprob),
    logprob_better: tokens.map((t) => t.logprob_better),
    logprob_worse: tokens.map((t) => t.logprob_worse),
    mask: tokens.map((t) => t.mask),
  }));
const options = fc.record({
  base: fc.constantFrom("dpo" as const, "simpo" as const),
  weighting: fc.constantFrom("sequence" as const, "none" as const),
  alpha: fc.constantFrom(0, 0.25, 1),
  margin: fc.constantFrom(0, 0.5),
  beta: fc.constantFrom(0.1, 2),
});

test("coefficients are minus the slope of the loss, its weight held constant", () => {
  fc.assert(
    fc.property(response, response, options, (chosen, rejected, p) => {
      const here = tregLoss({ chosen, rejected, ...p });
      const n = chosen.logprob.length;
      const loss = (flat: readonly number[]) => {
        const moved = tregLoss({
          chosen: { ...chosen, logprob: flat.slice(0, n) },
          rejected: { ...rejected, logprob: flat.slice(n) },
          ...p,
        });
        return moved.preference_loss + p.alpha * here.weight * moved.regularizer;
      };
      const slope = slopes(loss, [...chosen.logprob, ...rejected.logprob]);
      expectNear(
        [...here.coef_chosen, ...here.coef_rejected],
        slope.map((x) => 0 - x),
        1e-7,
      );
      expectNear([here.loss], [loss([...chosen.logprob, ...rejected.logprob])]);
    }),
  );
});

test("the best and the worst of a group are the pair, the others have no weight", () => {
  const rewards = fc.array(fc.tuple(fc.integer({ min: 0, max: 3 }), response), { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(rewards, options, (list, p) => {
      const rollouts = list.map(([reward, tokens], i) => ({ id: `r${i}`, group: "g", reward, tokens }));
      const result = assign(batchFromObjects(rollouts), "t-reg", p);
      const values = list.map(([reward]) => reward);
      const [high, low] = [values.indexOf(Math.max(...values)), values.indexOf(Math.min(...values))];
      const pair = values[high] > values[low];
      const loss = tregLoss({ chosen: list[high][1], rejected: list[low][1], ...p });
      rollouts.forEach((_, i) => {
        const { role, tokens } = rolloutObject(result, i) as unknown as {
          role: string;
          tokens: { weight: number[] };
        };
        expect(role).toBe(pair && i === high ? "chosen" : pair && i === low ? "rejected" : "none");
        const none = list[i][1].logprob.map(() => 0);
        expectNear(
          tokens.weight,
          role === "chosen" ? loss.coef_chosen : role === "rejected" ? loss.coef_rejected : none,
        );
      });
    }),
  );
});

test("hints stay within ±½ however unlikely a token is", () => {
  const tokens = { logprob: [-1, -1], ref_logprob: [-1, -1], logprob_better: [-800, 0], logprob_worse: [0, -800] };
  expect(credit("t-reg", [{ id: "a", reward: 1, tokens }], {}, "tokens.reward")).toEqual([-0.5, 0.5]);
  expect(() => credit("t-reg", [{ id: "a", reward: null, tokens }], {}, "tokens.reward")).toThrow(/no reward/);
});

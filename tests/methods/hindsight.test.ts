import fc from "fast-check";
import { expect, test } from "vitest";
import { stateHca } from "../../src/methods/counterfactual/hindsight.ts";
import { InputError } from "../../src/rollouts/index.ts";
import { credit } from "./credit.ts";

test("with the exact hindsight distribution the mean gradient is that of the policy", () => {
  const weights = fc.array(fc.double({ min: 0.05, max: 1, noNaN: true }), { minLength: 3, maxLength: 3 });
  const chances = fc.array(fc.double({ min: 0.05, max: 0.95, noNaN: true }), { minLength: 3, maxLength: 3 });
  fc.assert(
    fc.property(weights, chances, (w, wins) => {
      const pi = w.map((x) => x / w.reduce((a, b) => a + b, 0));
      const gradient = [0, 0, 0];
      // Z is 2 with probability wins[a], else −1.
      for (const [z, likelihood] of [
        [2, (a: number) => wins[a]],
        [-1, (a: number) => 1 - wins[a]],
      ] as const) {
        const total = pi.reduce((sum, p, a) => sum + p * likelihood(a), 0);
        pi.forEach((p, a) => {
          const turns = { logprob: [Math.log(p)], hindsight_logprob: [Math.log((p * likelihood(a)) / total)] };
          const [advantage] = credit("hindsight", [{ id: "r", reward: z, turns }], {}, "turns.advantage");
          for (let v = 0; v < 3; v++) gradient[v] += p * likelihood(a) * advantage * ((v === a ? 1 : 0) - pi[v]);
        });
      }
      const q = wins.map((x) => 2 * x - (1 - x));
      const mean = pi.reduce((sum, p, a) => sum + p * q[a], 0);
      for (let v = 0; v < 3; v++) expect(gradient[v]).toBeCloseTo(pi[v] * (q[v] - mean), 9);
    }),
  );
});

const row = fc.record({
  state: fc.constantFrom("s", "t", 1, "1"),
  action: fc.constantFrom("L", "R"),
  reward: fc.constantFrom(0, 1, 0.5),
});
const rollouts = fc.array(fc.array(row, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 5 }).map((list) =>
  list.map((rows, i) => ({
    id: `r${i}`,
    reward: 0,
    steps: { state: rows.map((x) => x.state), action: rows.map((x) => x.action), reward: rows.map((x) => x.reward) },
  })),
);

test("the table counts over the whole call", () => {
  fc.assert(
    fc.property(rollouts, fc.constantFrom(0, 1, 3), fc.constantFrom(0, 0.7), (list, prior, bin_width) => {
      const all = list.flatMap(({ steps }) =>
        [...steps.state.keys()].map((t) => {
          const z = steps.reward.slice(t).reduce<number>((a, b) => a + b, 0);
          return {
            state: steps.state[t],
            action: steps.action[t],
            bin: bin_width > 0 ? Math.floor(z / bin_width + 1e-9) : z,
            z,
          };
        }),
      );
      const ratio = credit(
        "hindsight",
        list,
        { level: "steps", fit: "table", prior, bin_width },
        "steps.hindsight_ratio",
      );
      const advantage = credit(
        "hindsight",
        list,
        { level: "steps", fit: "table", prior, bin_width },
        "steps.advantage",
      );
      all.forEach((x, k) => {
        const state = all.filter((y) => y.state === x.state);
        const pi = state.filter((y) => y.action === x.action).length / state.length;
        const seen = state.filter((y) => y.bin === x.bin);
        const h = (seen.filter((y) => y.action === x.action).length + prior * pi) / (seen.length + prior);
        expect(ratio[k]).toBeCloseTo(pi / h, 12);
        expect(advantage[k]).toBeCloseTo((1 - pi / h) * x.z, 12);
      });
    }),
  );
});

test("a recorded policy takes the place of the counted one; the ratio can be cut", () => {
  const turns = (logprob: number) => ({ state: ["s"], action: ["L"], logprob: [logprob] });
  const list = [0, 1].map((reward) => ({ id: `${reward}`, reward, turns: turns(Math.log(0.5)) }));
  expect(credit("hindsight", list, { fit: "table", prior: 0 }, "turns.hindsight_ratio")[1]).toBeCloseTo(0.5, 12);
  const far = [{ id: "a", reward: 1, turns: { logprob: [0], hindsight_logprob: [-5] } }];
  expect(credit("hindsight", far, { max_ratio: 3 }, "turns.advantage")).toEqual([-2]);
});

test("on tokens observations are skipped", () => {
  const tokens = { mask: [1, 0, 1], logprob: [-1, null, -1], hindsight_logprob: [-0.5, null, -1] };
  const out = credit(
    "hindsight",
    [{ id: "a", reward: 1, tokens }],
    { level: "tokens", gamma: 0.5 },
    "tokens.advantage",
  );
  expect(out[0]).toBeCloseTo((1 - Math.exp(-0.5)) * 0.5, 12);
  expect(out.slice(1)).toEqual([0, 0]);
});

test("log-probabilities above 0 and missing columns are refused", () => {
  const one = (turns: Record<string, unknown[]>) => [{ id: "a", reward: 1, turns }];
  expect(() => credit("hindsight", one({ logprob: [0.1], hindsight_logprob: [0] }), {}, "turns.return")).toThrow(
    /at most 0/,
  );
  expect(() => credit("hindsight", one({ logprob: [-1] }), {}, "turns.return")).toThrow(/turns\.hindsight_logprob/);
  expect(() => credit("hindsight", one({ state: ["s"] }), { fit: "table" }, "turns.return")).toThrow(/turns\.action/);
  expect(() => stateHca({ rewards: [1], ratios: [] })).toThrow(InputError);
  expect(stateHca({ rewards: [1, 2], ratios: [9, 0.5], gamma: 0.5 })).toBe(1.5);
});

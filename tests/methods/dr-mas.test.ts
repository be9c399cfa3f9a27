import fc from "fast-check";
import { expect, test } from "vitest";
import { globalAdvantageSecondMoment } from "../../src/methods/multi-agent/dr-mas.ts";
import { credit } from "./credit.ts";

const reward = fc.oneof(fc.constantFrom(0, 1), fc.double({ min: -2, max: 2, noNaN: true }));
const rollouts = fc
  .array(
    fc.record({
      group: fc.constantFrom("a", "b"),
      reward,
      turns: fc.array(fc.record({ agent: fc.constantFrom("s", "v"), reward }), { minLength: 1, maxLength: 4 }),
    }),
    { minLength: 1, maxLength: 6 },
  )
  .map((list) =>
    list.map(({ turns, ...rest }, i) => ({
      id: `r${i}`,
      ...rest,
      turns: { agent: turns.map((t) => t.agent), reward: turns.map((t) => t.reward) },
    })),
  );
const params = fc.record({
  by_agent: fc.boolean(),
  norm_by_std: fc.boolean(),
  count: fc.constantFrom("invocations", "rollouts"),
  reward_level: fc.constantFrom("rollout", "turn"),
  singleton: fc.constantFrom("raw", "zero"),
  eps: fc.constant(0.1),
});

const mean = (list: readonly number[]) => list.reduce((a, b) => a + b, 0) / list.length;

test("credit equals the definition, written with plain lists", () => {
  fc.assert(
    fc.property(rollouts, params, (list, p) => {
      const rows = list.flatMap((r, i) =>
        r.turns.agent.map((agent, t) => ({
          i,
          key: p.by_agent ? `${r.group}-${agent}` : r.group,
          s: p.reward_level === "turn" ? r.turns.reward[t] : r.reward,
        })),
      );
      const own = (i: number, key: string) => mean(rows.filter((x) => x.i === i && x.key === key).map((x) => x.s));
      const perRollout = !p.by_agent || p.count === "rollouts";
      const out = credit("dr-mas", list, p, "turns.advantage");
      rows.forEach(({ i, key, s }, row) => {
        const members = rows.filter((x) => x.key === key);
        const pool = perRollout
          ? [...new Set(members.map((x) => x.i))].map((k) => own(k, key))
          : members.map((x) => x.s);
        const score = p.by_agent ? s : own(i, key);
        if (pool.length === 1) {
          const raw = p.norm_by_std ? score / (1 + p.eps) : score;
          expect(out[row]).toBeCloseTo(p.singleton === "raw" ? raw : 0, 9);
          return;
        }
        const spread = Math.sqrt(pool.reduce((a, x) => a + (x - mean(pool)) ** 2, 0) / (pool.length - 1));
        if (p.norm_by_std && spread < 1e-9) return;
        expect(out[row]).toBeCloseTo((score - mean(pool)) / (p.norm_by_std ? spread + p.eps : 1), 6);
      });
    }),
    { numRuns: 300 },
  );
});

test("the second moment of the global form is 1 on average over all rows and large for a rare agent", () => {
  const rewards = [1, 1, 1, 0, 1, 1, 1, 1, 1, 0];
  const agents = ["s", "s", "s", "s", "s", "s", "s", "s", "f", "f"];
  const moment = globalAdvantageSecondMoment({ rewards, agents });
  expect(mean(agents.map((agent) => moment[agent]))).toBeCloseTo(1, 12);
  expect(moment.f).toBeGreaterThan(moment.s);
  expect(globalAdvantageSecondMoment({ rewards: [0.1, 0.1, 0.1], agents: ["a", "b", "b"] })).toEqual({ a: 0, b: 0 });
  expect(() => globalAdvantageSecondMoment({ rewards: [1], agents: [] })).toThrow(/length/);
});

test("an agent without a name is refused", () => {
  expect(() => credit("dr-mas", [{ id: "a", reward: 1, turns: { agent: ["x", null] } }])).toThrow(/turns\.agent/);
  expect(() => credit("dr-mas", [{ id: "a", reward: 1, turns: { reward: [1] } }])).toThrow(/turns\.agent/);
});

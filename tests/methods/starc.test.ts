import fc from "fast-check";
import { expect, test } from "vitest";
import {
  epicPearsonDistance,
  mutualRegret,
  starcCanonicalize,
  starcDistance,
  starcSampledDistance,
} from "../../src/methods/mechanism/starc.ts";
import { InputError } from "../../src/rollouts/index.ts";

type Block = number[][][];

interface Process {
  transition: Block;
  gamma: number;
  reward: Block;
  other: Block;
  phi: number[];
  /** Numbers for redistribution over next states. */
  noise: Block;
}

const block = (n: number, m: number, entry: fc.Arbitrary<number>): fc.Arbitrary<Block> => {
  const list = <T>(of: fc.Arbitrary<T>, length: number) => fc.array(of, { minLength: length, maxLength: length });
  return list(list(list(entry, n), m), n);
};
const number = fc.integer({ min: -24, max: 24 }).map((x) => x / 8);

const processes: fc.Arbitrary<Process> = fc
  .tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 3 }), fc.double({ min: 0, max: 0.95, noNaN: true }))
  .chain(([n, m, gamma]) =>
    fc.record({
      transition: block(n, m, fc.constantFrom(0, 0, 0.2, 1, 3)).map((rows) =>
        rows.map((row, s) =>
          row.map((weights, a) => {
            const sum = weights.reduce((x, y) => x + y, 0);
            return sum === 0 ? weights.map((_, t) => (t === (s + a) % n ? 1 : 0)) : weights.map((x) => x / sum);
          }),
        ),
      ),
      gamma: fc.constant(gamma),
      reward: block(n, m, number),
      other: block(n, m, number),
      phi: fc.array(number, { minLength: n, maxLength: n }),
      noise: block(n, m, number),
    }),
  );

const map = (a: Block, f: (x: number, s: number, action: number, t: number) => number): Block =>
  a.map((rows, s) => rows.map((row, action) => row.map((x, t) => f(x, s, action, t))));
const shaped = ({ phi, gamma }: Process, reward: Block): Block =>
  map(reward, (r, s, _, t) => r + gamma * phi[t] - phi[s]);
/** Adds numbers whose mean under the transitions is 0 for each state and action. */
const redistributed = ({ transition, noise }: Process, reward: Block): Block =>
  map(reward, (r, s, a, t) => {
    const mean = noise[s][a].reduce((sum, x, u) => sum + transition[s][a][u] * x, 0);
    return r + noise[s][a][t] - mean;
  });
const gap = (a: Block, b: Block) => Math.max(...a.flat(2).map((x, k) => Math.abs(x - (b.flat(2)[k] as number))));
/** Far from the border between trivial and not. */
const isPlain = ({ transition, gamma, reward }: Process) =>
  gap(
    starcCanonicalize({ reward, transition, gamma, method: "VAL" }),
    map(reward, () => 0),
  ) > 1e-3;

test("equivalent rewards have one canonical form, and what may differ between them depends on the form", () => {
  const invariant = {
    VAL: [true, true],
    Minimal: [true, true],
    VALPotential: [true, false],
    MinimalPotential: [true, false],
    EPIC: [true, false],
    DARD: [true, false],
  } as const;
  fc.assert(
    fc.property(processes, (process) => {
      const { transition, gamma, reward } = process;
      for (const [method, [potential, next]] of Object.entries(invariant)) {
        const form = (one: Block) => starcCanonicalize({ reward: one, transition, gamma, method: method as "VAL" });
        const plain = form(reward);
        if (potential) expect(gap(form(shaped(process, reward)), plain), method).toBeLessThan(1e-6);
        if (next) expect(gap(form(redistributed(process, reward)), plain), method).toBeLessThan(1e-6);
        expect(
          gap(
            form(map(reward, (r) => 2 * r)),
            map(plain, (c) => 2 * c),
          ),
          method,
        ).toBeLessThan(1e-6);
      }
    }),
    { numRuns: 60 },
  );
});

test("a canonical form is itself equivalent to the reward: the two lie at distance 0", () => {
  fc.assert(
    fc.property(processes.filter(isPlain), ({ transition, gamma, reward }) => {
      for (const method of ["VAL", "Minimal", "VALPotential", "MinimalPotential"] as const) {
        const form = starcCanonicalize({ reward, transition, gamma, method });
        expect(starcDistance({ rewardA: reward, rewardB: form, transition, gamma }), method).toBeLessThan(1e-6);
      }
    }),
    { numRuns: 60 },
  );
});

test("minimal forms are the smallest of their class", () => {
  const squares = (a: Block) => a.flat(2).reduce((sum, x) => sum + x * x, 0);
  fc.assert(
    fc.property(processes, (process) => {
      const { transition, gamma, reward } = process;
      const moved = shaped(process, reward);
      const potential = starcCanonicalize({ reward, transition, gamma, method: "MinimalPotential" });
      expect(squares(potential)).toBeLessThan(squares(moved) + 1e-7);
      const least = starcCanonicalize({ reward, transition, gamma, method: "Minimal" });
      expect(squares(least)).toBeLessThan(squares(redistributed(process, moved)) + 1e-7);
      const weigh = (a: Block) => squares(map(a, (x, s, action, t) => x * Math.sqrt(transition[s][action][t])));
      const weighted = starcCanonicalize({
        reward,
        transition,
        gamma,
        method: "MinimalPotential",
        normOrd: "weighted_2",
      });
      expect(weigh(weighted)).toBeLessThan(weigh(moved) + 1e-7);
    }),
    { numRuns: 60 },
  );
});

test("the distance ignores scale, is symmetric, is 2 for the opposite reward and 1 for a trivial one", () => {
  fc.assert(
    fc.property(processes.filter(isPlain), (process) => {
      const { transition, gamma, reward, other, phi } = process;
      const between = (rewardA: Block, rewardB: Block) => starcDistance({ rewardA, rewardB, transition, gamma });
      expect(
        between(
          reward,
          map(redistributed(process, shaped(process, reward)), (r) => 7 * r),
        ),
      ).toBeLessThan(1e-6);
      expect(between(reward, other)).toBeCloseTo(between(other, reward), 12);
      expect(
        between(
          reward,
          map(reward, (r) => -1e150 * r),
        ),
      ).toBeCloseTo(2, 9);
      const trivial = map(reward, (_, s, __, t) => gamma * phi[t] - phi[s]);
      expect(between(reward, trivial)).toBeCloseTo(1, 9);
      expect(
        between(
          trivial,
          map(reward, () => 0),
        ),
      ).toBe(0);
    }),
    { numRuns: 60 },
  );
});

test("norms", () => {
  const transition = [[[1]], [[1]]].map(() => [[0.25, 0.75]]);
  const base = { transition, gamma: 0, canonicalisation: "None" } as const;
  const rewardA = [[[4, 0]], [[0, 0]]];
  const rewardB = [[[0, 0]], [[0, 2]]];
  const between = (normOrd: string | number, distanceOrd: string | number) =>
    starcDistance({ ...base, rewardA, rewardB, normOrd, distanceOrd });
  expect(between("0", "1")).toBe(6);
  expect(between(0, 2)).toBeCloseTo(Math.sqrt(20), 12);
  expect(between("0", "inf")).toBe(4);
  expect(between("0", "weighted_1")).toBe(2.5);
  expect(between("0", "weighted_2")).toBeCloseTo(Math.sqrt(4 + 3), 12);
  expect(between("0", "weighted_inf")).toBe(1.5);
  expect(between("weighted_1", "1")).toBeCloseTo(4 + 2 / 1.5, 12);
  expect(() => between("2", "0")).toThrow(InputError);
});

test("one state with one action is trivial under VAL", () => {
  const args = { rewardA: [[[3]]], rewardB: [[[-1]]], transition: [[[1]]], gamma: 0.5 };
  expect(starcDistance(args)).toBe(0);
  expect(mutualRegret({ ...args, init: [1] })).toEqual({ regret_a: 0, regret_b: 0, mean: 0 });
});

test("DARD by its definition, sum by sum", () => {
  fc.assert(
    fc.property(processes, ({ transition: p, gamma, reward }) => {
      const n = p.length;
      const m = p[0].length;
      const over = (length: number, f: (k: number) => number) =>
        Array.from({ length }, (_, k) => f(k)).reduce((sum, x) => sum + x, 0);
      const phi = (s: number) => over(m, (a) => over(n, (u) => (p[s][a][u] * reward[s][a][u]) / m));
      const both = (s: number, t: number) =>
        over(m, (a) => over(n, (u) => over(n, (v) => (p[s][a][u] * p[t][a][v] * reward[u][a][v]) / m)));
      const expected = map(reward, (r, s, _, t) => r + gamma * phi(t) - phi(s) - gamma * both(s, t));
      expect(gap(starcCanonicalize({ reward, transition: p, gamma, method: "DARD" }), expected)).toBeLessThan(1e-9);
    }),
    { numRuns: 40 },
  );
});

test("the Pearson distance: 0 for a scaled copy, 1 for the opposite, sqrt(1/2) where one reward is constant", () => {
  fc.assert(
    fc.property(processes, (process) => {
      const { transition, gamma, reward } = process;
      const flat = starcCanonicalize({ reward, transition, gamma, method: "EPIC" }).flat(2);
      fc.pre(Math.max(...flat) - Math.min(...flat) > 1e-3);
      const between = (rewardA: Block, rewardB: Block) =>
        epicPearsonDistance({ rewardA, rewardB, transition, gamma, canonicalisation: "EPIC" });
      expect(
        between(
          reward,
          map(shaped(process, reward), (r) => 3 * r),
        ),
      ).toBeLessThan(1e-6);
      expect(
        between(
          reward,
          map(reward, (r) => -r),
        ),
      ).toBeCloseTo(1, 9);
      const constant = map(reward, () => 0.1);
      expect(between(reward, constant)).toBeCloseTo(Math.SQRT1_2, 12);
      expect(
        between(
          constant,
          map(constant, (r) => 3 * r),
        ),
      ).toBe(0);
    }),
    { numRuns: 60 },
  );
});

test("regret against all deterministic policies, one by one", () => {
  fc.assert(
    fc.property(processes, fc.nat(10), ({ transition: p, gamma, reward, other }, from) => {
      const n = p.length;
      const m = p[0].length;
      const init = Array.from({ length: n }, (_, s) => (s === from % n ? 1 : 0));
      // Values by iteration, policies by counting in base m.
      const worth = (policy: number[], r: Block) => {
        let v = new Array<number>(n).fill(0);
        for (let k = 0; k < 500; k++) {
          v = v.map((_, s) => p[s][policy[s]].reduce((sum, q, t) => sum + q * (r[s][policy[s]][t] + gamma * v[t]), 0));
        }
        return v[from % n];
      };
      const all = Array.from({ length: m ** n }, (_, k) =>
        Array.from({ length: n }, (_, s) => Math.floor(k / m ** s) % m),
      );
      const [a, b] = [reward, other].map((r) => all.map((policy) => worth(policy, r)));
      const { regret_a, regret_b, mean } = mutualRegret({
        rewardA: reward,
        rewardB: other,
        transition: p,
        gamma,
        init,
      });
      const best = Math.max(...a);
      const span = best - Math.min(...a);
      fc.pre(span > 1e-3);
      // The other reward's optimal policy is unique up to states it never meets, so some optimum has this regret.
      const candidates = all.flatMap((_, k) => (b[k] > Math.max(...b) - 1e-7 ? [(best - a[k]) / span] : []));
      expect(Math.min(...candidates.map((x) => Math.abs(x - regret_a)))).toBeLessThan(1e-5);
      expect(mean).toBeCloseTo((regret_a + regret_b) / 2, 12);
    }),
    { numRuns: 15 },
  );
});

test("logged episodes: shaping and scale vanish, the opposite is at 2, empty episodes are passed over", () => {
  const episodes = fc.array(fc.array(fc.tuple(number, number, number), { maxLength: 5 }), { maxLength: 4 });
  fc.assert(
    fc.property(episodes, fc.double({ min: 0, max: 0.99, noNaN: true }), (given, gamma) => {
      const rewards = given.map((steps) => steps.map(([r]) => r));
      const values = given.map((steps) => steps.map(([, v]) => v));
      const phi = given.map((steps) => steps.map(([, , x]) => x));
      const change = given.map((steps, i) => steps.map((_, t) => gamma * (phi[i][t + 1] ?? 0) - phi[i][t]));
      const rms = Math.hypot(
        ...rewards.flatMap((row, i) => row.map((r, t) => r + gamma * (values[i][t + 1] ?? 0) - values[i][t])),
      );
      fc.pre(rms > 1e-3);
      const moved = {
        rewardsB: rewards.map((row, i) => row.map((r, t) => 4 * (r + change[i][t]))),
        valuesB: values.map((row, i) => row.map((v, t) => 4 * (v - phi[i][t]))),
      };
      const base = { rewardsA: rewards, valuesA: values, gamma };
      expect(starcSampledDistance({ ...base, ...moved })).toBeLessThan(1e-6);
      const negated = { rewardsB: rewards.map((r) => r.map((x) => -x)), valuesB: values.map((v) => v.map((x) => -x)) };
      expect(starcSampledDistance({ ...base, ...negated })).toBeCloseTo(2, 9);
      const padded = { rewardsA: [[], ...rewards], valuesA: [[], ...values] };
      expect(starcSampledDistance({ ...padded, rewardsB: padded.rewardsA, valuesB: padded.valuesA, gamma })).toBe(0);
    }),
  );
  expect(starcSampledDistance({ rewardsA: [[]], valuesA: [[]], rewardsB: [[]], valuesB: [[]], gamma: 0 })).toBe(0);
});

test("faults are named with their index", () => {
  const reward = [
    [
      [0, 1],
      [0, 0],
    ],
    [
      [0, 0],
      [0, 2],
    ],
  ];
  const transition = [
    [
      [0, 1],
      [1, 0],
    ],
    [
      [1, 0],
      [0, 1],
    ],
  ];
  const good = { reward, transition, gamma: 0.5, method: "VAL" as const };
  const fails = (change: object, text: RegExp) => {
    expect(() => starcCanonicalize({ ...good, ...change } as never)).toThrow(text);
    expect(() => starcCanonicalize({ ...good, ...change } as never)).toThrow(InputError);
  };
  fails({ gamma: 1 }, /gamma/);
  fails(
    {
      transition: [
        [
          [0, 1],
          [1, 0],
        ],
        [
          [1, 0],
          [0.1, 1],
        ],
      ],
    },
    /transition\.1\.1 does not sum to 1/,
  );
  fails(
    {
      transition: [
        [
          [0, 1],
          [1, 0],
        ],
        [
          [2, -1],
          [0, 1],
        ],
      ],
    },
    /transition\.1\.0\.1/,
  );
  fails(
    {
      reward: [
        [
          [0, 1],
          [0, 0],
        ],
        [[0, 0], [0]],
      ],
    },
    /reward\.1\.1 has the wrong length/,
  );
  fails(
    {
      reward: [
        [
          [0, 1],
          [0, 0],
        ],
        [
          [0, 0],
          [0, Number.NaN],
        ],
      ],
    },
    /reward\.1\.1\.1/,
  );
  fails(
    {
      policy: [
        [1, 0],
        [0.5, 0.4],
      ],
    },
    /policy\.1/,
  );
  fails({ method: "STARC" }, /method/);
  fails({ reward: [], transition: [] }, /transition/);
  expect(() =>
    starcSampledDistance({ rewardsA: [[1]], valuesA: [[1, 2]], rewardsB: [[1]], valuesB: [[1]], gamma: 0 }),
  ).toThrow(/valuesA\.0/);
});

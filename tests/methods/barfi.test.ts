import fc from "fast-check";
import { expect, test } from "vitest";
import {
  barfiHypergradient,
  barfiInner,
  barfiNeumann,
  barfiPotentialShaping,
} from "../../src/methods/shaping/barfi.ts";
import { solveLinear } from "../../src/operators/linear.ts";
import { InputError, type RolloutObject } from "../../src/rollouts/index.ts";
import { credit } from "./credit.ts";

type Learner = Omit<Parameters<typeof barfiInner>[0], "trajectories">;
type Trajectories = Parameters<typeof barfiInner>[0]["trajectories"];

const number = fc.integer({ min: -8, max: 8 }).map((x) => x / 8);
const list = <T>(of: fc.Arbitrary<T>, length: number) => fc.array(of, { minLength: length, maxLength: length });

const problems = fc.tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 2, max: 3 })).chain(([states, actions]) => {
  const step = fc.record({ s: fc.nat(states - 1), a: fc.nat(actions - 1), r_p: number, r_aux: number });
  return fc.record({
    learner: fc.record({
      theta: list(list(number, actions), states),
      phi: fc.record({
        phi1: list(list(number, actions), states),
        phi2: list(number, states),
        phi3: list(number, states),
      }),
      gammaPhi: fc.constantFrom(0, 0.5, 0.9),
      entropy: fc.constantFrom(0, 0.25, 1),
    }),
    trajectories: fc.array(fc.array(step, { maxLength: 5 }), { minLength: 1, maxLength: 3 }).map((episodes) =>
      episodes.map((steps) => ({
        s: steps.map(({ s }) => s),
        a: steps.map(({ a }) => a),
        r_p: steps.map(({ r_p }) => r_p),
        r_aux: steps.map(({ r_aux }) => r_aux),
      })),
    ),
  });
});

/** The learner with entry k of θ (or of φ in its flat order) moved. */
function moved(learner: Learner, which: "theta" | "phi", k: number, by: number): Learner {
  const copy = structuredClone(learner);
  const tables = which === "theta" ? [copy.theta] : [copy.phi.phi1, [copy.phi.phi2], [copy.phi.phi3]];
  let left = k;
  for (const row of tables.flat()) {
    if (left < row.length) {
      row[left] += by;
      return copy;
    }
    left -= row.length;
  }
  throw new Error("no such entry");
}

test("the update by its definition, and its derivatives by central differences", () => {
  fc.assert(
    fc.property(problems, ({ learner, trajectories }) => {
      const { delta, H, A, B } = barfiInner({ ...learner, trajectories });
      const { theta, phi, gammaPhi = 0, entropy = 0 } = learner;
      const log = theta.map((row) => row.map((x) => x - Math.log(row.reduce((sum, y) => sum + Math.exp(y), 0))));
      const expected = theta.map((row) => row.map(() => 0));
      for (const { s, a, r_p, r_aux } of trajectories) {
        s.forEach((state, t) => {
          const back = s.slice(t).reduce((sum, _, j) => {
            const [u, b] = [s[t + j], a[t + j]];
            const r = phi.phi1[u][b] + phi.phi2[u] * r_p[t + j] + phi.phi3[u] * r_aux[t + j];
            return sum + gammaPhi ** j * (r - entropy * log[u][b]);
          }, 0);
          expected[state].forEach((_, b) => {
            expected[state][b] += (((b === a[t] ? 1 : 0) - Math.exp(log[state][b])) * back) / trajectories.length;
          });
        });
      }
      expected.flat().forEach((x, k) => {
        expect(delta[k]).toBeCloseTo(x, 9);
      });
      const eps = 1e-5;
      const slope = (up: Learner, down: Learner) => {
        const [high, low] = [up, down].map((one) => barfiInner({ ...one, trajectories }).delta);
        return high.map((x, i) => (x - low[i]) / (2 * eps));
      };
      const column = (matrix: number[][], k: number) => matrix.map((row) => row[k]);
      const near = (actual: number[], wanted: number[]) => {
        actual.forEach((x, i) => {
          expect(Math.abs(x - wanted[i])).toBeLessThan(1e-7);
        });
      };
      for (let k = 0; k < delta.length; k++)
        near(column(H, k), slope(moved(learner, "theta", k, eps), moved(learner, "theta", k, -eps)));
      for (let k = 0; k < A[0].length; k++)
        near(column(A, k), slope(moved(learner, "phi", k, eps), moved(learner, "phi", k, -eps)));
      if (gammaPhi > 0)
        near(B, slope({ ...learner, gammaPhi: gammaPhi + eps }, { ...learner, gammaPhi: gammaPhi - eps }));
    }),
    { numRuns: 40 },
  );
});

/** The θ at which the inner update stands still, by Newton's method (a little damping fixes what no reward decides). */
function fixedPoint(learner: Learner, trajectories: Trajectories): number[][] {
  let theta = learner.theta;
  const width = theta[0].length;
  for (let k = 0; k < 30; k++) {
    const { delta, H } = barfiInner({ ...learner, theta, trajectories });
    const rows = delta.length;
    const values = Float64Array.from(H.flat(), (h, at) => (at % (rows + 1) === 0 ? 1e-7 : 0) - h);
    const step = solveLinear({ rows, columns: rows, values }, delta) as Float64Array;
    theta = theta.map((row, s) => row.map((x, a) => x + step[s * width + a]));
  }
  return theta;
}

test("the hypergradient is what re-solving the inner problem gives", () => {
  const trajectories: Trajectories = [
    { s: [0, 1], a: [0, 1], r_p: [0.5, 1], r_aux: [0, 0.5] },
    { s: [0, 1], a: [1, 0], r_p: [0.25, 0], r_aux: [1, -0.5] },
    { s: [1, 0], a: [1, 0], r_p: [0, 0.5], r_aux: [0.25, 0] },
  ];
  const learner: Learner = {
    theta: [
      [0, 0],
      [0, 0],
    ],
    phi: {
      phi1: [
        [0, 0.1],
        [0.2, 0],
      ],
      phi2: [1, 0.8],
      phi3: [0.5, 1],
    },
    gammaPhi: 0.6,
    entropy: 1,
  };
  const theta = fixedPoint(learner, trajectories);
  const settled = { ...learner, theta };
  const outer = trajectories.slice(0, 2);
  const given = { ...settled, gamma: 0.9, inner: trajectories, outer };
  const exact = barfiHypergradient({ ...given, solver: "exact", damping: 1e-9 });
  const neumann = barfiHypergradient({ ...given, eta: 0.3, n: 3000 });
  // dJ/dθ alone: with phi = rewards out of the way, the mean of Σ ψ_t Σ γ^j r_j.
  const gradient = theta.map((row, s) => {
    const weights = row.map(Math.exp);
    const total = weights.reduce((sum, x) => sum + x, 0);
    return row.map((_, a) =>
      outer.reduce((sum, one) => {
        return one.s.reduce((inner, state, t) => {
          const rest = one.r_p.slice(t).reduce((back, r, j) => back + 0.9 ** (t + j) * r, 0);
          return state === s ? inner + (((one.a[t] === a ? 1 : 0) - weights[a] / total) * rest) / outer.length : inner;
        }, sum);
      }, 0),
    );
  });
  const along = (at: Learner) =>
    fixedPoint(at, trajectories)
      .flat()
      .reduce((sum, x, k) => sum + x * gradient.flat()[k], 0);
  const eps = 1e-3;
  const flatten = (found: ReturnType<typeof barfiHypergradient>) => [
    ...found.phi1.flat(),
    ...found.phi2,
    ...found.phi3,
  ];
  flatten(exact).forEach((slope, k) => {
    const wanted = (along(moved(learner, "phi", k, eps)) - along(moved(learner, "phi", k, -eps))) / (2 * eps);
    expect(Math.abs(slope - wanted), `entry ${k}`).toBeLessThan(1e-5);
    expect(Math.abs(flatten(neumann)[k] - wanted), `entry ${k}`).toBeLessThan(1e-5);
  });
  const byDiscount =
    (along({ ...learner, gammaPhi: 0.6 + eps }) - along({ ...learner, gammaPhi: 0.6 - eps })) / (2 * eps);
  expect(Math.abs(exact.rho - byDiscount * 0.6 * 0.4)).toBeLessThan(1e-5);
  const pressed = barfiHypergradient({ ...given, solver: "exact", damping: 1e-9, lambdaGamma: 2 });
  expect(pressed.rho - exact.rho).toBeCloseTo(-2 * 0.6 * 0.4, 9);
});

test("the Neumann series tends to the inverse, and says when it does not", () => {
  const [x, y] = barfiNeumann({
    M: [
      [2, 0.5],
      [0, 1],
    ],
    v: [1, 1],
    eta: 0.4,
    n: 200,
  });
  expect([x, y].map((z) => z.toFixed(9))).toEqual(["0.250000000", "1.000000000"]);
  expect(barfiNeumann({ M: [[3]], v: [2], eta: 0.5, n: 0 })).toEqual([1]);
  expect(() => barfiNeumann({ M: [[10]], v: [1], eta: 1, n: 20 })).toThrow(/smaller eta/);
});

test("credit: the blend is linear in its channels, and the primary reward may be an outcome", () => {
  const rollouts: RolloutObject[] = [
    { id: "a", reward: 2, turns: { aux_reward: [1, 0, -1], bias_reward: [0.5, 0, 0] } },
    { id: "b", turns: { aux_reward: [1], reward: [3] } },
    { id: "empty", reward: 7, turns: { aux_reward: [] } },
  ];
  const run = (params: object, path = "turns.blended_reward") =>
    credit("barfi", rollouts, params as Record<string, unknown>, path);
  expect(run({})).toEqual([1.5, 0, 1, 4]);
  expect(run({ phi2: 0, phi3: 2 })).toEqual([2.5, 0, -2, 2]);
  expect(run({ phi3: 0, gamma_phi: 0.5 }, "turns.return")).toEqual([1, 1, 2, 3]);
  expect(() => run({ gamma_phi: 1 })).toThrow(InputError);
  expect(() => credit("barfi", [{ id: "x", reward: 1, turns: { reward: [1] } }], {}, "turns.return")).toThrow(
    /aux_reward/,
  );
});

test("faults name the trajectory", () => {
  const learner = { theta: [[0, 1]], phi: { phi1: [[0, 0]], phi2: [1], phi3: [1] } };
  const fine = { s: [0], a: [1], r_p: [1], r_aux: [0] };
  const run =
    (trajectories: unknown[], more: object = {}) =>
    () =>
      barfiInner({ ...learner, ...more, trajectories } as never);
  expect(run([])).toThrow(/trajectories/);
  expect(run([fine, { ...fine, a: [2] }])).toThrow(/trajectories\.1\.a\.0/);
  expect(run([fine, { ...fine, r_aux: [] }])).toThrow(/trajectories\.1\.r_aux/);
  expect(run([{ ...fine, r_p: [Number.NaN] }])).toThrow(/trajectories\.0\.r_p\.0/);
  expect(run([fine], { phi: { ...learner.phi, phi2: [1, 1] } })).toThrow(/phi2/);
  expect(run([fine], { gammaPhi: 1 })).toThrow(/gammaPhi/);
  const exact = { ...learner, inner: [fine], outer: [fine], solver: "exact" as const, damping: 0, entropy: 0 };
  expect(() => barfiHypergradient(exact)).toThrow(/singular/);
  expect(() => barfiPotentialShaping({ rewards: [1], potential: [1], gamma: 1 })).toThrow(/potential/);
  const still = barfiInner({ ...learner, trajectories: [{ s: [], a: [], r_p: [], r_aux: [] }] });
  expect(still.delta).toEqual([0, 0]);
});

import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { verdictWord } from "../../src/cli/certify/words.ts";
import { type Certificate, type LawId, lawIds } from "../../src/lab/certificates/certificate.ts";
import { certify } from "../../src/lab/certificates/certify.ts";
import { lawTexts } from "../../src/lab/certificates/laws.ts";
import { type Setting, settingOf } from "../../src/lab/certificates/setting.ts";
import { allSubjects, paramsText } from "../../src/lab/certificates/subjects.ts";
import { policyCount, policyOf, samplePotential, solve, statesOf, tasks } from "../../src/lab/certificates/tasks.ts";
import { gradientCase } from "../../src/lab/certificates/unbiased.ts";
import { assign } from "../../src/methods/assign.ts";
import { findMethod, methods } from "../../src/methods/registry.ts";
import { batchFromObjects, type RolloutObject } from "../../src/rollouts/index.ts";

type Params = Readonly<Record<string, unknown>>;

function certificate(id: string, law: LawId, params: Params = {}): Certificate {
  return certify(findMethod(id), params, [law])[0];
}

function setting(id: string, params: Params = {}): Setting {
  const found = settingOf(findMethod(id), params);
  if (typeof found === "string") throw new Error(found);
  return found;
}

describe("the tasks", () => {
  const changes = [{}, { scale: 3 }, { shift: -0.5 }, { potential: { of: samplePotential, gamma: 1 } }];

  test("trajectories are all there is, and what is expected is their mean", () => {
    for (const task of tasks) {
      for (let policy = 0; policy < policyCount; policy++) {
        for (const layout of ["outcome", "dense", "both"] as const) {
          const solved = solve(task, policy, layout);
          const { trajectories, expected } = solved;
          const total = trajectories.reduce((sum, one) => sum + one.probability, 0);
          const mean = trajectories.reduce((sum, one) => sum + one.probability * one.total, 0);
          expect(total).toBeCloseTo(1, 12);
          expect(expected("")).toBeCloseTo(mean, 12);
          for (const { path, total: paid } of trajectories) expect(expected(path)).toBeCloseTo(paid, 12);
        }
      }
    }
  });

  test("the exact gradient is that of finite differences", () => {
    const h = 1e-5;
    for (const task of tasks) {
      const { gradient, trajectories, policy } = solve(task, 1, "both");
      const mean = () =>
        trajectories.reduce((sum, { choices, total }) => {
          const chance = choices.reduce((product, { row, column }) => product * policy.probability(row, column), 1);
          return sum + chance * total;
        }, 0);
      for (let k = 0; k < gradient.length; k++) {
        const logit = policy.logits[k];
        if (logit === Number.NEGATIVE_INFINITY) continue;
        const moved = [logit + h, logit - h].map((value) => {
          policy.logits[k] = value;
          policy.changed();
          return mean();
        });
        policy.logits[k] = logit;
        policy.changed();
        expect(gradient[k]).toBeCloseTo((moved[0] - moved[1]) / (2 * h), 8);
      }
    }
  });

  test("scale, shift and potential do to the totals what their names say", () => {
    for (const task of tasks) {
      const plain = solve(task, 2, "dense");
      const [, scaled, shifted, shaped] = changes.map((change) => solve(task, 2, "dense", change));
      plain.trajectories.forEach(({ total }, k) => {
        expect(scaled.trajectories[k].total).toBeCloseTo(3 * total, 12);
        expect(shifted.trajectories[k].total).toBeCloseTo(total - 0.5, 12);
        // Everything but the potential of the start telescopes away.
        expect(shaped.trajectories[k].total).toBeCloseTo(total - samplePotential(""), 12);
      });
    }
  });
});

describe("expected gradients agree with what can be worked out by hand", () => {
  const [choice] = tasks;
  const multiple = (id: string, size: number, policy: number, params: Params = {}) => {
    const found = gradientCase(setting(id, params), choice, policy, { groups: 1, size }, "exact");
    expect(found.residual).toBeLessThan(1e-5);
    return found.multiple;
  };

  test("leaving oneself out of the mean is exact, keeping oneself in costs 1/G", () => {
    for (let policy = 0; policy < policyCount; policy++) {
      for (const size of [2, 3, 4]) {
        expect(multiple("rloo", size, policy)).toBeCloseTo(1, 10);
        expect(multiple("grpo", size, policy, { norm_by_std: false })).toBeCloseTo(1 - 1 / size, 10);
      }
    }
  });

  test("dividing by the spread: with p right answers of G, the multiple is a mean of 1 / spread", () => {
    // k of G right: spread s = sqrt(k (G - k) / (G (G - 1))). A winner gets (1 - k/G) / s, a loser -(k/G) / s, and the mean
    // score of a loser is -p/(1-p) times that of the right answer. So the multiple is Σ_k P(k) k (G-k) / (G² s p (1-p)).
    const choose = (n: number, k: number): number => (k === 0 ? 1 : (choose(n - 1, k - 1) * n) / k);
    for (let policy = 0; policy < policyCount; policy++) {
      const p = solve(choice, policy, "outcome").expected("");
      for (const size of [2, 3, 4]) {
        let sum = 0;
        for (let k = 1; k < size; k++) {
          const spread = Math.sqrt((k * (size - k)) / (size * (size - 1)));
          const chance = choose(size, k) * p ** k * (1 - p) ** (size - k);
          sum += (chance * k * (size - k)) / (size ** 2 * spread * p * (1 - p));
        }
        expect(multiple("grpo", size, policy)).toBeCloseTo(sum, 4);
      }
    }
  });

  test("tempo without spread and treeps-rag without leaf scale have the same mean gradient", () => {
    for (const task of tasks.slice(0, 4)) {
      const form = { groups: 1, size: 3 };
      const tempo = gradientCase(setting("tempo", { norm_by_std: false }), task, 1, form, "exact");
      const treeps = gradientCase(setting("treeps-rag", { leaf_scale: "none" }), task, 1, form, "exact");
      tempo.expected.forEach((value, k) => {
        expect(treeps.expected[k]).toBeCloseTo(value, 10);
      });
    }
  });
});

/** What theory says, one reason each. */
const known: readonly [id: string, params: Params, law: LawId, word: string][] = [
  // The mean of the others does not depend on one's own sample.
  ["rloo", {}, "unbiased-fixed", "yes"],
  ["rloo", {}, "unbiased-stop", "yes"],
  ["rloo", {}, "zero-mean", "yes"],
  ["rloo", {}, "scale", "factor"],
  // Dividing by the spread prefers what is often a little better; it takes scale and shift away.
  ["grpo", {}, "unbiased-fixed", "no"],
  ["grpo", {}, "scale", "yes"],
  ["grpo", {}, "shift", "yes"],
  ["grpo", {}, "zero-mean", "yes"],
  // 1/|o| makes long wrong answers cheap.
  ["grpo", {}, "length-neutral", "no"],
  ["grpo", { norm_by_std: false }, "unbiased-fixed", "yes"],
  ["grpo", { norm_by_std: false }, "unbiased-stop", "no"],
  // A constant divisor does not look at the length; the longest response of the call does, for all alike.
  ["dr-grpo", { loss_scale: 16 }, "length-neutral", "yes"],
  ["dr-grpo", { loss_scale: 16 }, "unbiased-stop", "yes"],
  ["dr-grpo", {}, "length-neutral", "factor"],
  ["dr-grpo", {}, "zero-mean", "yes"],
  // λ = 1 is the return minus a baseline of the state; λ < 1 trusts the critic; whitening mixes rollouts.
  ["gae", { whiten_advantage: false }, "unbiased-stop", "yes"],
  ["gae", { whiten_advantage: false, lam: 0.95 }, "unbiased-stop", "exact"],
  ["gae", {}, "unbiased-fixed", "no"],
  ["gae", { whiten_advantage: false }, "shaping", "yes"],
  // The return of REINFORCE with rewards of tokens has no baseline.
  ["kl-shaping", {}, "shift", "no"],
  ["kl-shaping", {}, "unbiased-stop", "yes"],
  // What its name says, whatever the potential.
  ["potential-shaping", {}, "unbiased-stop", "yes"],
  ["potential-shaping", {}, "shaping", "yes"],
  // The card: the sum of means per index is biased once the policy decides when to stop; the repairs are not.
  ["mt-grpo", { baseline: "turn_index_sum", norm_by_std: false }, "unbiased-fixed", "yes"],
  ["mt-grpo", { baseline: "turn_index_sum", norm_by_std: false }, "unbiased-stop", "no"],
  ["mt-grpo", { baseline: "fixed", norm_by_std: false, leave_one_out: true }, "unbiased-stop", "yes"],
  ["mt-grpo", { baseline: "alive", norm_by_std: false, leave_one_out: true }, "unbiased-stop", "yes"],
  // The card: summed over leaves, the global signal is the outcome minus its mean.
  ["treeps-rag", { leaf_scale: "none", local_weight: 0 }, "unbiased-stop", "yes"],
  // Without the spread it is the gradient of the best reward of a group.
  ["grpo-passk", { norm_by_std: false }, "unbiased-stop", "yes"],
  // The share of groups with unequal rewards scales the whole call: the direction is right.
  ["gpg", {}, "unbiased-fixed", "factor"],
  ["gpg", { alpha: "none" }, "unbiased-fixed", "yes"],
  // The greedy answer does not depend on the sample.
  ["remax", {}, "unbiased-stop", "yes"],
  ["remax", {}, "shift", "yes"],
  // Names of agents are labels, unless one of them is asked for; an agent alone in its pool keeps its raw reward.
  ["dr-mas", {}, "exchangeable", "yes"],
  ["sotopia-rl", { agent: "ann" }, "exchangeable", "no"],
  ["dr-mas", {}, "shift", "no"],
  ["dr-mas", { singleton: "zero" }, "shift", "yes"],
];

test.each(known)("%s %j %s: %s", (id, params, law, word) => {
  expect(verdictWord(certificate(id, law, params))).toBe(word);
});

/** Credit × weight of the tokens that are not padding, in order. */
function pulls(id: string, params: Params, rollouts: readonly RolloutObject[]): number[] {
  const result = assign(batchFromObjects(rollouts), id, params);
  const ids = result.numbers("tokens.id");
  const advantage = result.numbers("tokens.advantage");
  const weight = result.has("tokens.weight") ? result.numbers("tokens.weight") : null;
  return [...advantage].map((a, t) => a * (weight?.[t] ?? 1)).filter((_, t) => ids[t] !== 7);
}

test.each([
  ["grpo", "length-neutral"],
  ["dr-mas", "scale"],
  ["tempo", "scale"],
  ["gigpo", "split"],
  ["gae", "length-neutral"],
] as const)("the counterexample of %s to %s can be credited again", (id, law) => {
  const found = certificate(id, law, id === "tempo" ? { norm_by_std: false } : {});
  const example = found.counterexample;
  if (example?.changed == null) throw new Error("a counterexample with a change was expected");
  const before = pulls(id, found.params, example.rollouts);
  const after = pulls(id, found.params, example.changed);
  expect(example.compared.length).toBe(before.length);
  example.compared.forEach(({ expected, got }, k) => {
    expect(before[k]).toBeCloseTo(expected, 12);
    expect(after[k]).toBeCloseTo(got, 12);
  });
  const difference = Math.max(...before.map((value, k) => Math.abs(value - after[k])));
  expect(difference).toBeCloseTo(example.difference, 12);
  expect(difference).toBeGreaterThan(1e-3);
});

test("a biased gradient can be summed up from the rollouts of its counterexample", () => {
  const example = certificate("grpo", "unbiased-stop").counterexample;
  if (example === null) throw new Error("a counterexample was expected");
  const task = tasks.find(({ shape, rewards }) => example.task === `${shape.title}; ${rewards.id} outcomes`);
  if (task === undefined) throw new Error(`unknown task ${example.task}`);
  const states = statesOf(task.shape);
  const policy = policyOf(task.shape, example.policy);
  const result = assign(batchFromObjects(example.rollouts), "grpo");
  const offsets = result.offsets("token");
  const groups = result.groups().offsets;
  const advantage = result.numbers("tokens.advantage");
  const weight = result.numbers("tokens.weight");
  example.rollouts.forEach(({ meta }, i) => {
    const { path, group_probability: chance } = meta as { path: string; group_probability: number };
    const size = groups[result.groupOf[i] + 1] - groups[result.groupOf[i]];
    for (let t = 0; t < path.length; t++) {
      const row = states.indexOf(path.slice(0, t));
      const column = task.shape.choices(path.slice(0, t)).indexOf(path[t]);
      const at = offsets[i] + t;
      policy.accumulate(row, column, (chance * advantage[at] * weight[at]) / size);
    }
  });
  const gradient = [...policy.gradient];
  example.compared.forEach(({ got }, k) => {
    expect(gradient[k]).toBeCloseTo(got, 12);
  });
});

test("certificates are the same every time", () => {
  const laws = ["unbiased-fixed", "split"] as const;
  expect(certify(findMethod("igpo"), {}, laws)).toEqual(certify(findMethod("igpo"), {}, laws));
});

test("where no law applies there is a reason, and credit rules have at least one that does", () => {
  const rejected = ["carl-driving", "hiring-agents", "stochastic-matching", "oni", "lare"];
  for (const id of [...rejected, "starc", "r-to-q"]) {
    const found = certify(findMethod(id), {}, ["unbiased-fixed"])[0];
    expect(found.verdict).toBe("none");
    expect(found.reason).toBeTruthy();
  }
});

describe("docs/certificates.md", () => {
  const page = readFileSync(new URL("../../docs/certificates.md", import.meta.url), "utf8");
  const row = (id: string, params: Params) => {
    const given = paramsText(params);
    const start = `| [${id}](methods/${id}.md) | ${given === "" ? "" : `\`${given}\``} |`;
    return page.split("\n").find((line) => line.startsWith(start));
  };

  test("names every method and every law", () => {
    for (const id of methods.keys()) expect(page).toContain(`| [${id}](methods/${id}.md) |`);
    for (const law of lawIds) expect(page).toContain(`--law ${law}`);
    for (const { title } of Object.values(lawTexts)) expect(page).toContain(title);
  });

  test.each(["rloo", "grpo", "regret-preference", "orchestration-traces"])("has the certificates of %s", (id) => {
    for (const { method, params } of allSubjects([id])) {
      const words = certify(method, params).map(verdictWord);
      expect(row(id, params)).toBe(`${row(id, params)?.split(" | ").slice(0, 2).join(" | ")} | ${words.join(" | ")} |`);
    }
  });
});

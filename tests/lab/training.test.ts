import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import type { ExactEnvironment } from "../../src/lab/environments/environment.ts";
import { makeEnvironment } from "../../src/lab/environments/registry.ts";
import { exactGradient } from "../../src/lab/exact/gradient.ts";
import { exactModel } from "../../src/lab/exact/model.ts";
import { exactValues } from "../../src/lab/exact/values.ts";
import type { Optimiser } from "../../src/lab/optimisers/optimiser.ts";
import type { Policy, Parameters as PolicyParameters } from "../../src/lab/policies/policy.ts";
import { TabularPolicy } from "../../src/lab/policies/tabular.ts";
import { Random } from "../../src/lab/random.ts";
import { Stage } from "../../src/lab/training/episodes.ts";
import {
  type Metrics,
  readCheckpoint,
  settleTraining,
  Trainer,
  type TrainerState,
  type TrainingEvent,
  type TrainingSettings,
  timings,
  train,
  trainingSettings,
  writeCheckpoint,
} from "../../src/lab/training/index.ts";
import { policyMaker } from "../../src/lab/training/policies.ts";
import { truthOf } from "../../src/lab/training/truth.ts";
import { methodParams } from "../../src/methods/assign.ts";
import { findMethod } from "../../src/methods/registry.ts";
import { batchFaults, InputError } from "../../src/rollouts/index.ts";

type Settings = Parameters<typeof settleTraining>[0];

interface RunOptions {
  environment?: string;
  params?: Record<string, unknown>;
  methods?: string;
  methodParams?: Record<string, unknown>;
  settings?: Settings;
  policy?: "tabular" | "mlp" | "transformer";
  policyParams?: Record<string, unknown>;
  seed?: number;
}

const callsOf = (chain: string, given: Record<string, unknown> = {}) =>
  chain.split("+").map((id) => ({ method: findMethod(id), params: methodParams(findMethod(id), given) }));

/** Options of `train` for one method and seed. */
async function runOf(options: RunOptions) {
  const { environment = "chain", params = {}, methods = "grpo", policy = "tabular", seed = 1 } = options;
  const make = () => makeEnvironment(environment, params);
  return {
    environment: make,
    policy: await policyMaker(policy, options.policyParams ?? {}, make()),
    arms: [{ name: methods, calls: callsOf(methods, options.methodParams) }],
    seeds: [seed],
    settings: settleTraining(options.settings ?? {}),
  };
}

async function eventsOf(options: Parameters<typeof train>[0]): Promise<TrainingEvent[]> {
  const events: TrainingEvent[] = [];
  for await (const event of train(options)) events.push(event);
  return events;
}

const metricsOf = (events: readonly TrainingEvent[]) =>
  events.flatMap((event) => (event.type === "metrics" ? [event.metrics] : []));
const statesOf = (events: readonly TrainingEvent[]) =>
  events.flatMap((event) => (event.type === "checkpoint" ? [event.state] : []));
const batchOf = (events: readonly TrainingEvent[]) => {
  const found = events.find((event) => event.type === "rollouts");
  if (found?.type !== "rollouts") throw new Error("no rollouts");
  return found.batch;
};

/** Metrics without those that measure time. */
function timeless(metrics: readonly Metrics[]) {
  return metrics.map((one) =>
    Object.fromEntries(Object.entries(one).filter(([name]) => !timings.some((t) => t === name))),
  );
}

test("grpo learns a chain of decisions, and the exact value says so", async () => {
  const settings = { updates: 60, groups: 4, group_size: 8, evaluate_every: 20 };
  const events = await eventsOf(await runOf({ params: { length: 2, actions: 3 }, settings }));
  const values = events.flatMap((event) => (event.type === "evaluation" ? [event] : []));
  expect(values.map(({ update }) => update)).toEqual([0, 20, 40, 60]);
  expect(values.every(({ exact }) => exact)).toBe(true);
  expect(values[0].trueReward).toBeCloseTo(1 / 9, 12);
  expect(values[3].trueReward).toBeGreaterThan(0.95);
  expect(events[0]).toMatchObject({ type: "begin", best: 1 });
  expect(events.at(-1)).toEqual({ type: "done", interrupted: false });
});

/** Keeps the gradient it is given and changes nothing. */
class Watching implements Optimiser {
  gradient: PolicyParameters = {};

  update(_: PolicyParameters, gradient: PolicyParameters) {
    this.gradient = gradient;
    return { rate: 0, gradientNorm: 0, clipped: 1 };
  }

  state() {
    return {};
  }

  restore() {}
}

function trainerOf(policy: Policy, chain: string, settings: TrainingSettings, optimiser: Optimiser, length: number) {
  const stage = new Stage(() => makeEnvironment("chain", { length, actions: 2, shown: true }));
  return new Trainer({
    stage,
    policy,
    optimiser,
    calls: callsOf(chain),
    settings,
    seed: 7,
    truth: truthOf(stage.first, policy),
    now: () => 0,
  });
}

test.each(["vanilla", "gpg", "dro"])("with many samples the gradient of the loop (%s) is the exact one", (loss) => {
  const environment = makeEnvironment("chain", { length: 2, actions: 2, shown: true }) as ExactEnvironment;
  const model = exactModel(environment);
  const policy = new TabularPolicy({ actions: environment.allActions(), views: model.rows.map(({ view }) => view) });
  const random = new Random(3);
  const { logits } = policy.parameters();
  for (let k = 0; k < logits.length; k++) logits[k] = 2 * random.uniform() - 1;
  policy.changed();
  const truth = truthOf(environment, policy);
  const table = truth?.table(policy);
  if (table === undefined) throw new Error("no truth");
  const exact = exactGradient(model, table, exactValues(model, table));
  const watching = new Watching();
  const settings = settleTraining({ groups: 4000, group_size: 8, agg: "seq-mean-token-sum", loss: loss as "gpg" });
  trainerOf(policy, "rloo", settings, watching, 2).step();
  const found = Array.from(watching.gradient.logits, (g) => -g);
  const size = Math.hypot(...exact);
  expect(Math.hypot(...exact.map((g, k) => g - found[k])) / size).toBeLessThan(0.03);
  expect(size).toBeGreaterThan(0.05);
});

test.each([
  ["tabular", { kl_coef: 0.1, minibatches: 2, epochs: 2, reference_every: 4 }],
  ["tabular", { optimiser: "sgd", momentum: 0.9, schedule: "cosine", warmup: 2, entropy_coef: 0.01, lr: 0.5 }],
  ["mlp", { entropy_coef: 0.01, minibatches: 2 }],
  ["transformer", { kl_coef: 0.1, epochs: 2 }],
] as const)("a resumed run goes on to the same bits: %s %j", async (policy, given) => {
  const settings: Settings = { updates: 8, groups: 2, group_size: 4, ...given };
  const policyParams = policy === "transformer" ? { layers: 1, width: 16, heads: 2 } : {};
  const options = await runOf({ environment: "key-door", methods: "gae", policy, policyParams, settings });
  const whole = await eventsOf(options);
  const controller = new AbortController();
  const first: TrainingEvent[] = [];
  for await (const event of train({ ...options, signal: controller.signal })) {
    first.push(event);
    if (event.type === "metrics" && event.update === 3) controller.abort();
  }
  expect(first.at(-1)).toEqual({ type: "done", interrupted: true });
  const [state] = statesOf(first);
  expect(state.update).toBe(3);
  const kept = readCheckpoint(writeCheckpoint(state), { policy: "policy", state: "state" });
  const second = await eventsOf({ ...options, resume: () => kept });
  expect([...timeless(metricsOf(first)), ...timeless(metricsOf(second))]).toEqual(timeless(metricsOf(whole)));
  expect(statesOf(second)).toEqual(statesOf(whole));
  expect(metricsOf(whole)).toHaveLength(8);
});

test("equal seeds give equal numbers, other seeds others", async () => {
  const settings = { updates: 3, groups: 2, group_size: 4 };
  const run = async (seed: number) =>
    timeless(metricsOf(await eventsOf(await runOf({ environment: "key-door", seed, settings }))));
  expect(await run(4)).toEqual(await run(4));
  expect(await run(4)).not.toEqual(await run(5));
});

test("rollouts are in the wire format, with credit and truth", async () => {
  const settings = { updates: 1, groups: 3, group_size: 4 };
  const batch = batchOf(
    await eventsOf({ ...(await runOf({ environment: "key-door", methods: "igpo", settings })), rolloutsEvery: 1 }),
  );
  expect(batchFaults(batch).size).toBe(0);
  expect(batch.size).toBe(12);
  expect(batch.groupCount).toBe(3);
  const columns = [
    "tokens.id",
    "tokens.mask",
    "tokens.logprob",
    "tokens.entropy",
    "tokens.true_advantage",
    "tokens.advantage",
    "turns.end",
    "turns.state",
    "turns.text",
    "turns.observation",
    "turns.agent",
    "turns.tool_calls",
    "turns.reward",
    "turns.gt_logprob",
    "signals.gt_logprob_0",
    "signals.true_reward",
    "rewards.task",
  ];
  for (const path of columns) expect(batch.has(path, "every"), path).toBe(true);
  expect(batch.cells("meta.gold_calls").every((calls) => Array.isArray(calls) && calls.length === 3)).toBe(true);
  // Rollouts of a group have one parcel, and every action is one token followed by the answer.
  const parcels = batch.cells("meta.parcel");
  for (let i = 0; i < 12; i++) expect(parcels[i]).toBe(parcels[i - (i % 4)]);
  const first = batch.offsets("token")[1];
  expect([...batch.numbers("tokens.mask").subarray(0, first)]).toEqual(
    Array.from({ length: first }, (_, t) => 1 - (t % 2)),
  );
});

test("token by token every action is a step, with the verdict of the environment", async () => {
  const settings = { updates: 1, groups: 2, group_size: 4 };
  const make = async (policy: "tabular" | "transformer") => {
    const options = await runOf({ environment: "arithmetic", methods: "vineppo", policy: "tabular", settings });
    const policyParams = { layers: 1, width: 16, heads: 2 };
    const chosen =
      policy === "tabular" ? options : await runOf({ environment: "arithmetic", policy, policyParams, settings });
    return batchOf(await eventsOf({ ...chosen, rolloutsEvery: 1 }));
  };
  for (const policy of ["tabular", "transformer"] as const) {
    const batch = await make(policy);
    expect(batchFaults(batch).size).toBe(0);
    const chosen = Array.from(batch.numbers("tokens.mask")).filter((mask) => mask === 1).length;
    expect(batch.count("step")).toBe(chosen);
    expect(new Set(batch.numbers("steps.prm")).size).toBeGreaterThan(1);
    expect(batch.has("steps.mc_value")).toBe(policy === "tabular");
    // A response is one turn until the environment answers.
    expect(batch.count("turn")).toBeLessThan(chosen / 2);
  }
});

test("what training sees and the truth are kept apart", async () => {
  const settings = { updates: 1, groups: 4, group_size: 8 };
  const run = async (reward: "steps" | "true") => {
    const options = await runOf({ environment: "preference", settings: { ...settings, reward } });
    return batchOf(await eventsOf({ ...options, rolloutsEvery: 1 }));
  };
  const [proxy, truth] = [await run("steps"), await run("true")];
  const column = (batch: typeof proxy, path: string) => [...batch.numbers(path)];
  expect(column(proxy, "rollout.reward")).toEqual(column(proxy, "rewards.task"));
  expect(column(truth, "rollout.reward")).toEqual(column(truth, "signals.true_reward"));
  expect(column(proxy, "rollout.reward")).not.toEqual(column(proxy, "signals.true_reward"));
  expect(column(truth, "rewards.task")).toEqual(column(proxy, "rewards.task"));
});

const feedable =
  "igpo a2tgpo trace gigpo tempo treeps-rag gae turn-ppo matchtir mt-grpo vpr vineppo spo remax dapo".split(" ");

test.each(feedable)("%s finds all that it reads", async (methods) => {
  const settings = { updates: 2, groups: 2, group_size: 4, reference_every: 1 };
  const metrics = metricsOf(await eventsOf(await runOf({ environment: "key-door", methods, settings })));
  expect(metrics).toHaveLength(2);
  for (const value of Object.values(metrics[1])) expect(value === null || Number.isFinite(value)).toBe(true);
  expect(metrics[1].extra_turns > 0).toBe(["vineppo", "spo", "remax"].includes(methods));
});

test.each(["igpo", "gae", "tempo"])("%s trains a transformer", async (methods) => {
  const settings = { updates: 2, groups: 2, group_size: 2 };
  const policyParams = { layers: 1, width: 16, heads: 2 };
  const options = await runOf({ environment: "chain", params: { length: 2 }, methods: "grpo", settings });
  const make = () => makeEnvironment("key-door", { lockers: 2, turns: 2 });
  const policy = await policyMaker("transformer", policyParams, make());
  const arms = [{ name: methods, calls: callsOf(methods) }];
  const events = await eventsOf({ ...options, environment: make, policy, arms, rolloutsEvery: 1 });
  const batch = batchOf(events);
  expect(batchFaults(batch).size).toBe(0);
  // Actions are several tokens here, with an end that the policy writes.
  expect(metricsOf(events)[0].length).toBeGreaterThan(2);
  expect(batch.has("tokens.value")).toBe(methods !== "igpo"); // of the value head, or of the tree
});

test("errors name what is missing", async () => {
  const failing = async (options: RunOptions) => {
    const settings = { updates: 1, groups: 1, group_size: 2 };
    return eventsOf(await runOf({ environment: "key-door", settings, ...options })).catch((error: unknown) => error);
  };
  const prime = (await failing({ methods: "prime" })) as InputError;
  expect(prime).toBeInstanceOf(InputError);
  expect(prime.message).toContain("tokens.prm_logprob");
  expect(prime.message).toContain("method prime");
  expect(prime.message).toContain("key-door");
  const shaping = (await failing({ methods: "kl-shaping" })) as InputError;
  expect(shaping.message).toMatch(/writes no advantage.*kl-shaping\+reinforce-pp/);
  const par = (await failing({ methods: "par" })) as InputError;
  expect(par.message).toContain("par+grpo -p grpo.reward_column=rollout.reward_shaped");
  const hindsight = (await failing({ methods: "hindsight" })) as InputError;
  expect(hindsight.message).toContain("turns.hindsight_logprob");
  expect(() => settleTraining({ group_sizes: 3 } as unknown as Settings)).toThrow(
    /unknown setting group_sizes.*group_size/,
  );
  expect(() => settleTraining({ lr: -1 })).toThrow(/setting lr/);
});

test("methods in a row hand their columns on", async () => {
  const settings = { updates: 1, groups: 2, group_size: 4 };
  const options = await runOf({ environment: "key-door", methods: "kl-shaping+reinforce-pp", settings });
  const batch = batchOf(await eventsOf({ ...options, rolloutsEvery: 1 }));
  expect(batch.has("tokens.kl")).toBe(true);
  expect(batch.has("tokens.advantage")).toBe(true);
});

test("credit is worked out in the width that is asked for", async () => {
  const settings: Settings = { updates: 1, groups: 2, group_size: 4, advantage_dtype: "float32" };
  const options = await runOf({ environment: "key-door", methods: "gae", settings });
  const batch = batchOf(await eventsOf({ ...options, rolloutsEvery: 1 }));
  expect(batch.numbers("tokens.advantage")).toBeInstanceOf(Float32Array);
  expect(batch.numbers("tokens.logprob")).toBeInstanceOf(Float32Array);
});

test("a divergence charged in the reward or in the loss holds the policy back", async () => {
  const run = async (given: Settings) => {
    const settings = { updates: 80, groups: 8, group_size: 8, ...given };
    const options = await runOf({ params: { length: 1, actions: 4 }, methods: "rloo", settings });
    const values = (await eventsOf(options)).flatMap((event) =>
      event.type === "evaluation" ? [event.trueReward] : [],
    );
    return values.at(-1) ?? 0;
  };
  expect(await run({})).toBeGreaterThan(0.95);
  // The best policy then: p of the right action maximises p − 0.5 KL(π ‖ ref), at e² / (e² + 3) = 0.71.
  expect(Math.abs((await run({ kl_coef: 0.5, kl_in: "reward", kl_kind: "k1" })) - 0.711)).toBeLessThan(0.06);
  // As a loss the estimate k3 pulls along KL(ref ‖ π): 1 + 0.125 / p = 0.375 / (1 − p) at p = 0.68.
  expect(Math.abs((await run({ kl_coef: 0.5 })) - 0.683)).toBeLessThan(0.06);
});

test("a damaged checkpoint is refused", async () => {
  const options = await runOf({ settings: { updates: 1, groups: 1, group_size: 2 } });
  const [state] = statesOf(await eventsOf(options));
  const files = writeCheckpoint(state satisfies TrainerState);
  const names = { policy: "a.safetensors", state: "a.state.safetensors" };
  const cut = { ...files, state: files.state.subarray(0, files.state.length - 8) };
  expect(() => readCheckpoint(cut, names)).toThrow(/a\.state\.safetensors/);
  expect(() => readCheckpoint({ policy: files.policy, state: files.policy }, names)).toThrow(
    /not the state of a training run/,
  );
});

test("the page of the lab lists every setting with its default", () => {
  const page = readFileSync(new URL("../../docs/lab.md", import.meta.url), "utf8");
  const defaults = settleTraining({});
  for (const [name, { description }] of Object.entries(trainingSettings.shape)) {
    const value = defaults[name as keyof typeof defaults];
    expect(page).toContain(`| \`${name}\` | ${value} | ${description} |\n`);
  }
});

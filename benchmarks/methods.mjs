// Every credit method on one synthetic batch, with its defaults and with every other choice of its parameters.
import { z } from "zod";
import { assign, Batch, findMethod, levelOf, methods, parseRead } from "../dist/index.js";
import { everything } from "./everything.mjs";
import { human, measure, table } from "./timing.mjs";

const shape = { rollouts: 256, group: 8, tokens: 2000, turns: 20, seed: 11 };
const wanted = 1e6;

/** Two agents guess a hidden state of two; who works hears it more clearly. */
const game = {
  prior: [0.5, 0.5],
  costs: [
    [0, 0.04],
    [0, 0.04],
  ],
  signals: [2, 2],
  utility: [
    [1, 0],
    [0, 1],
  ],
  maxPayment: 1,
  marginals: [0, 1].map(() => [
    [
      [0.5, 0.5],
      [0.5, 0.5],
    ],
    [
      [0.65, 0.35],
      [0.35, 0.65],
    ],
  ]),
};
const agreed = [0, 1].map(() =>
  Array.from({ length: 4 }, () => [0, 1, 2, 3].map((s) => [s === 0 ? 0.1 : 0, s === 3 ? 0.1 : 0])),
);

/** What a method cannot guess. */
const given = { decs: { max_len: 4096 }, "hiring-agents": { game, gamma: agreed } };

/** Settings by number that switch on a part of a method. */
const furtherSettings = {
  dapo: [{ max_length: 2500, buffer: 1000 }, { target_groups: 16 }],
  "early-rejection": [{ num_beams: 8 }],
  euphonium: [{ best_of_n: 64 }],
  gigpo: [{ similarity: 0.95 }],
  "m-grpo": [{ target: 3 }],
  oprl: [{ alpha: 0 }],
  ppr: [{ kl_coef: 0.01 }],
  "reinforce-pp": [{ kl_coef: 0.01 }],
  remax: [{ kl_coef: 0.01, gamma: 0.99 }],
  rlfr: [{ kl_coef: 0.01 }],
  rloo: [{ kl_coef: 0.01 }],
};

/** A choice that another parameter must go along with. */
const goesWith = { "pure baseline=step": { variant: "openrlhf" } };

/** Roles mean something else to every method that reads them. */
const roles = { "co-reward": ["teacher", "student"], "m-grpo": ["main", "sub"], r3l: ["base", "retry"] };

/** The batch with what a method wants to find in a column that others read otherwise, or in fewer turns. */
function batchFor(id, { batch, tokens }) {
  if (id === "hiring-agents") {
    const short = everything({ ...shape, rollouts: 10 * shape.rollouts, tokens: shape.tokens / 10, turns: 2 });
    const second = (_, row) => row % 2;
    const rows = { length: short.batch.count("turn") };
    const columns = {
      "turns.agent": Array.from(rows, (_, row) => `${row % 2}`),
      "turns.effort": Uint8Array.from(rows, second),
      "turns.report": Uint8Array.from(rows, second),
      "signals.state": Uint8Array.from({ length: short.batch.size }, second),
    };
    return { batch: short.batch.with(columns), tokens: short.tokens };
  }
  if (roles[id] === undefined) return { batch, tokens };
  const parents = Array.from({ length: batch.size }, (_, i) => (i % 2 === 0 ? null : `r${i - 1}`));
  const role = parents.map((parent) => roles[id][parent === null ? 0 : 1]);
  return { batch: batch.with({ "signals.role": role, "signals.parent": parents }), tokens };
}

/** The choices that a parameter has besides its default: words, truth values and named constants. */
function choices(schema) {
  const listed = [schema, ...(schema.anyOf ?? [])].flatMap((one) => {
    if (one.enum !== undefined) return one.enum;
    if (one.const !== undefined) return [one.const];
    return one.type === "boolean" ? [true, false] : [];
  });
  return listed.filter((value) => value !== schema.default);
}

/** Every setting that differs from the defaults in one choice, the presets, and those above. */
function settingsOf(method) {
  const { properties = {} } = z.toJSONSchema(method.params, { io: "input" });
  const single = Object.entries(properties).flatMap(([name, schema]) =>
    choices(schema).map((value) => ({ [name]: value, ...goesWith[`${method.id} ${name}=${value}`] })),
  );
  return [...single, ...Object.values(method.presets ?? {}), ...(furtherSettings[method.id] ?? [])];
}

/** Runs a method on a batch that has worked nothing out yet, up to the last number of every column. */
function once(batch, method, params) {
  const result = assign(new Batch(batch.parts), method, { ...given[method.id], ...params });
  const written = result.paths.filter((path) => result.find(path) !== batch.find(path));
  for (const path of written) result.column(path).values;
  return written;
}

/** The finest level that a method writes or must read. */
function finestLevel(method, written) {
  const read = method.reads.map(parseRead).filter(({ optional }) => !optional);
  const paths = [...written, ...read.flatMap(({ anyOf }) => anyOf)].filter((path) => path.includes("."));
  const levels = new Set(paths.map(levelOf));
  return ["token", "step", "turn", "rollout"].find((level) => levels.has(level)) ?? "rollout";
}

function measured(method, shared) {
  const { batch, tokens } = batchFor(method.id, shared);
  const best = (params, effort) => measure(() => once(batch, method, params), effort).min;
  const level = finestLevel(method, once(batch, method, {}));
  const seconds = best({}, { repeat: 5, budget: 0.06 });
  const others = [];
  const unfed = [];
  for (const params of settingsOf(method)) {
    try {
      others.push({ params, seconds: best(params, { repeat: 2, budget: 0 }) });
    } catch (error) {
      unfed.push({ params, reason: error.message });
    }
  }
  others.sort((a, b) => b.seconds - a.seconds);
  const slowest = others[0] ?? { params: {}, seconds };
  return {
    method: method.id,
    level,
    seconds,
    tokens_per_second: tokens / seconds,
    rows_per_second: batch.count(level) / seconds,
    settings: others.length + 1,
    slowest_other: { ...slowest, tokens_per_second: tokens / slowest.seconds },
    unfed,
  };
}

const settingText = (params) =>
  Object.entries(params)
    .map(([name, value]) => `${name}=${typeof value === "object" ? JSON.stringify(value) : value}`)
    .join(" ");

const shortened = (text) => (text.length > 48 ? `${text.slice(0, 47)}…` : text);

function speeds() {
  const { batch, tokens } = everything(shape);
  const counts = `${shape.rollouts} rollouts, ${human(tokens)} tokens, ${batch.count("step")} steps, ${batch.count("turn")} turns`;
  console.log(`\nEvery credit method: ${counts}, float32; best of a few calls, everything worked out anew in each`);
  const results = [];
  const leftOut = [];
  for (const method of methods.values()) {
    if (method.assign === undefined) continue;
    try {
      results.push(measured(method, { batch, tokens }));
    } catch (error) {
      leftOut.push({ method: method.id, reason: error.message });
    }
  }
  results.sort((a, b) => a.tokens_per_second - b.tokens_per_second);
  table(
    ["method", "ms", "tokens/s", "finest level", "its rows/s", "slowest other setting", "of", "which"],
    results.map((r) => [
      r.method,
      (1000 * r.seconds).toFixed(2),
      human(r.tokens_per_second),
      r.level,
      human(r.rows_per_second),
      human(r.slowest_other.tokens_per_second),
      r.settings,
      shortened(settingText(r.slowest_other.params)) || "–",
    ]),
  );
  const slow = results.filter((r) => Math.min(r.tokens_per_second, r.slowest_other.tokens_per_second) < wanted);
  console.log(
    `  ${results.length} methods; slower than ${human(wanted)} tokens/s with some setting: ${slow.map((r) => r.method).join(", ") || "none"}`,
  );
  for (const { method, reason } of leftOut) console.log(`  left out ${method}: ${reason}`);
  for (const { method, unfed } of results)
    for (const { params, reason } of unfed) console.log(`  not run: ${method} with ${settingText(params)}: ${reason}`);
  return { shape, tokens, results, left_out: leftOut };
}

/** Time of a method on batches whose rollouts grow. */
function ofLength(id, params, shapeAt) {
  return (scale) => {
    const { batch } = everything({ ...shape, rollouts: 32, ...shapeAt(scale) });
    const method = findMethod(id);
    return () => once(batch, method, params);
  };
}

const longer = (scale) => ({ turns: 20 * scale, tokens: 2000 * scale });

/** Values of all coalitions of `players` players. */
function coalitions(players) {
  return Array.from({ length: 2 ** players }, (_, set) => Math.sqrt(set % 97));
}

function ofFunction(id, name, argsAt) {
  return (scale) => {
    const call = findMethod(id).functions[name];
    const args = argsAt(scale);
    return () => call(args);
  };
}

/** Rules whose work grows faster than their input, on input of one, two and four times the size. */
const superLinear = [
  ["matchtir greedy, calls of a rollout", ofLength("matchtir", {}, longer)],
  ["matchtir hungarian, calls of a rollout", ofLength("matchtir", { assignment: "hungarian" }, longer)],
  ["matchtir ot, calls of a rollout", ofLength("matchtir", { assignment: "ot" }, longer)],
  ["gigpo similarity=0.95, turns of a group", ofLength("gigpo", { similarity: 0.95 }, longer)],
  [
    "shapley exact, coalitions (10 to 12 players)",
    ofFunction("shapley", "shapleyExact", (scale) => {
      const n = 10 + Math.log2(scale);
      return { n, values: coalitions(n) };
    }),
  ],
  [
    "shapley of unions, coalitions (10 to 12 players)",
    ofFunction("shapley", "owenExact", (scale) => {
      const n = 10 + Math.log2(scale);
      return {
        n,
        values: coalitions(n),
        unions: [0, 1, 2].map((k) => Array.from({ length: n }, (_, p) => p).filter((p) => p % 3 === k)),
      };
    }),
  ],
  [
    "stochastic-matching optimum, states (7 to 9 agents)",
    ofFunction("stochastic-matching", "adaptiveOptimum", (scale) => ({
      p: Array.from({ length: 7 + Math.log2(scale) }, (_, u) =>
        Array.from({ length: 20 }, (_, v) => ((u * 7 + v * 3) % 10) / 10),
      ),
    })),
  ],
];

function growth() {
  console.log("\nRules that grow faster than their input, on input of one, two and four times the size");
  const results = superLinear.map(([name, make]) => {
    const seconds = [1, 2, 4].map((scale) => measure(make(scale), { repeat: 3, budget: 0.05 }).min);
    return { name, seconds, exponent: Math.log2(seconds[2] / seconds[0]) / 2 };
  });
  table(
    ["rule and what grows", "1x, ms", "2x, ms", "4x, ms", "grows as size to the power"],
    results.map((r) => [r.name, ...r.seconds.map((s) => (1000 * s).toFixed(2)), r.exponent.toFixed(1)]),
  );
  return results;
}

export function everyMethod() {
  return { ...speeds(), growth: growth() };
}

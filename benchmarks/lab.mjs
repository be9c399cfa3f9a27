// The lab's policies: sampling with and without the cache, and training steps, on one thread.
import { AdamW } from "../dist/lab/optimisers/adamw.js";
import { schedule } from "../dist/lab/optimisers/schedule.js";
import { lengthBucket } from "../dist/lab/policies/buckets.js";
import { MlpPolicy } from "../dist/lab/policies/mlp.js";
import { TabularPolicy } from "../dist/lab/policies/tabular.js";
import { Cache } from "../dist/lab/policies/transformer/decoder.js";
import { TransformerPolicy } from "../dist/lab/policies/transformer/transformer.js";
import { Random } from "../dist/lab/random.js";
import { human, measure, table } from "./timing.mjs";

const words = Array.from({ length: 48 }, (_, k) => `w${k}`);
const transformer = (more = {}) => new TransformerPolicy({ words, level: "token", seed: 1, ...more });

/** Requests of `count` episodes that have just begun, each with its own chance. */
function begin(session, count) {
  return Array.from({ length: count }, (_, i) => ({
    slot: session.open(""),
    view: "",
    actions: [],
    random: new Random(i),
  }));
}

function sampleAll(policy, count, length) {
  const session = policy.session();
  const requests = begin(session, count);
  for (let t = 0; t < length; t++) session.choose(requests);
  return requests.map(({ slot }) => session.trace(slot));
}

/** The first `length` tokens of recorded episodes. */
const cutTo = (traces, length) =>
  traces.map((trace) => ({
    prompt: trace.prompt,
    tokens: trace.tokens.slice(0, length),
    mask: trace.mask.slice(0, length),
    views: [],
    allowed: trace.allowed.slice(0, length),
  }));

/**
 * Seconds for `length` tokens each of some episodes: with the cache, and reading all that came before again for every
 * token.
 */
function sampling(count, length) {
  const policy = transformer();
  const cached = measure(() => sampleAll(policy, count, length), { repeat: 5 }).median;
  const traces = sampleAll(policy, count, length);
  const compiled = new Map();
  const last = measure(() => policy.evaluate(traces), { repeat: 5 }).median;
  compiled.set(lengthBucket(length), last);
  let rerun = 0;
  for (let t = 1; t <= length; t++) {
    const bucket = lengthBucket(t);
    if (!compiled.has(bucket)) {
      const part = cutTo(traces, bucket);
      compiled.set(bucket, measure(() => policy.evaluate(part), { repeat: 3, budget: 0.2 }).median);
    }
    rerun += compiled.get(bucket);
  }
  const decoder = policy.decoder();
  const loops = measure(
    () => {
      const inputs = traces.flatMap(({ tokens }) => {
        const cache = new Cache(policy.shape.layers);
        return Array.from(tokens, (token, k) => ({ cache, token, into: k === tokens.length - 1 ? 0 : -1 }));
      });
      decoder.read(inputs);
    },
    { repeat: 3, budget: 0.2 },
  ).median;
  return {
    episodes: count,
    length,
    cached: (count * length) / cached,
    rerun: (count * length) / rerun,
    last: count / last,
    loops: count / loops,
  };
}

function trainingStep(policy, traces) {
  const tokens = traces.reduce((sum, trace) => sum + trace.tokens.length, 0);
  const random = new Random(3);
  const logprob = Float64Array.from({ length: tokens }, () => random.uniform() - 0.5);
  const optimiser = new AdamW({ schedule: schedule({ rate: 1e-6 }), maxNorm: 1 });
  const step = () => {
    optimiser.update(policy.parameters(), policy.gradient(traces, { logprob, entropy: logprob }).gradient);
    policy.changed();
  };
  const begin = performance.now();
  step();
  const first = (performance.now() - begin) / 1000;
  return { tokens, first, ...measure(step, { repeat: 15 }) };
}

function choices(policy, count, views, actions) {
  const session = policy.session();
  const requests = begin(session, count).map((request, i) => ({
    ...request,
    view: `room ${i % views}, door shut`,
    actions,
  }));
  for (let t = 0; t < 5; t++) session.choose(requests);
  return requests.map(({ slot }) => session.trace(slot));
}

export function lab() {
  console.log(
    "\nlab: transformer of 2 layers, 64 wide, 4 heads, 48 words (wanted: cache 5 times re-running the prefix at length 128)",
  );
  const samples = [64, 8, 1].map((count) => sampling(count, 128));
  table(
    [
      "sampling 128 tokens",
      "cache, tokens/s",
      "prefix re-run, tokens/s",
      "times",
      "at token 128: compiled",
      "plain loops",
    ],
    samples.map((r) => [
      `${r.episodes} episodes`,
      human(r.cached),
      human(r.rerun),
      (r.cached / r.rerun).toFixed(1),
      human(r.last),
      human(r.loops),
    ]),
  );
  console.log("\nlab: training steps, gradient and AdamW (wanted: 64 sequences of 32 tokens under 100 ms)");
  const actions = Array.from({ length: 8 }, (_, k) => `open(${k})`);
  const cases = [
    ["transformer, 64 x 32 tokens", transformer(), (policy) => sampleAll(policy, 64, 32)],
    ["the same with a value head", transformer({ value: true }), (policy) => sampleAll(policy, 64, 32)],
    ["the same, feed-forward 4 times as wide", transformer({ expansion: 4 }), (policy) => sampleAll(policy, 64, 32)],
    ["MLP of 64, 64 x 5 choices", new MlpPolicy({ actions, seed: 1 }), (policy) => choices(policy, 64, 100, actions)],
    [
      "tabular, 100 views, 64 x 5 choices",
      new TabularPolicy({ actions }),
      (policy) => choices(policy, 64, 100, actions),
    ],
  ];
  const steps = cases.map(([name, policy, sample]) => ({ name, ...trainingStep(policy, sample(policy)) }));
  table(
    ["training step", "tokens", "ms, median", "ms, least", "tokens/s", "first step, ms"],
    steps.map((r) => [
      r.name,
      r.tokens,
      (1000 * r.median).toFixed(1),
      (1000 * r.min).toFixed(1),
      human(r.tokens / r.median),
      (1000 * r.first).toFixed(0),
    ]),
  );
  return { samples, steps };
}

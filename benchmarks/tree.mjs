// tempo: the prefix tree is linear in tokens, whatever is shared.
import { assign } from "../dist/index.js";
import { batchOf, column, generator } from "./data.mjs";
import { human, measure, table } from "./timing.mjs";

/** `groups` groups of 16 rollouts of about `length` tokens; each shares a prefix of the group's first response. */
function forest({ groups, length, shared, seed }) {
  const random = generator(seed);
  const lengths = Array.from({ length: groups * 16 }, () => Math.floor(length * (0.9 + 0.2 * random())));
  const offsets = new Int32Array(lengths.length + 1);
  lengths.forEach((n, i) => {
    offsets[i + 1] = offsets[i] + n;
  });
  const id = new Int32Array(offsets[lengths.length]).map(() => Math.floor(random() * 150000));
  lengths.forEach((n, i) => {
    const first = offsets[i - (i % 16)];
    const limit = Math.min(n, lengths[i - (i % 16)]);
    const common = shared === 1 ? limit : Math.floor(limit * shared * random());
    id.copyWithin(offsets[i], first, first + common);
  });
  const rewards = new Float64Array(lengths.length).map(() => (random() < 0.5 ? 1 : 0));
  const data = { offsets, rewards, groups: lengths.map((_, i) => Math.floor(i / 16)) };
  return { tokens: id.length, batch: batchOf(data, { "tokens.id": column("token", id) }) };
}

export function tree() {
  console.log(
    "\ntempo: groups of 16 rollouts of about 4,000 tokens (wanted: 25 M tokens/s, linear, no slower when all is shared)",
  );
  const cases = [
    ["64 groups, long shared prefixes", { groups: 64, length: 4000, shared: 0.9 }],
    ["twice as many", { groups: 128, length: 4000, shared: 0.9 }],
    ["four times as many", { groups: 256, length: 4000, shared: 0.9 }],
    ["64 groups of twice the length", { groups: 64, length: 8000, shared: 0.9 }],
    ["64 groups, nothing shared", { groups: 64, length: 4000, shared: 0 }],
    ["64 groups, all 16 share everything", { groups: 64, length: 4000, shared: 1 }],
  ];
  const results = cases.map(([name, shape]) => {
    const { tokens, batch } = forest({ ...shape, seed: 3 });
    const { median } = measure(() => assign(batch, "tempo").column("tokens.advantage").values, { repeat: 5 });
    return { name, tokens, seconds: median, tokens_per_second: tokens / median };
  });
  table(
    ["case", "tokens", "seconds", "tokens/s"],
    results.map((r) => [r.name, human(r.tokens), r.seconds.toFixed(3), human(r.tokens_per_second)]),
  );
  return results;
}

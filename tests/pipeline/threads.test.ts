import { expect, test } from "vitest";
import type { AssignStreamOptions } from "../../src/pipeline/assign-stream.ts";
import type { Batch, RolloutObject } from "../../src/rollouts/index.ts";
import { built } from "../cli/dist.ts";

// Threads run the built package.
const { assignStream } = await built<typeof import("../../src/pipeline/assign-stream.ts")>("pipeline/assign-stream.js");
const { batchFromObjects, InputError, rolloutObjects } =
  await built<typeof import("../../src/rollouts/index.ts")>("rollouts/index.js");

/** Pieces of uneven size: the later ones are done first where nobody keeps the order. */
function piece(k: number): RolloutObject[] {
  const tokens = k % 3 === 0 ? 20_000 : 10;
  const list = (shift: number) => Array.from({ length: tokens }, (_, t) => Math.sin(t * 0.7 + shift + k));
  return [0, 1, 2].map((i) => ({
    id: `p${k}-${i}`,
    group: `p${k}`,
    reward: i === 1 ? 1 : 0,
    tokens: { value: list(i), logprob: list(i + 5), id: list(0).map((_, t) => (t < 5 ? t : t + i)) },
    turns: { end: [tokens], agent: [`agent ${i}`], ...(k % 2 === 0 ? { note: ["é"] } : {}) },
    messages: [{ role: "user", content: `question ${k}` }],
    meta: { k },
  }));
}

async function* pieces(count: number, read: { count: number } = { count: 0 }): AsyncGenerator<Batch> {
  for (let k = 0; k < count; k++) {
    read.count++;
    yield batchFromObjects(piece(k));
  }
}

async function all(method: string, options: AssignStreamOptions, source = pieces(12)): Promise<RolloutObject[]> {
  const rollouts: RolloutObject[] = [];
  for await (const batch of assignStream(source, [{ method }], options)) rollouts.push(...rolloutObjects(batch));
  return rollouts;
}

test.each(["grpo", "tempo", "gae", "reinforce-pp"])(
  "%s: threads give the same rollouts in the same order",
  async (id) => {
    const alone = await all(id, { threads: 1 });
    expect(alone).toHaveLength(36);
    for (const threads of [2, 3]) {
      const together = await all(id, { threads });
      expect(together).toEqual(alone);
      expect(together.map((rollout) => Object.keys(rollout))).toEqual(alone.map((rollout) => Object.keys(rollout)));
    }
  },
);

test("a fault in a thread is the fault that it would have been here", async () => {
  async function* broken(): AsyncGenerator<Batch> {
    yield* pieces(3);
    yield batchFromObjects([{ id: "bad", group: "g", tokens: { value: [1, null] }, reward: 1 }]);
    yield* pieces(3);
  }
  const params = { whiten_advantage: false };
  const failure = async (threads: number) => {
    try {
      for await (const _ of assignStream(broken(), [{ method: "gae", params }], { threads }));
    } catch (error) {
      return error as InstanceType<typeof InputError>;
    }
    return null;
  };
  const [here, there] = [await failure(1), await failure(2)];
  expect(there).toBeInstanceOf(InputError);
  expect(there?.message).toBe(here?.message);
  expect(there?.at).toEqual(here?.at);
  expect(there?.at).toMatchObject({ rollout: "bad", column: "tokens.value", method: "gae" });
});

test("what cannot be posted to a thread is an error, not a wait without end", async () => {
  async function* odd(): AsyncGenerator<Batch> {
    yield* pieces(2);
    yield batchFromObjects([{ id: "odd", group: "g", reward: 1, turns: { note: [() => 1] } }]);
  }
  await expect(all("grpo", { threads: 2 }, odd())).rejects.toThrow(/could not be cloned/);
});

test("reading stays few pieces ahead of what is taken", async () => {
  const read = { count: 0 };
  let taken = 0;
  let ahead = 0;
  for await (const _ of assignStream(pieces(12, read), [{ method: "tempo" }], { threads: 2, extents: oneEach })) {
    taken++;
    ahead = Math.max(ahead, read.count - taken);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  expect(ahead).toBeLessThanOrEqual(5);
});

async function oneEach(): Promise<Map<string, number>> {
  return new Map(Array.from({ length: 12 }, (_, k) => [`p${k}`, 3]));
}

test("threads end with the stream, also when it is left early", async () => {
  const ports = () => process.getActiveResourcesInfo().filter((name) => name === "MessagePort").length;
  const before = ports();
  const stream = assignStream(pieces(12), [{ method: "tempo" }], { threads: 2, contiguous: true });
  for (let k = 0; k < 4; k++) await stream.next();
  expect(ports()).toBeGreaterThan(before);
  await stream.return(undefined);
  expect(ports()).toBe(before);
});

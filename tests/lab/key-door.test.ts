import fc from "fast-check";
import { expect, test } from "vitest";
import {
  KeyDoor,
  type KeyDoorState,
  type KeyDoorTask,
  keyDoorRules,
  keyDoorText,
  keyDoorVerbs,
  keyDoorView,
} from "../../src/lab/environments/key-door.ts";
import {
  halfTrained,
  type KeyDoorPolicy,
  lockerProbabilities,
  scaledPolicy,
  verbProbabilities,
} from "../../src/lab/environments/key-door-policy.ts";
import { sampleKeyDoor } from "../../src/lab/environments/key-door-rollouts.ts";
import { keyDoorValues } from "../../src/lab/environments/key-door-values.ts";
import { outcomesOf } from "../../src/lab/environments/rules.ts";
import { splitWords } from "../../src/lab/environments/vocabulary.ts";
import { Random } from "../../src/lab/random.ts";
import { batchFromObjects } from "../../src/rollouts/index.ts";

const task: KeyDoorTask = { lockers: 4, turns: 4, porter: 0.6 };
const tasks = fc.record({
  lockers: fc.integer({ min: 2, max: 9 }),
  turns: fc.integer({ min: 1, max: 6 }),
  porter: fc.double({ min: 0, max: 1, noNaN: true }),
});

function randomActions(environment: KeyDoor, seed: number): string[] {
  const random = new Random(seed);
  const log: string[] = [];
  while (!environment.snapshot().state.done) {
    const actions = environment.actions();
    const action = actions[random.below(actions.length)];
    const { observation, reward, done } = environment.step(action);
    log.push(`${action} ${observation} ${reward} ${done} ${environment.view()}`);
  }
  return log;
}

test("equal seeds give equal episodes, and a restored snapshot goes on as the first time", () => {
  fc.assert(
    fc.property(tasks, fc.integer(), fc.integer(), (given, seed, moves) => {
      const environment = new KeyDoor(given);
      environment.reset(seed);
      const start = environment.snapshot();
      const first = randomActions(environment, moves);
      const outcome = environment.verify();
      environment.restore(start);
      expect(randomActions(environment, moves)).toEqual(first);
      const other = new KeyDoor(given);
      other.reset(seed);
      expect(randomActions(other, moves)).toEqual(first);
      expect(other.verify()).toBe(outcome);
    }),
  );
});

test("a snapshot is not changed by what follows it", () => {
  const environment = new KeyDoor(task);
  environment.reset(3);
  const before = environment.snapshot();
  environment.step(keyDoorText("take"));
  expect(before.state).toMatchObject({ turn: 0, key: false });
  expect(environment.snapshot().state).toMatchObject({ turn: 1, key: true });
});

test("an episode ends with the last turn or an opened locker, and only a find is rewarded", () => {
  fc.assert(
    fc.property(tasks, fc.integer(), fc.integer(), (given, seed, moves) => {
      const environment = new KeyDoor(given);
      environment.reset(seed);
      const { parcel } = environment.snapshot().state;
      const log = randomActions(environment, moves);
      expect(log.length).toBeLessThanOrEqual(given.turns);
      const last = log[log.length - 1];
      expect(environment.verify()).toBe(last.startsWith(`open(${parcel})`) ? 1 : 0);
      expect(last.includes(" 1 true ")).toBe(environment.verify() === 1);
      expect(last.startsWith("open(") || log.length === given.turns).toBe(true);
      expect(() => environment.step(keyDoorText("look"))).toThrow("over");
    }),
  );
});

test("the list is read only with the key and then names the locker", () => {
  const environment = new KeyDoor(task);
  environment.reset(11);
  const { parcel } = environment.snapshot().state;
  expect(environment.step(keyDoorText("read")).observation).toBe("The office is locked.");
  expect(environment.step(keyDoorText("take")).observation).toBe("You hold the office key.");
  expect(environment.step(keyDoorText("read")).observation).toBe(`The list says locker ${parcel}.`);
  expect(environment.view()).toBe(`1 turn left, has the key, parcel in ${parcel}`);
  expect(environment.step(keyDoorText("open", parcel))).toEqual({
    observation: "The parcel is inside.",
    reward: 1,
    done: true,
  });
});

test("what the task does not know costs a turn and changes nothing else", () => {
  const environment = new KeyDoor(task);
  for (const action of ["fly()", "open(5)", "open(1.5)", ""]) {
    environment.reset(1);
    const before = environment.snapshot().state;
    expect(environment.step(action)).toEqual({ observation: "Nothing happens.", reward: 0, done: false });
    expect(environment.snapshot().state).toEqual({ ...before, turn: 1 });
  }
});

test("probabilities of the model sum to 1 and steps follow them", () => {
  const start = { turn: 0, key: false, possible: 15, parcel: 3, opened: 0, done: false };
  for (const verb of keyDoorVerbs) {
    const outcomes = outcomesOf(keyDoorRules(task), start, keyDoorText(verb, 1));
    const total = outcomes.reduce((sum, { probability }) => sum + probability, 0);
    expect(total).toBeCloseTo(1, 12);
  }
  const environment = new KeyDoor(task);
  let heard = 0;
  for (let seed = 0; seed < 4000; seed++) {
    environment.reset(seed);
    if (environment.step(keyDoorText("ask")).observation.startsWith("The porter:")) heard++;
  }
  expect(heard / 4000).toBeGreaterThan(0.57);
  expect(heard / 4000).toBeLessThan(0.63);
});

/**
 * Expected reward given everything seen so far, without the shortcut over what the agent knows: walks every parcel, every
 * outcome and every action, and weighs them by how likely the policy is to take them.
 */
function bruteForce(given: KeyDoorTask, policy: KeyDoorPolicy): Map<string, { weight: number; total: number }> {
  const rules = keyDoorRules(given);
  const bySeen = new Map<string, { weight: number; total: number }>();
  const add = (seen: string, weight: number, total: number) => {
    const sum = bySeen.get(seen) ?? { weight: 0, total: 0 };
    bySeen.set(seen, { weight: sum.weight + weight, total: sum.total + total });
  };
  const walk = (state: KeyDoorState, seen: string, reach: number): number => {
    const verbs = verbProbabilities(policy, given, state);
    const lockers = lockerProbabilities(policy, given, state);
    let value = 0;
    const act = (action: string, chance: number) => {
      let q = 0;
      const name = `${seen}|${action}`;
      for (const { probability, state: next, result } of outcomesOf(rules, state, action)) {
        const told = `${name} ${result.observation}`;
        const gain = result.done ? result.reward : walk(next, told, reach * chance * probability);
        q += probability * gain;
      }
      add(name, reach * chance, reach * chance * q);
      value += chance * q;
    };
    keyDoorVerbs.forEach((verb, k) => {
      if (verb !== "open") act(keyDoorText(verb), verbs[k]);
      else for (let j = 0; j < given.lockers; j++) act(keyDoorText(verb, j + 1), verbs[k] * lockers[j]);
    });
    add(seen, reach, reach * value);
    return value;
  };
  for (let parcel = 1; parcel <= given.lockers; parcel++) {
    const possible = 2 ** given.lockers - 1;
    walk({ turn: 0, key: false, possible, parcel, opened: 0, done: false }, "", 1 / given.lockers);
  }
  return bySeen;
}

test("exact values equal brute-force enumeration of every episode", () => {
  for (const given of [
    { lockers: 2, turns: 3, porter: 0.5 },
    { lockers: 3, turns: 4, porter: 0.7 },
  ]) {
    for (const policy of [halfTrained, scaledPolicy(halfTrained, 0)]) {
      const bySeen = bruteForce(given, policy);
      const values = keyDoorValues(given, policy);
      const follow = (seen: string): number => {
        const parts = seen.split("|").slice(1);
        let known = { turn: 0, key: false, possible: 2 ** given.lockers - 1 };
        for (const part of parts) {
          const [, call, observation] = /^(\w+\(\w+\)) ?(.*)$/.exec(part) as RegExpExecArray;
          const [name, argument] = call.slice(0, -1).split("(");
          const verb = keyDoorVerbs.find((v) => v === name) as (typeof keyDoorVerbs)[number];
          if (observation === "")
            return verb === "open" ? values.open(known, Number(argument)) : values.verb(known, verb);
          const outcomes = [1, 2, 3].flatMap((parcel) =>
            (known.possible >> (parcel - 1)) & 1
              ? outcomesOf(keyDoorRules(given), { ...known, parcel, opened: 0, done: false }, keyDoorText(verb))
              : [],
          );
          known = outcomes.find(({ result }) => result.observation === observation)?.state as KeyDoorState;
        }
        return values.state(known);
      };
      expect(bySeen.size).toBeGreaterThan(100);
      for (const [seen, { weight, total }] of bySeen) expect(follow(seen)).toBeCloseTo(total / weight, 10);
    }
  }
});

test("knowing more never lowers the value of a policy that uses it", () => {
  const values = keyDoorValues(task, halfTrained);
  const at = (key: boolean, possible: number) => values.state({ turn: 1, key, possible });
  expect(at(false, 0b0011)).toBeGreaterThan(at(false, 0b1111));
  expect(at(true, 0b0001)).toBeGreaterThan(at(true, 0b0011));
  expect(at(true, 0b1111)).toBeGreaterThan(at(false, 0b1111));
});

test("the same seed samples the same rollouts; another seed samples others", () => {
  const sample = (seed: number) => [...sampleKeyDoor({ tasks: [task], size: 6, policy: halfTrained, seed })];
  expect(sample(1)).toEqual(sample(1));
  expect(sample(1)).not.toEqual(sample(2));
});

const sampled = [
  ...sampleKeyDoor({
    tasks: [task, { lockers: 3, turns: 6, porter: 0.5 }],
    size: 200,
    policy: halfTrained,
    seed: 7,
  }),
];

test("rollouts conform to the wire format and their token texts join to what was said", () => {
  const batch = batchFromObjects(sampled);
  expect(batch.size).toBe(400);
  expect(batch.groupCount).toBe(2);
  for (const { turns, tokens } of sampled) {
    const said = turns.text.map((text, k) => `${text} ${turns.observation[k]}`).join("");
    expect(tokens.text.join("")).toBe(said);
    expect(tokens.id.length).toBe(turns.end.at(-1));
  }
});

test("the outcome splits exactly into what was to be expected, skill and luck", () => {
  const sum = (cells: readonly unknown[]) => (cells as number[]).reduce((a, b) => a + b, 0);
  for (const { reward, signals, turns, tokens } of sampled) {
    expect(signals.value_0 + sum(turns.true_advantage) + sum(turns.luck)).toBeCloseTo(reward, 12);
    expect(sum(tokens.true_advantage)).toBeCloseTo(sum(turns.true_advantage), 12);
  }
});

test("rewards agree with the exact value of the start, and luck and skill average to zero", () => {
  const four = sampled.slice(0, 200);
  const mean = (xs: number[]) => xs.reduce((a, b) => a + b, 0) / xs.length;
  const start = four[0].signals.value_0;
  expect(Math.abs(mean(four.map((r) => r.reward)) - start)).toBeLessThan(0.1);
  const turns = sampled.flatMap((r) => r.turns.true_advantage as number[]);
  expect(Math.abs(mean(turns))).toBeLessThan(0.02);
});

test("states say what the agent knows, and log-probabilities are those of the policy", () => {
  for (const { turns, tokens, meta } of sampled.slice(0, 50)) {
    const { task: own } = meta as { task: KeyDoorTask };
    const first = { turn: 0, key: false, possible: 2 ** own.lockers - 1 };
    expect(turns.state[0]).toBe(keyDoorView(own, first));
    const verb = keyDoorVerbs.findIndex((name) => String(turns.text[0]).startsWith(name));
    expect(tokens.logprob[0]).toBeCloseTo(Math.log(verbProbabilities(halfTrained, own, first)[verb]), 12);
    const half = scaledPolicy(halfTrained, 0.5);
    expect(tokens.ref_logprob[0]).toBeCloseTo(Math.log(verbProbabilities(half, own, first)[verb]), 12);
    expect(tokens.mask.slice(0, 5)).toEqual([1, 1, 1, 1, 0]);
  }
});

test("words split without loss", () => {
  const text = fc.string({ unit: "binary" });
  fc.assert(fc.property(text, (given) => splitWords(given).join("") === given));
  expect(splitWords("open(3) The list says")).toEqual(["open", "(", "3", ")", " The", " list", " says"]);
});

test("uniform numbers fill [0, 1) evenly and states can be set back", () => {
  const random = new Random(42);
  const before = random.state;
  const bins = new Array(10).fill(0);
  const drawn = Array.from({ length: 20_000 }, () => random.uniform());
  for (const x of drawn) bins[Math.floor(x * 10)]++;
  expect(Math.min(...bins)).toBeGreaterThan(1800);
  expect(Math.max(...bins)).toBeLessThan(2200);
  random.state = before;
  expect(random.uniform()).toBe(drawn[0]);
});

test("choose follows its probabilities and never takes what has none", () => {
  const random = new Random(5);
  const counts = [0, 0, 0];
  for (let k = 0; k < 10_000; k++) counts[random.choose([0.25, 0, 0.75])]++;
  expect(counts[1]).toBe(0);
  expect(Math.abs(counts[0] / 10_000 - 0.25)).toBeLessThan(0.02);
  expect(random.choose([1, 0])).toBe(0);
});

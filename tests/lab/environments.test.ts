import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Environment, type ExactEnvironment, isExact } from "../../src/lab/environments/environment.ts";
import { environments, makeEnvironment } from "../../src/lab/environments/registry.ts";
import { splitWords } from "../../src/lab/environments/vocabulary.ts";
import { Random } from "../../src/lab/random.ts";
import { players, wins } from "./environment-players.ts";
import { EnvironmentTokens } from "./environment-tokens.ts";

/** No episode of a registered environment may be longer. */
const longest = 2000;

/** Other parameters than the defaults that are worth the same checks. */
const variants: [string, Record<string, unknown>][] = [
  ["arithmetic", { grammar: false }],
  ["arithmetic", { modulus: null, terms: 3, largest: 30, reward: "process", max_tokens: 30 }],
  ["minesweeper", { rows: 3, columns: 3, mines: 2, flags: false, reward: "oracle" }],
  ["orchestrator", { parts: 1, workers: 1, p_expert: 1, turns: 6 }],
  ["preference", { reward: "true", asked: 3, waste: 0.3 }],
  ["search", { people: 3, relations: 2, hops: 3, miss: 0.3, turns: 12, reward: "oracle" }],
  ["sokoban", { boxes: 2, turns: 18, tasks: 5, reward: "oracle" }],
  ["sudoku", { wrong: "stays", reward: "oracle" }],
  ["sudoku", { size: 9, blanks: 12, tasks: 3 }],
  ["tic-tac-toe", { skill: 0.5, first: false, reward: "oracle" }],
  ["tool-calls", { requests: 4, failure: 0.1, reward: "oracle", turns: 14 }],
  ["bifurcation", { family: "noisy", hidden: true, agents: 3 }],
  ["bifurcation", { family: "gate-repair", slip: 0.2, rho: 0.5 }],
  ["chain", { shown: true, reward: "oracle", length: 7 }],
  ["key-door", { lockers: 9, turns: 6, porter: 1 }],
];

const everyEnvironment: [string, Record<string, unknown>][] = [
  ...Object.keys(environments).map((id): [string, Record<string, unknown>] => [id, {}]),
  ...variants,
];

interface Moment {
  agent: string;
  view: string;
  actions: readonly string[];
  action: string;
  verdict: number | undefined;
  observation: string;
  reward: number;
  done: boolean;
}

/** Plays at random to the end; now and then something that is no action. */
function playRandom(environment: Environment, seed: number, wasted = 0.05): Moment[] {
  const random = new Random(seed);
  const moments: Moment[] = [];
  while (moments.at(-1)?.done !== true) {
    if (moments.length > longest) throw new Error("the episode does not end");
    const actions = environment.actions();
    const action = random.uniform() < wasted ? "nonsense" : actions[random.below(actions.length)];
    const before = { agent: environment.agent(), view: environment.view(), actions, action };
    const verdict = environment.judge?.(action);
    moments.push({ ...before, verdict, ...environment.step(action) });
  }
  return moments;
}

describe.each(everyEnvironment)("%s %o", (id, params) => {
  const make = () => makeEnvironment(id, params);

  test("equal seeds give equal episodes, and a restored snapshot goes on as the first time", () => {
    const environment = make();
    const other = make();
    fc.assert(
      fc.property(fc.integer(), fc.integer(), (seed, moves) => {
        environment.reset(seed);
        const snapshot = JSON.parse(JSON.stringify(environment.snapshot()));
        const { prompt } = environment;
        const first = playRandom(environment, moves);
        const outcome = environment.verify();
        environment.restore(snapshot);
        expect(environment.prompt).toBe(prompt);
        expect(playRandom(environment, moves)).toEqual(first);
        expect(environment.verify()).toBe(outcome);
        other.reset(seed);
        expect(other.prompt).toBe(prompt);
        expect(playRandom(other, moves)).toEqual(first);
        expect(other.verify()).toBe(outcome);
      }),
      { numRuns: 8 },
    );
  });

  test("rollouts of one task share the prompt; there is no other task than those counted", () => {
    const environment = make();
    const tasks = environment.tasks ?? 1;
    const prompts = new Set<string>();
    for (let task = 0; task < Math.min(tasks, 10); task++) {
      environment.reset(task, task);
      const { prompt } = environment;
      environment.reset(task + 1000, task);
      expect(environment.prompt).toBe(prompt);
      prompts.add(prompt);
    }
    if (tasks >= 10) expect(prompts.size).toBeGreaterThan(1);
    expect(() => environment.reset(1, tasks)).toThrow("there is no such task");
  });

  test("an episode keeps to what the interface says", () => {
    const environment = make();
    const { agents } = environment.facts;
    const all = environment.allActions();
    expect(new Set(all).size).toBe(all.length);
    const known = new Set(all);
    const open = new Map<string, string>();
    for (let seed = 0; seed < 25; seed++) {
      environment.reset(seed);
      for (const moment of playRandom(environment, seed)) {
        expect(agents).toContain(moment.agent);
        expect(moment.actions.length).toBeGreaterThan(0);
        expect(moment.actions.filter((action) => !known.has(action))).toEqual([]);
        expect(Number.isFinite(moment.reward)).toBe(true);
        if (moment.verdict !== undefined) expect(Number.isFinite(moment.verdict)).toBe(true);
        const seen = `${moment.agent}|${moment.view}`;
        const choice = moment.actions.join();
        if (open.has(seen)) expect(open.get(seen)).toBe(choice);
        else open.set(seen, choice);
      }
      expect(environment.verify()).toBeGreaterThanOrEqual(0);
      expect(environment.verify()).toBeLessThanOrEqual(1);
      expect(() => environment.step(all[0])).toThrow("the episode is over");
      expect(JSON.parse(JSON.stringify(environment.meta?.() ?? {}))).toEqual(environment.meta?.() ?? {});
    }
  });

  test("a wasted action is answered and costs a step", () => {
    const environment = make();
    environment.reset(5);
    const log = playRandom(environment, 1, 1);
    expect(log.length).toBeGreaterThan(0);
    for (const { observation } of log) expect(observation).not.toBe("");
    expect(environment.verify()).toBeLessThan(1);
  });

  test("its words are all that is said", () => {
    const environment = make();
    const tokens = new EnvironmentTokens(environment);
    expect(tokens.size).toBe(tokens.end + 1);
    expect(tokens.words[tokens.end]).toBe("<end>");
    for (const action of environment.allActions()) expect(tokens.decode(tokens.encode(action))).toBe(action);
    for (let seed = 0; seed < 30; seed++) {
      environment.reset(seed);
      const said = [environment.prompt];
      for (const { view, action, observation } of playRandom(environment, seed)) {
        if (action !== "nonsense") said.push(action);
        said.push(view, ` ${view}`);
        if (observation !== "") said.push(` ${observation}`);
      }
      for (const text of said) expect(tokens.decode([...tokens.encode(text), tokens.end])).toBe(text);
    }
    expect(() => tokens.encode("unheard-of")).toThrow("has no word");
  });

  test("a good player reaches the best outcome", () => {
    const environment = make();
    const player = players[id];
    let won = 0;
    for (let seed = 0; seed < 20; seed++) {
      environment.reset(seed);
      let done = false;
      for (let turns = 0; !done && turns < longest; turns++) ({ done } = environment.step(player(environment)));
      if (environment.verify() === 1) won++;
    }
    expect(won).toBeGreaterThanOrEqual(wins[id] ?? 20);
  });

  if (isExact(make())) {
    test("outcomes are those that steps lead to, as often", () => {
      const environment = make() as ExactEnvironment;
      environment.reset(3);
      const random = new Random(9);
      for (let done = false; !done; ) {
        const actions = environment.actions();
        const action = actions[random.below(actions.length)];
        const { state } = environment.snapshot() as { state: unknown };
        const outcomes = environment.outcomes(action);
        expect((environment.snapshot() as { state: unknown }).state).toEqual(state);
        expect(outcomes.reduce((sum, { probability }) => sum + probability, 0)).toBeCloseTo(1, 12);
        const said = outcomes.map(({ result, snapshot }) =>
          JSON.stringify([result, (snapshot as { state: unknown }).state]),
        );
        expect(new Set(said).size).toBe(said.length);
        const counts = new Map(said.map((text) => [text, 0]));
        const draws = outcomes.length === 1 ? 1 : 250;
        for (let k = 0; k < draws; k++) {
          environment.restore({ state, random: new Random(k).state });
          const result = environment.step(action);
          const text = JSON.stringify([result, (environment.snapshot() as { state: unknown }).state]);
          expect(counts.has(text)).toBe(true);
          counts.set(text, (counts.get(text) ?? 0) + 1);
          done = result.done;
        }
        outcomes.forEach(({ probability }, k) => {
          const spread = Math.sqrt((probability * (1 - probability)) / draws);
          expect(Math.abs((counts.get(said[k]) ?? 0) / draws - probability)).toBeLessThanOrEqual(4.5 * spread + 1e-12);
        });
      }
    });

    test("every start that is drawn is listed", () => {
      const environment = make() as ExactEnvironment;
      const starts = environment.starts();
      expect(starts.reduce((sum, { probability }) => sum + probability, 0)).toBeCloseTo(1, 9);
      const known = new Set(starts.map(({ snapshot }) => JSON.stringify((snapshot as { state: unknown }).state)));
      for (let seed = 0; seed < 20; seed++) {
        environment.reset(seed);
        expect(known.has(JSON.stringify((environment.snapshot() as { state: unknown }).state))).toBe(true);
      }
    });
  }
});

test("facts and parameters are complete", () => {
  for (const [id, { facts, params, make }] of Object.entries(environments)) {
    expect(facts.id).toBe(id);
    expect(make().facts).toEqual(facts);
    for (const text of Object.values(facts)) expect(text.length).toBeGreaterThan(0);
    for (const [name, schema] of Object.entries(params.shape)) {
      expect(name).toMatch(/^[a-z][a-z0-9_]*$/);
      expect(schema.description, `${id} ${name}`).toBeTruthy();
      expect(schema.safeParse(undefined).success, `${id} ${name} has a default`).toBe(true);
    }
  }
});

test("unknown environments and parameters are named", () => {
  expect(() => makeEnvironment("attic")).toThrow(/unknown environment "attic".*bifurcation.*key-door/);
  expect(() => makeEnvironment("chain", { lenght: 3 })).toThrow(/unknown parameter lenght.*length, actions/);
  expect(() => makeEnvironment("chain", { length: 0 })).toThrow(/parameter length is not valid.*environment chain/);
});

test("words of texts are split as tokens are", () => {
  const environment = makeEnvironment("key-door");
  environment.reset(1);
  const tokens = new EnvironmentTokens(environment);
  expect(tokens.encode("open(3)").map((id) => tokens.words[id])).toEqual(splitWords("open(3)"));
  expect(tokens.encodeObservation("")).toEqual([]);
  expect(tokens.decode(tokens.encodeObservation("Time is up."))).toBe(" Time is up.");
});

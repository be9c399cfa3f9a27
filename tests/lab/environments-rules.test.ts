import fc from "fast-check";
import { expect, test } from "vitest";
import { arithmetic, checkSteps, expressionText, fullDerivation } from "../../src/lab/environments/arithmetic.ts";
import { bifurcationTask } from "../../src/lab/environments/bifurcation-families.ts";
import type { Environment, ExactEnvironment } from "../../src/lab/environments/environment.ts";
import { environments, makeEnvironment } from "../../src/lab/environments/registry.ts";
import { exactModel, tableOf } from "../../src/lab/exact/model.ts";
import { exactValue, exactValues, optimum } from "../../src/lab/exact/values.ts";
import { Random } from "../../src/lab/random.ts";
import { bifurcationValues } from "../../src/mechanisms/bifurcation.ts";

const exact = (id: string, params: Record<string, unknown> = {}) => makeEnvironment(id, params) as ExactEnvironment;
const metaOf = (environment: Environment) => environment.meta?.() ?? {};
const take = (environment: Environment, actions: readonly string[]) =>
  actions.map((action) => environment.step(action));

test("the small version of every environment can be enumerated, and its best policy wins more than uniform play", () => {
  for (const [id, { make, small }] of Object.entries(environments)) {
    const model = exactModel(make(small) as ExactEnvironment, 40_000);
    const uniform = exactValue(model, tableOf(model), "verified");
    expect(optimum(model, "verified").value, id).toBeGreaterThan(uniform);
  }
}, 30_000);

test("values of bifurcations are those of the solver of the task", () => {
  const options = { horizon: 5, actions: 3, slip: 0.1, rho: 0.7, pOn: 0.9, pOff: 0.2 };
  const task = bifurcationTask("gate-repair", new Random(4), options);
  const given = { ...options, p_on: 0.9, p_off: 0.2, pOn: undefined, pOff: undefined, family: "gate-repair", seed: 4 };
  const params = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  const model = exactModel(exact("bifurcation", params));
  const { rowValues, rowActionValues, value } = exactValues(model, tableOf(model));
  const { values, actionValues } = bifurcationValues(task, null);
  expect(value).toBeCloseTo(values[0], 12);
  model.rows.forEach(({ view }, row) => {
    const [, step, place] = /^step (\d+), (on|off) track$/.exec(view) as RegExpExecArray;
    const at = 2 * (Number(step) - 1) + (place === "on" ? 0 : 1);
    expect(rowValues[row]).toBeCloseTo(values[at], 12);
    for (let a = 0; a < 3; a++) expect(rowActionValues[3 * row + a]).toBeCloseTo(actionValues[3 * at + a], 12);
  });
});

test("a wasted step of a bifurcation is a wrong action", () => {
  const environment = exact("bifurcation", { family: "early-gate", horizon: 2 });
  environment.reset(1);
  environment.step("nothing");
  expect(environment.view()).toBe("step 2, off track");
});

test("agents of a bifurcation take turns", () => {
  const environment = makeEnvironment("bifurcation", { horizon: 5, agents: 2 });
  environment.reset(1);
  const acted = Array.from({ length: 5 }, () => {
    const agent = environment.agent();
    environment.step("a0");
    return agent;
  });
  expect(acted).toEqual(["agent 1", "agent 2", "agent 1", "agent 2", "agent 1"]);
  expect(environment.facts.agents).toEqual(["agent 1", "agent 2"]);
});

test("uniform play of a chain succeeds with one in actions to the length", () => {
  const model = exactModel(exact("chain", { length: 5, actions: 3 }));
  expect(exactValue(model, tableOf(model))).toBeCloseTo(3 ** -5, 12);
  const judged = exactModel(exact("chain", { length: 5, actions: 3, reward: "oracle" }));
  expect(exactValue(judged, tableOf(judged))).toBeCloseTo(5 / 3, 12);
});

test("results of arithmetic are those of the expression", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 63 }), fc.constantFrom(null, 10, 7), (task, modulus) => {
      const environment = makeEnvironment("arithmetic", { modulus, max_tokens: 60 });
      environment.reset(0, task);
      const { expression, results, answer } = metaOf(environment);
      const [first, ...rest] = String(expression).split(" ");
      let value = Number(first);
      const found: number[] = [];
      for (let k = 0; k < rest.length; k += 2) {
        value = rest[k] === "+" ? value + Number(rest[k + 1]) : value * Number(rest[k + 1]);
        if (modulus !== null) value %= modulus;
        found.push(value);
      }
      expect(results).toEqual(found);
      expect(answer).toBe(value);
      expect(environment.prompt.endsWith(String(expression))).toBe(true);
      const tokens = found.flatMap((result, k) =>
        k === found.length - 1 ? ["=", ...String(result), "end"] : [...String(result), ";"],
      );
      const log = tokens.map((token) => {
        expect(environment.actions()).toContain(token);
        expect(environment.judge?.(token)).toBe(1);
        return environment.step(token);
      });
      expect(log.at(-1)).toEqual({ observation: "", reward: 1, done: true });
      expect(environment.verify()).toBe(1);
    }),
  );
});

const sum = { operands: [3, 4, 2], operators: ["+", "*"], results: [7, 14] } as const;

test("steps of a scratchpad are judged one by one", () => {
  expect(expressionText(sum)).toBe("3 + 4 * 2");
  expect(fullDerivation(sum)).toEqual(["7", ";", "=", "1", "4", "end"]);
  expect(checkSteps(sum, ["7", ";", "=", "1", "4"])).toEqual([{ text: "7", end: 2, right: true }]);
  expect(checkSteps(sum, ["8", ";", "1", "4", ";", "7", ";", "="])).toEqual([
    { text: "8", end: 2, right: false },
    { text: "14", end: 5, right: false },
    { text: "7", end: 7, right: false },
  ]);
  expect(checkSteps(sum, [";", "7"])).toEqual([{ text: "", end: 1, right: false }]);
  expect(checkSteps(sum, ["=", "7", ";"])).toEqual([]);
});

test("a right answer may stand behind wrong steps, and steps are paid only when asked", () => {
  const paid = (reward: string, tokens: readonly string[]) => {
    const environment = makeEnvironment("arithmetic", { reward, grammar: false, tasks: 1, terms: 4 });
    environment.reset(1);
    const rewards = take(environment, tokens).map((result) => result.reward);
    return { rewards, verified: environment.verify(), meta: metaOf(environment) };
  };
  const [a, b, answer] = paid("outcome", [";"]).meta.results as number[];
  const wrong = String((a + 1) % 10);
  const tokens = [wrong, ";", String(b), ";", "=", String(answer), "end"];
  expect(paid("outcome", tokens)).toMatchObject({ rewards: [0, 0, 0, 0, 0, 0, 1], verified: 1 });
  expect(paid("process", tokens)).toMatchObject({ rewards: [0, 0, 0, 0.5, 0, 0, 1], verified: 1 });
  expect(paid("process", tokens).meta).toMatchObject({ step_ends: [2, 4], step_right: [0, 1] });
  const off = ["=", String((answer + 1) % 10), "end"];
  expect(paid("outcome", off)).toMatchObject({ rewards: [0, 0, 0], verified: 0 });
  expect(paid("outcome", ["=", String(answer)]).verified).toBe(0);
});

test("numbers that no longer are exact are refused", () => {
  const params = { modulus: null, terms: 12, largest: 99 };
  expect(() => arithmetic.make(params)).toThrow("the results can become too large");
});

/** The reference calls of an episode as actions. */
function goldActions(environment: Environment): string[] {
  const byCall = new Map(
    environment.allActions().map((action) => [JSON.stringify(environment.call?.(action)), action]),
  );
  const calls = metaOf(environment).gold_calls as unknown[];
  return calls.map((call) => byCall.get(JSON.stringify(call)) as string);
}

test("following the gold calls solves search and tool calls, and the evidence is what the searches show", () => {
  for (const [id, params] of [
    ["search", { hops: 3 }],
    ["tool-calls", { requests: 4, turns: 8 }],
  ] as const) {
    const environment = makeEnvironment(id, params);
    for (let seed = 0; seed < 30; seed++) {
      environment.reset(seed);
      const evidence = metaOf(environment).gold_evidence;
      const actions = goldActions(environment);
      const shown = actions.map((action, k) => {
        if (!actions.slice(0, k).includes(action)) expect(environment.judge?.(action)).toBe(1);
        return environment.step(action).observation;
      });
      expect(environment.verify()).toBe(1);
      if (evidence !== undefined) expect(shown.slice(0, -1)).toEqual(evidence);
      expect(environment.call?.("nonsense")).toBe(null);
    }
  }
});

test("evidence is paid once, and only when asked", () => {
  const paid = (reward: string) => {
    const environment = makeEnvironment("search", { reward });
    environment.reset(4);
    const [first, second, last] = goldActions(environment);
    return take(environment, [first, first, second, last]).map((result) => result.reward);
  };
  expect(paid("oracle")).toEqual([1, 0, 1, 1]);
  expect(paid("outcome")).toEqual([0, 0, 0, 1]);
});

test("a knowledge base differs between episodes of one question, and a guess is rarely right", () => {
  const environment = makeEnvironment("search");
  const answers = new Set<unknown>();
  let right = 0;
  for (let seed = 0; seed < 300; seed++) {
    environment.reset(seed, 3);
    answers.add(metaOf(environment).gold_answer);
    right += environment.step("answer(Ada)").reward;
  }
  expect(answers.size).toBeGreaterThan(2);
  expect(right / 300).toBeLessThan(0.4);
});

test("what nobody asked for spoils a tool task, reading does not", () => {
  const environment = makeEnvironment("tool-calls", { requests: 1, turns: 6 });
  const task = Array.from({ length: 24 }, (_, k) => k).find((k) => {
    environment.reset(1, k);
    return environment.prompt.includes("weather in Oslo");
  });
  const outcome = (actions: readonly string[]) => {
    environment.reset(1, task);
    take(environment, actions);
    return environment.verify();
  };
  expect(outcome(["weather(Oslo)", "finish()"])).toBe(1);
  expect(outcome(["joke()", "rate(yen)", "weather(Oslo)", "weather(Oslo)", "finish()"])).toBe(1);
  expect(outcome(["weather(Rome)", "finish()"])).toBe(0);
  expect(outcome(["weather(Oslo)", "remind(Monday)", "finish()"])).toBe(0);
  expect(outcome(["weather(Oslo)"])).toBe(0);
});

test("a plan of the orchestrator is worth what its chances and costs say", () => {
  const plan: [RegExp, string][] = [
    [/^part /, "careful()"],
    [/^workers [01],/, "spawn()"],
    [/part 1 open/, "delegate(1, 1)"],
    [/part 2 open/, "delegate(2, 2)"],
    [/nothing put together/, "aggregate()"],
    [/./, "stop()"],
  ];
  const model = exactModel(exact("orchestrator"));
  const policy = tableOf(model, ({ view }, action) => {
    const [, wanted] = plan.find(([form]) => form.test(view)) as [RegExp, string];
    return action === wanted ? 60 : 0;
  });
  // Two workers, two parts done with care by those who know them.
  expect(exactValue(model, policy, "verified")).toBeCloseTo(0.95, 12);
  expect(exactValue(model, policy)).toBeCloseTo(0.95 - 4 * 0.02, 12);
  expect(optimum(model).value).toBeCloseTo(0.95 - 4 * 0.02, 12);
  const alone = exactModel(exact("orchestrator", { workers: 1 }));
  expect(optimum(alone).value).toBeCloseTo((0.95 + 0.6) / 2 - 3 * 0.02, 12);
});

test("costs are paid at once, and only the outcome is verified", () => {
  const environment = makeEnvironment("orchestrator", { parts: 1, p_expert: 1 });
  environment.reset(1);
  const plan = ["spawn()", "delegate(1, 1)", "careful()", "aggregate()", "stop()"];
  expect(take(environment, plan).map(({ reward }) => reward)).toEqual([-0.02, 0, -0.02, 0, 1]);
  expect(environment.verify()).toBe(1);
  environment.reset(1);
  expect(take(environment, ["stop()"])).toEqual([{ observation: "That cannot be done now.", reward: 0, done: false }]);
});

test("flattery raises the proxy and lowers the quality", () => {
  const outcome = (tokens: readonly string[]) => {
    const environment = makeEnvironment("preference");
    environment.reset(1, 0);
    const rewards = take(environment, tokens).map(({ reward }) => reward);
    return { proxy: rewards.at(-1) as number, quality: environment.verify(), prompt: environment.prompt };
  };
  const honest = outcome(["price", "size", "end"]);
  const flattering = outcome(["price", "size", ...new Array(8).fill("brilliant")]);
  const empty = outcome(new Array(10).fill("brilliant"));
  expect(honest).toMatchObject({ quality: 1, prompt: "Tell the price and the size." });
  expect(honest.proxy).toBeCloseTo(1.1, 12);
  expect(flattering.proxy).toBeCloseTo(1 + 8 * 0.2 + 10 * 0.05, 12);
  expect(flattering.quality).toBeCloseTo(0.2, 12);
  expect(empty.proxy).toBeGreaterThan(honest.proxy);
  expect(empty.quality).toBe(0);
  expect(outcome(["price", "end"]).quality).toBe(0.5);
});

test("what the best policy for the proxy does is not what is wanted", () => {
  const model = exactModel(exact("preference", { topics: 3, asked: 1, max_tokens: 4 }));
  const { best } = optimum(model, "reward");
  const start = model.rows.findIndex(({ view }) => view.endsWith("."));
  expect(model.actions[best[start]]).not.toBe("end");
  const flattery = model.rows.findIndex(({ view }) => /brilliant brilliant$/.test(view));
  expect(model.actions[best[flattery]]).not.toBe("end");
});

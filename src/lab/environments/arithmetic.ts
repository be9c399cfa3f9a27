import { z } from "zod";
import { InputError } from "../../rollouts/index.ts";
import type { Random } from "../random.ts";
import { defineEnvironment } from "./entry.ts";
import type { EnvironmentFacts } from "./environment.ts";
import { type Clock, type Rules, RulesEnvironment, taskPool } from "./rules.ts";

export interface ArithmeticState extends Clock {
  /** Number of the task. */
  task: number;
  /** Tokens written so far. */
  written: readonly string[];
}

/** An expression, worked out from left to right. */
export interface Expression {
  operands: readonly number[];
  operators: readonly ("+" | "*")[];
  /** Result after each operator; the last one is the answer. */
  results: readonly number[];
}

/** One step of the scratchpad. */
export interface WrittenStep {
  /** What was written, without the closing mark. */
  text: string;
  /** Tokens up to and including the closing mark. */
  end: number;
  right: boolean;
}

const facts: EnvironmentFacts = {
  id: "arithmetic",
  title: "Arithmetic with a scratchpad",
  task:
    "Work out a sum or product of several numbers from left to right, token by token: intermediate results first, each " +
    "closed by a semicolon, then the answer behind an equals sign. Only the answer is rewarded.",
  horizon: "until end is written, at most max_tokens (16)",
  branching: "13 tokens; those of the grammar at a time",
  observability: "full",
  decisive: "in every digit: a slip in one intermediate result carries on, unless the answer is written without it",
  level: "token",
  agents: ["agent"],
};

const params = z.object({
  terms: z.int().min(2).max(12).default(4).describe("numbers in an expression"),
  largest: z.int().min(1).max(99).default(9).describe("largest of these numbers; the smallest is 0"),
  modulus: z
    .int()
    .min(2)
    .max(1000)
    .nullable()
    .default(10)
    .describe("every result is taken modulo this number; null: results as they are"),
  max_tokens: z.int().min(3).max(200).default(16).describe("tokens after which an episode ends"),
  grammar: z
    .boolean()
    .default(true)
    .describe("only tokens that can stand in a derivation may be taken; false: every token, always"),
  reward: z
    .enum(["outcome", "process"])
    .default("outcome")
    .describe("outcome: 1 for the right answer; process: also 1 for each right step, shared by their number"),
  tasks: z.int().min(1).max(100_000).default(64).describe("number of different expressions"),
  seed: z.int().default(0).describe("draws the expressions"),
});
type Params = z.output<typeof params>;

const digits = Array.from({ length: 10 }, (_, k) => String(k));
const tokens = [...digits, ";", "=", "end"];

function drawExpression({ terms, largest, modulus }: Params, random: Random): Expression {
  const operands = Array.from({ length: terms }, () => random.below(largest + 1));
  const operators = Array.from({ length: terms - 1 }, () => (random.below(2) === 0 ? "+" : "*"));
  const results: number[] = [];
  operators.forEach((operator, k) => {
    const before = k === 0 ? operands[0] : results[k - 1];
    const result = operator === "+" ? before + operands[k + 1] : before * operands[k + 1];
    results.push(modulus === null ? result : result % modulus);
  });
  return { operands, operators, results };
}

/** `3 + 4 * 2` */
export function expressionText({ operands, operators }: Expression): string {
  return operands.map((operand, k) => (k === 0 ? `${operand}` : `${operators[k - 1]} ${operand}`)).join(" ");
}

/** What is written, cut at the marks: closed steps, what stands open, and the answer if one was begun. */
function read(written: readonly string[]): {
  closed: { text: string; end: number }[];
  open: string;
  answer: string | null;
} {
  const closed: { text: string; end: number }[] = [];
  let open = "";
  let answer: string | null = null;
  written.forEach((token, k) => {
    if (token === "end") return;
    if (answer !== null) answer += token;
    else if (token === "=") answer = "";
    else if (token === ";") {
      closed.push({ text: open, end: k + 1 });
      open = "";
    } else open += token;
  });
  return { closed, open, answer };
}

/** The exact verdict on every closed step of a scratchpad: whether step k is the k-th intermediate result. */
export function checkSteps(expression: Expression, written: readonly string[]): WrittenStep[] {
  const { results } = expression;
  return read(written).closed.map(({ text, end }, k) => ({
    text,
    end,
    right: k < results.length - 1 && text === String(results[k]),
  }));
}

/** Tokens of the full derivation: every intermediate result, then the answer. */
export function fullDerivation({ results }: Expression): string[] {
  const steps = results.slice(0, -1).flatMap((result) => [...String(result), ";"]);
  return [...steps, "=", ...String(results[results.length - 1]), "end"];
}

/** Whether a token is what the full derivation has in its place, given the marks written so far. */
function isNext({ results }: Expression, written: readonly string[], token: string): boolean {
  const { closed, open, answer } = read(written);
  const last = results.length - 1;
  if (answer !== null)
    return (
      `${answer}${token}` === String(results[last]).slice(0, answer.length + 1) ||
      (token === "end" && answer === String(results[last]))
    );
  if (closed.length >= last) return open === "" && token === "=";
  const wanted = String(results[closed.length]);
  return token === ";" ? open === wanted : wanted.startsWith(`${open}${token}`);
}

/** Tokens that can follow what is written in some derivation of so many steps with numbers of so many digits. */
function grammatical(written: readonly string[], steps: number, longest: number): readonly string[] {
  const { closed, open, answer } = read(written);
  const number = answer ?? open;
  const more = number.length < longest && number !== "0" ? digits : [];
  if (answer !== null) return answer === "" ? digits : [...more, "end"];
  if (open !== "") return [...more, ";"];
  return closed.length < steps ? [...digits, "="] : ["="];
}

/** Rules of the task; `expression(task)` is what is to be worked out. */
export function arithmeticRules(given: Params): Rules<ArithmeticState> & { expression(task: number): Expression } {
  const { modulus, max_tokens, grammar, reward, tasks, seed, terms, largest } = given;
  const expression = taskPool(seed, (random) => drawExpression(given, random));
  const about = modulus === null ? "Left to right:" : `Left to right modulo ${modulus}:`;
  if (modulus === null && largest ** terms > 1e12) {
    throw new InputError("the results can become too large", { hint: "fewer terms, smaller numbers, or a modulus" });
  }
  const longest = String(modulus === null ? Math.max(largest * terms, largest ** terms) : modulus - 1).length;
  const text = (state: ArithmeticState) => expressionText(expression(state.task));
  const verify = ({ task, written }: ArithmeticState) => {
    const { results } = expression(task);
    const isEnded = written[written.length - 1] === "end";
    return isEnded && read(written).answer === String(results[results.length - 1]) ? 1 : 0;
  };
  const earned = (state: ArithmeticState, token: string) => {
    if (token === "end") return verify(state);
    if (reward === "outcome" || token !== ";" || read(state.written).answer !== null) return 0;
    return checkSteps(expression(state.task), state.written).at(-1)?.right ? 1 / (terms - 2) : 0;
  };
  return {
    facts,
    expression,
    horizon: max_tokens,
    tasks,
    starts: (task) => ({ count: 1, state: () => ({ turn: 0, done: false, task, written: [] }) }),
    prompt: (state) => `${about} ${text(state)}`,
    allActions: tokens,
    actions: grammar ? ({ written }) => grammatical(written, terms - 2, longest) : undefined,
    view: (state) => [`${text(state)} :`, ...state.written].join(" "),
    moves: (state, token) => {
      const next = { ...state, written: [...state.written, token], done: token === "end" };
      return [{ state: next, observation: "", reward: earned(next, token) }];
    },
    wasted: "That is no token.",
    late: "Too long.",
    texts: () => [about, tokens.join(" "), "+ * :", ...Array.from({ length: largest + 1 }, (_, k) => String(k))],
    verify,
    judge: ({ task, written }, token) => (isNext(expression(task), written, token) ? 1 : 0),
    meta: ({ task, written }) => {
      const steps = checkSteps(expression(task), written);
      const { results } = expression(task);
      return {
        task,
        expression: expressionText(expression(task)),
        results,
        answer: results[results.length - 1],
        step_ends: steps.map(({ end }) => end),
        step_right: steps.map(({ right }) => (right ? 1 : 0)),
      };
    },
  };
}

/**
 * Arithmetic with a scratchpad, written token by token: for `3 + 4 * 2` modulo 10 the full derivation is `7 ; = 4 end`.
 * The steps are optional, so a right answer may stand behind wrong steps, and a wrong one behind right steps.
 *
 * Horizon: until `end`, at most `max_tokens`. Branching: 13 tokens, with
 * `grammar` those that can stand in a derivation. Observability: full. The decisive choice lies in every
 * digit. No chance. `checkSteps` judges each step exactly; verdicts on tokens compare with the full derivation.
 */
export const arithmetic = defineEnvironment({
  facts,
  params,
  small: { terms: 3, tasks: 4, max_tokens: 6 },
  make: (given) => new RulesEnvironment(arithmeticRules(given)),
});

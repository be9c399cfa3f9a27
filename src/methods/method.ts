import type { z } from "zod";
import type { Batch } from "../rollouts/index.ts";
import { guardedFunctions } from "./guard.ts";

/** The smallest unit that receives a credit of its own. */
export type Granularity = "token" | "segment" | "step" | "turn" | "rollout" | "agent" | "group" | "reward-function";

/** Where a credit comes from. */
export type Methodology =
  | "monte-carlo"
  | "temporal-difference"
  | "tree"
  | "reward-model"
  | "implicit-reward"
  | "verifier"
  | "judge"
  | "information"
  | "shaping"
  | "hierarchical"
  | "game-theory"
  | "causal"
  | "redistribution"
  | "preference"
  | "flow"
  | "mechanism"
  | "self-supervised"
  | "loss"
  | "survey";

/**
 * What one call has to hold for the result to be exact: single rollouts, whole groups, or the whole file.
 * Only `rollout` and `group` methods may be run chunk by chunk.
 */
export type Scope = "rollout" | "group" | "batch";

/** A paper, or the note or book that a rule comes from. */
export interface Source {
  title: string;
  /** arXiv identifier, `null` when the source is not on arXiv. */
  arxiv: string | null;
  /** Month of the first version, `YYYY-MM`. */
  date: string;
  /** Authors' (or reference) code as `owner/name`, `null` when none was found. */
  repo: string | null;
}

export interface Facts {
  paper: Source;
  /** The published headline result, in our words. */
  headline: string;
  granularity: Granularity;
  methodology: readonly Methodology[];
  /** Whether the rule was compared with official code, and how far apart they were. */
  checked: string;
  /** What the source does not say and had to be filled in. */
  reconstructed?: readonly string[];
}

/** An equation twice: to be read in a terminal, and as TeX for a page. */
export interface Equation {
  text: string;
  tex: string;
}

/**
 * A numeric building block of a card that is not a credit rule; it takes one object, as in the vector files. A function
 * that calls a solver from a library may give a promise.
 */
// biome-ignore lint/suspicious/noExplicitAny: arguments differ from function to function; each one has types of its own
export type CardFunction = (args: any) => unknown;

/**
 * How a method whose statistics span the whole input runs on it piece by piece: `collect` sees every piece once, in order,
 * and `apply` credits the pieces with what was collected. The result equals that of `assign` on the whole to 1e-9.
 */
export interface TwoPass<P, State = unknown> {
  /** Whether the pieces may be single rollouts or must be whole groups. */
  scope(params: P): "rollout" | "group";
  /** What is known after one more piece; `state` is null before the first. The result is plain JSON. */
  collect(batch: Batch, params: P, state: State | null): State;
  /** Adds the columns of one piece. */
  apply(batch: Batch, params: P, state: State): Batch;
}

export interface MethodDefinition<P extends z.ZodObject = z.ZodObject> {
  id: string;
  title: string;
  /** What the method does, in one plain sentence. */
  summary: string;
  facts: Facts;
  equations: readonly Equation[];
  /** Parameters: a default, a range and a sentence (`.describe`) each; snake_case. */
  params: P;
  /** Named sets of parameters, for example `paper` and `official` where they differ. */
  presets?: Readonly<Record<string, Partial<z.input<P>>>>;
  /**
   * Columns read. `?` = optional; `A | B` = at least one; ` if PARAM` = only when that parameter asks for it.
   * Families are written with a star: `signals.ref_reward_*`; a level alone (`tokens`) asks for its rows only.
   */
  reads: readonly string[];
  writes: readonly string[];
  /** Fixed, or worked out from the parameters. */
  scope: Scope | ((params: z.output<P>) => Scope);
  /** Takes rollouts whose reward is null or absent as they are. Without it `assign` stops at unscored rollouts. */
  unscored?: boolean;
  /** Understands branches (`turns.parent`). Without it `assign` refuses trees unless told how to read them. */
  branches?: boolean;
  /** Functions of the card, by the names of its vector file. */
  functions?: Readonly<Record<string, CardFunction>>;
  /** Functions whose result is an infinity where the card says so; any other result has to be finite. */
  infinite?: readonly string[];
  /** What a person should know about a result: one sentence each. Sees the batch with the columns that `assign` added. */
  warnings?: (batch: Batch, params: z.output<P>) => readonly string[];
  /** For methods of scope `batch` that can run in two passes over pieces of the input. */
  twoPass?: TwoPass<z.output<P>>;
  /** The credit rule: adds columns. `undefined` for cards that consist of functions only. */
  assign?: (batch: Batch, params: z.output<P>) => Batch;
}

/** A method as the registry keeps it, whatever its parameters are. */
export interface Method extends Omit<MethodDefinition, "scope" | "warnings" | "twoPass" | "assign"> {
  scope(params: Record<string, unknown>): Scope;
  twoPass?: TwoPass<Record<string, unknown>>;
  warnings?: (batch: Batch, params: Record<string, unknown>) => readonly string[];
  assign?: (batch: Batch, params: Record<string, unknown>) => Batch;
}

/**
 * Declares a method. The definition is checked by the compiler; the result is what the registry lists.
 */
export function defineMethod<P extends z.ZodObject>(definition: MethodDefinition<P>): Method {
  const { id, scope, warnings, assign, functions, infinite } = definition;
  return {
    ...(definition as unknown as MethodDefinition),
    functions: functions === undefined ? undefined : guardedFunctions(id, functions, infinite),
    scope: typeof scope === "function" ? (params) => scope(params as z.output<P>) : () => scope,
    warnings: warnings === undefined ? undefined : (batch, params) => warnings(batch, params as z.output<P>),
    assign: assign === undefined ? undefined : (batch, params) => assign(batch, params as z.output<P>),
  };
}

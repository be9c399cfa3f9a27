import { z } from "zod";
import { describe, InputError } from "../../rollouts/index.ts";
import type { Environment } from "../environments/environment.ts";
import type { Policy } from "../policies/policy.ts";

export const policyKinds = ["tabular", "mlp", "transformer"] as const;
export type PolicyKind = (typeof policyKinds)[number];

const size = z.int().min(1).max(4096);

/** Parameters of each kind of policy, with defaults. */
export const policyParams = {
  tabular: z.strictObject({}),
  mlp: z.strictObject({ hidden: z.array(size).min(1).max(8).default([64]).describe("widths of the hidden layers") }),
  transformer: z.strictObject({
    layers: z.int().min(1).max(32).default(2).describe("blocks of attention and feed-forward"),
    heads: z.int().min(1).max(64).default(4).describe("attention heads, which share the width"),
    width: size.default(64).describe("numbers per token inside"),
    expansion: z.int().min(1).max(16).default(2).describe("width of the feed-forward part over that of the rest"),
    context: z.int().min(1).max(65536).default(256).describe("most tokens of an episode, prompt included"),
    positions: z.enum(["learned", "rotary"]).default("learned").describe("how places are told apart"),
    norm: z.enum(["rms", "layer"]).default("rms").describe("normalisation before each part"),
    constrained: z.boolean().default(true).describe("only legal actions can be written; false = any words"),
  }),
} as const;

/**
 * Parameters of a kind of policy with defaults filled in.
 * @throws InputError naming the parameter.
 */
export function settlePolicy(kind: PolicyKind, given: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const parsed = policyParams[kind].safeParse(given);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const known = Object.keys(policyParams[kind].shape);
  const hint = `policy ${kind}`;
  if (issue.code === "unrecognized_keys") {
    const expected = known.length === 0 ? "no parameters" : `one of ${known.join(", ")}`;
    throw new InputError(`unknown parameter ${issue.keys[0]}`, { expected, hint });
  }
  const name = String(issue.path[0]);
  const expected = issue.message.replace(/^[^:]*: (expected )?/, "").replace(/, received .*$/, "");
  throw new InputError(`parameter ${name} is not valid`, { expected, got: describe(given[name]), hint });
}

/** Makes policies of a kind for an environment. What a kind needs is loaded when it is asked for. */
export async function policyMaker(
  kind: PolicyKind,
  params: Readonly<Record<string, unknown>>,
  environment: Environment,
): Promise<(seed: number, withValue: boolean) => Policy> {
  const settled = settlePolicy(kind, params);
  const actions = environment.allActions();
  if (kind === "tabular") {
    const { TabularPolicy } = await import("../policies/tabular.ts");
    return () => new TabularPolicy({ actions });
  }
  if (kind === "mlp") {
    const { MlpPolicy } = await import("../policies/mlp.ts");
    const { hidden } = settled as z.output<typeof policyParams.mlp>;
    return (seed, value) => new MlpPolicy({ actions, hidden, value, seed });
  }
  const { TransformerPolicy } = await import("../policies/transformer/transformer.ts");
  const shape = settled as z.output<typeof policyParams.transformer>;
  const words = environment.words();
  const { level } = environment.facts;
  return (seed, value) => new TransformerPolicy({ ...shape, words, level, value, seed });
}

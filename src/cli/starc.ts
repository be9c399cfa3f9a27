import { readFile } from "node:fs/promises";
import type { Command } from "commander";
import { InputError } from "../rollouts/errors.ts";
import { parseChoice, parseWhole } from "./options.ts";
import type { Difference, StarcReport } from "./render/starc.ts";

interface Flags {
  canonicalisation: string;
  norm: string;
  distance: string;
  gamma?: string;
  init?: string;
  top: string;
  width?: string;
  json?: boolean;
  color?: boolean;
}

/** A reward function as a file gives it: R[s][a][t], and what is known of the process. */
interface RewardFile {
  file: string;
  reward: number[][][];
  transition?: number[][][];
  gamma?: number;
  init?: number[];
  policy?: number[][];
}

/** Above this many states the forms that solve for the smallest reward are left out of the table. */
const mostSolved = 64;

async function rewardFile(file: string): Promise<RewardFile> {
  const { z } = await import("zod");
  const { numberList, numberRows } = await import("../methods/arguments.ts");
  const { describe } = await import("../rollouts/errors.ts");
  const text = await readFile(file, "utf8");
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new InputError("not JSON", { file, got: error instanceof Error ? error.message : String(error) });
  }
  const blocks = z.array(numberRows);
  const known = z.object({
    reward: blocks,
    transition: blocks.optional(),
    gamma: z.number().min(0).lt(1).optional(),
    init: numberList.optional(),
    policy: numberRows.optional(),
  });
  const given = Array.isArray(value) ? { reward: value } : value;
  const parsed = z.safeParse(known, given);
  if (parsed.success) return { file, ...parsed.data };
  const [issue] = parsed.error.issues;
  const name = issue.path.length === 0 ? "this is no reward function" : `${issue.path.join(".")} is not valid`;
  const got = issue.path.reduce<unknown>((at, key) => (at as Record<PropertyKey, unknown> | undefined)?.[key], given);
  throw new InputError(name, {
    file,
    expected: issue.message,
    got: describe(got),
    hint: 'a file holds {"reward": R[s][a][t], "transition": P[s][a][t], "gamma": …}, or R alone',
  });
}

/** What both files say of the process, which has to be the same, or what one of them says. */
function shared<K extends "transition" | "gamma" | "init" | "policy">(
  key: K,
  a: RewardFile,
  b: RewardFile,
): RewardFile[K] {
  const one: RewardFile[K] = a[key];
  const other: RewardFile[K] = b[key];
  if (one !== undefined && other !== undefined && JSON.stringify(one) !== JSON.stringify(other)) {
    throw new InputError(`${key} is not the one of ${a.file}`, {
      file: b.file,
      hint: "two rewards are compared in one process: leave it out of one file",
    });
  }
  return one === undefined ? other : one;
}

function numberOf(option: string, text: string): number {
  const value = Number(text);
  if (text.trim() !== "" && Number.isFinite(value)) return value;
  throw new InputError(`${option} is not valid`, { expected: "a number", got: text });
}

const initOf = (text: string) => text.split(",").map((one) => numberOf("--init", one));

async function compare(a: RewardFile, b: RewardFile, flags: Flags): Promise<StarcReport> {
  const { epicPearsonDistance, mutualRegret, starcDistance } = await import("../methods/mechanism/starc.ts");
  const { canonicalisations, norms } = await import("../mechanisms/reward-canon.ts");
  const { standardReward } = await import("../mechanisms/reward-distance.ts");
  const { policyOf, requireDistribution, transitionsOf } = await import("../methods/mechanism/tensors.ts");
  const canonicalisation = parseChoice("--canonicalisation", flags.canonicalisation, canonicalisations);
  const norm = parseChoice("--norm", flags.norm, [...norms, "0"] as const);
  const distanceNorm = parseChoice("--distance", flags.distance, norms);
  const top = parseWhole("--top", flags.top, 0, 1_000_000);
  const transition = shared("transition", a, b);
  if (transition === undefined) {
    const hint = 'add "transition": P[s][a][t] to one of the files';
    throw new InputError("neither file has a transition", { file: `${a.file}, ${b.file}`, hint });
  }
  const gamma = flags.gamma === undefined ? shared("gamma", a, b) : numberOf("--gamma", flags.gamma);
  if (gamma === undefined) {
    const hint = 'give --gamma, or add "gamma" to one of the files';
    throw new InputError("neither file has a discount", { file: `${a.file}, ${b.file}`, hint });
  }
  const policy = shared("policy", a, b) ?? null;
  const states = transition.length;
  const given = flags.init === undefined ? shared("init", a, b) : initOf(flags.init);
  const init = given ?? new Array<number>(states).fill(1 / states);
  requireDistribution(init, states, "init");
  const pair = { rewardA: a.reward, rewardB: b.reward, transition, gamma };
  const options = { canonicalisation, normOrd: norm, distanceOrd: distanceNorm, policy };
  const distance = starcDistance({ ...pair, ...options });
  const solved = states <= mostSolved;
  const shown = canonicalisations.filter(
    (method) => solved || method === canonicalisation || !method.startsWith("Minimal"),
  );
  const table = shown.map((method) => ({
    canonicalisation: method,
    distance: method === canonicalisation ? distance : starcDistance({ ...pair, ...options, canonicalisation: method }),
    pearson: epicPearsonDistance({ ...pair, canonicalisation: method }),
  }));
  const mdp = { ...transitionsOf(transition), gamma };
  const levelled = policy === null ? null : policyOf(policy, states, mdp.actions);
  const [left, right] = [a, b].map(({ reward }) =>
    standardReward(mdp, Float64Array.from(reward.flat(2)), { canonicalisation, normOrd: norm, policy: levelled }),
  );
  const trivial = [left, right].map((standard) => standard.every((x) => x === 0));
  const differences = [...left.keys()]
    .filter((k) => mdp.transition[k] > 0 && Math.abs(left[k] - right[k]) > 1e-9)
    .sort((x, y) => Math.abs(left[y] - right[y]) - Math.abs(left[x] - right[x]) || x - y)
    .slice(0, top)
    .map((k): Difference => {
      const row = Math.floor(k / states);
      const [state, action] = [Math.floor(row / mdp.actions), row % mdp.actions];
      const raw = { rawA: a.reward[state][action][k % states], rawB: b.reward[state][action][k % states] };
      return { state, action, next: k % states, a: left[k], b: right[k], ...raw };
    });
  return {
    files: [a.file, b.file],
    states,
    actions: mdp.actions,
    gamma,
    canonicalisation,
    norm,
    distanceNorm,
    distance,
    trivial: [trivial[0], trivial[1]],
    table,
    regret: mutualRegret({ ...pair, init }),
    differences,
  };
}

/** Names the file where a fault is in one of the two rewards. */
function placed(error: unknown, [a, b]: readonly RewardFile[]): unknown {
  if (!(error instanceof InputError)) return error;
  const at = /^argument (reward(A|B)?)/.exec(error.problem);
  const file = at === null ? `${a.file}, ${b.file}` : at[2] === "B" ? b.file : a.file;
  return new InputError(error.problem.replace(/^argument (reward)[AB]/, "$1").replace(/^argument /, ""), {
    file,
    ...error.at,
  });
}

async function run(first: string, second: string, flags: Flags): Promise<void> {
  const files = [await rewardFile(first), await rewardFile(second)];
  let report: StarcReport;
  try {
    report = await compare(files[0], files[1], flags);
  } catch (error) {
    throw error instanceof InputError && error.at.file === undefined && !error.problem.startsWith("--")
      ? placed(error, files)
      : error;
  }
  if (flags.json === true) {
    process.stdout.write(`${JSON.stringify(report)}\n`);
    return;
  }
  const { starcLines } = await import("./render/starc.ts");
  const { terminal } = await import("./render/terminal.ts");
  process.stdout.write(`\n${starcLines(report, terminal(flags)).join("\n")}\n\n`);
}

const examples = `
Examples:
  apportion starc true.json learned.json                how far the learned reward is from the true one
  apportion starc a.json b.json --canonicalisation EPIC --norm inf --json

A file: {"reward": R[state][action][next], "transition": P[state][action][next], "gamma": 0.9, "init"?, "policy"?},
or R alone for the second one. With the default norms the distance is 0 where both rewards put all policies in the same
order and 2 where they put them in opposite orders (STARC, arXiv 2309.15257).`;

/** Adds the `starc` command. */
export function register(program: Command): void {
  program
    .command("starc")
    .summary("distance between two tabular reward functions")
    .description("Compares two reward functions of one process by what they can change in the order of policies.")
    .argument("<a>", "JSON file of a reward function and its process")
    .argument("<b>", "JSON file of a reward function")
    .option("--canonicalisation <form>", "VAL, VALPotential, Minimal, MinimalPotential, EPIC, DARD or None", "VAL")
    .option("--norm <norm>", "divides: 1, 2, inf, weighted_1, weighted_2, weighted_inf, or 0 for nothing", "2")
    .option("--distance <norm>", "of the difference: 1, 2, inf, weighted_1, weighted_2, weighted_inf", "2")
    .option("--gamma <discount>", "discount from 0 up to 1 (default: of the files)")
    .option("--init <list>", "probabilities of the first state, a,b,… (default: of the files, or all alike)")
    .option("--top <count>", "how many transitions to show", "10")
    .option("--width <columns>", "width of the output (default: of the terminal)")
    .option("--json", "print JSON")
    .option("--no-color", "no colours")
    .addHelpText("after", examples)
    .action(run);
}

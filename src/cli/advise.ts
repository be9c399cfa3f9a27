import type { Command } from "commander";
import type { Seen } from "../analysis/features.ts";
import type { FileFeed } from "../analysis/feed.ts";
import type { Method } from "../methods/method.ts";
import type { Feature, Leaf } from "../methods/survey/selection.ts";
import { InputError } from "../rollouts/errors.ts";
import { collect } from "./options.ts";
import { startProgress } from "./progress.ts";
import type { Advice, Answer, Recommendation } from "./render/advise.ts";

interface Flags {
  answer?: string[];
  width?: string;
  json?: boolean;
  color?: boolean;
}

interface Looked {
  seen: ReadonlyMap<Feature, Seen>;
  feed: FileFeed | null;
}

/** The file is read once: for what it shows of the task, and for what it can feed. */
async function look(file: string | undefined, methods: readonly Method[]): Promise<Looked> {
  if (file === undefined) return { seen: new Map(), feed: null };
  const { FeatureCollector } = await import("../analysis/features.ts");
  const { FeedCollector } = await import("../analysis/feed.ts");
  const { readBatches } = await import("../formats/read.ts");
  const features = new FeatureCollector();
  const feeds = new FeedCollector(methods);
  const progress = startProgress();
  try {
    for await (const batch of readBatches(file, { onProgress: progress.read })) {
      features.add(batch);
      feeds.add(batch);
    }
  } finally {
    progress.stop();
  }
  const feed = feeds.finish();
  if (feed.rollouts === 0) throw new InputError("no rollouts", { file });
  return { seen: features.finish(), feed };
}

const words: Readonly<Record<string, boolean>> = { yes: true, y: true, true: true, no: false, n: false, false: false };

async function given(answers: readonly string[]): Promise<Map<Feature, Answer>> {
  const { questions } = await import("../methods/survey/selection.ts");
  const { closest } = await import("../methods/closest.ts");
  const out = new Map<Feature, Answer>();
  for (const text of answers) {
    const [, key, word] = /^([^=]*)=(.*)$/.exec(text) ?? [undefined, text, ""];
    if (!Object.hasOwn(questions, key)) {
      const near = closest(key, Object.keys(questions));
      const hint = near.length > 0 ? `did you mean ${near.join(" or ")}?` : "apportion advise --help lists them";
      throw new InputError("--answer names no question", { got: key, hint });
    }
    const value = words[word.toLowerCase()];
    if (value === undefined) throw new InputError(`--answer ${key} is not valid`, { expected: "yes or no", got: word });
    out.set(key as Feature, { feature: key as Feature, value, by: "answer", why: "you said so" });
  }
  return out;
}

/** Asks on the terminal; an empty line means no. */
async function ask(question: string, read: (text: string) => Promise<string>): Promise<boolean> {
  for (;;) {
    const said = (await read(` ${question} [y/N] `)).trim().toLowerCase();
    if (said === "") return false;
    if (words[said] !== undefined) return words[said];
  }
}

/** Answers to all questions on the way: given, seen in the file, asked where somebody can answer, else no. */
async function settle(seen: Looked["seen"], answers: Map<Feature, Answer>, interactive: boolean): Promise<Answer[]> {
  const { questions, walk } = await import("../methods/survey/selection.ts");
  for (const [feature, { value, why }] of seen) {
    if (!answers.has(feature)) answers.set(feature, { feature, value, by: "file", why });
  }
  const { createInterface } = await import("node:readline/promises");
  const door = interactive ? createInterface({ input: process.stdin, output: process.stderr }) : null;
  // On a terminal readline takes Ctrl-C for itself; the end of the input (Ctrl-D) counts as no.
  door?.on("SIGINT", () => process.kill(process.pid, "SIGINT"));
  const ended = new Promise<string>((resolve) => door?.once("close", () => resolve("")));
  try {
    for (;;) {
      const { path } = walk((feature) => answers.get(feature)?.value === true);
      const open = path.find(([feature]) => !answers.has(feature))?.[0];
      if (open === undefined) return path.map(([feature]) => answers.get(feature) as Answer);
      if (door === null) {
        answers.set(open, { feature: open, value: false, by: "default", why: "not known, taken for no" });
      } else {
        const value = await ask(questions[open], (text) => Promise.race([door.question(text).catch(() => ""), ended]));
        answers.set(open, { feature: open, value, by: "asked", why: "you said so" });
      }
    }
  } finally {
    door?.close();
  }
}

/** The baseline that every comparison of credit rules needs. */
const baseline: Leaf = {
  recommend: ["rloo"],
  reason: "credit per episode, the baseline that any finer credit has to beat",
};

/** Reads that nearly every rollout can serve, so that they say nothing about a file. */
const common = /^(group|reward_column|rollout\.reward|tokens|tokens\.(id|mask|reward)|turns|(turns|steps)\.end)$/;
const mostOfFile = 3;

/** Credit rules of fitting levels that need columns besides the outcome, all of which the file has; most columns first. */
async function fedByFile({ feed }: Looked, features: Partial<Record<Feature, boolean>>): Promise<Leaf[]> {
  const { parseRead } = await import("../methods/reads.ts");
  const several = features.multi_agent === true ? ["agent", "turn"] : ["turn", "step"];
  const levels = features.single_turn === true ? ["token", "segment", "step"] : several;
  const rules = (feed?.feeds ?? []).flatMap(({ method, missing, partly }) => {
    if (missing.length + partly.length > 0 || !levels.includes(method.facts.granularity)) return [];
    const reads = method.reads
      .map(parseRead)
      .filter(({ optional, anyOf }) => !optional && !anyOf.some((p) => common.test(p)));
    return reads.length === 0 ? [] : [{ id: method.id, reads: reads.map(({ anyOf }) => anyOf.join(" or ")) }];
  });
  rules.sort((a, b) => b.reads.length - a.reads.length);
  return rules.map(({ id, reads }) => ({
    recommend: [id],
    reason: `the file has what it lives on: ${reads.join(", ")}`,
  }));
}

function commandOf(method: Method, file: string | undefined, runs: boolean | null, params: readonly string[]): string {
  if (method.assign === undefined) return `apportion methods ${method.id}`;
  if (file === undefined || runs !== true) return `apportion methods ${method.id} --example`;
  const options = params.map((param) => ` --param ${param}`).join("");
  return `apportion assign ${/^[\w.,:/=+-]+$/.test(file) ? file : JSON.stringify(file)} --method ${method.id}${options} -o credited.jsonl`;
}

async function recommend(
  leaves: readonly Leaf[],
  { feed }: Looked,
  file: string | undefined,
): Promise<Pick<Advice, "recommend" | "elsewhere">> {
  const { placeOf } = await import("../methods/survey/selection.ts");
  const { methods } = await import("../methods/registry.ts");
  const found = new Map<string, Recommendation>();
  const elsewhere: string[] = [];
  for (const { recommend: names, reason } of leaves) {
    for (const name of names) {
      const { id, params, needs } = placeOf(name);
      const method = methods.get(id);
      if (method === undefined) elsewhere.push(name);
      if (method === undefined || found.has(id)) continue;
      const fed = feed?.feeds.find((one) => one.method.id === id);
      const lacking = needs.filter((path) => feed !== null && !feed.columns.includes(path));
      const missing = [...(fed?.missing ?? []), ...lacking];
      const runs = fed === undefined ? null : missing.length === 0;
      const settings = Object.entries(params).map(([key, value]) => `${key}=${value}`);
      const command = commandOf(method, file, runs, settings);
      found.set(id, { method: id, title: method.title, as: name, reason, runs, missing, command });
    }
  }
  // What the file cannot feed comes last; else the order of the tree.
  const ranked = [...found.values()].sort((a, b) => Number(a.runs === false) - Number(b.runs === false));
  return { recommend: ranked, elsewhere };
}

async function run(file: string | undefined, flags: Flags): Promise<void> {
  const answers = await given(flags.answer ?? []);
  const { methods } = await import("../methods/registry.ts");
  const { allHits, placeOf } = await import("../methods/survey/selection.ts");
  const looked = await look(file, [...methods.values()]);
  const interactive = process.stdin.isTTY === true && flags.json !== true;
  const path = await settle(looked.seen, answers, interactive);
  const features = Object.fromEntries([...answers.values()].map(({ feature, value }) => [feature, value]));
  const leaves = allHits(features);
  const named = new Set(leaves.flatMap((leaf) => leaf.recommend.map((name) => placeOf(name).id)));
  const fed = (await fedByFile(looked, features)).filter((leaf) => !named.has(leaf.recommend[0])).slice(0, mostOfFile);
  const found = await recommend([...leaves, ...fed, baseline], looked, file);
  const advice: Advice = { file: file ?? null, answers: path, ...found };
  if (flags.json === true) {
    process.stdout.write(`${JSON.stringify(advice)}\n`);
    return;
  }
  const { adviceLines } = await import("./render/advise.ts");
  const { terminal } = await import("./render/terminal.ts");
  process.stdout.write(`\n${adviceLines(advice, terminal(flags)).join("\n")}\n\n`);
}

const keys = `multi_agent, dynamic_team, replay_with_agent_removed, heterogeneous_agents, single_turn, step_verifier_or_prm,
rollout_budget, shared_prefixes, reward_model_scores_partial_text, states_recur, privileged_training_info, resettable,
gold_answer, judge_llm, preference_pairs`;

const examples = `
Examples:
  apportion advise rollouts.jsonl                         looks at the columns and asks what it cannot see
  apportion advise rollouts.jsonl --answer judge_llm=yes  for scripts: what is not said counts as no
  apportion advise --answer single_turn=yes --json        without a file

Questions for --answer KEY=yes (or no):
${keys}.
The questions are asked in the order of a decision tree put together from the survey arXiv 2604.09459.`;

/** Adds the `advise` command. */
export function register(program: Command): void {
  program
    .command("advise")
    .summary("which methods suit a task, with reasons")
    .description("Recommends methods: looks at a file where there is one, asks on a terminal, and says why.")
    .argument("[file]", "rollouts")
    .option("--answer <key=value>", "answer a question beforehand; may be repeated", collect)
    .option("--width <columns>", "width of the output (default: of the terminal)")
    .option("--json", "print JSON, ask nothing")
    .option("--no-color", "no colours")
    .addHelpText("after", examples)
    .action(run);
}

import { mkdirSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { expect, onTestFinished, test } from "vitest";
import { apportion, folderWith, lines, pair } from "./run-cli.ts";

interface BadInput {
  /** What is wrong. */
  what: string;
  /** Content of in.jsonl (or of the files named). */
  files?: Record<string, string | Buffer>;
  text?: string;
  /** Arguments behind `assign in.jsonl`, or all of them. */
  args?: string[];
  whole?: string[];
  /** What the message must say. */
  says: readonly string[];
}

const [a, b] = pair;
const good = lines(a, b);
const grpo = ["--method", "grpo"];
const changed = (change: object) => lines(a, { ...b, ...change });
const tokens = (change: object) => changed({ tokens: { ...b.tokens, ...change } });

const cases: BadInput[] = [
  { what: "a line that is not JSON", text: `${lines(a)}{"id":"b",`, says: ["in.jsonl:2", "not JSON"] },
  { what: "a line that is not a rollout", text: lines(a, 7), says: ["in.jsonl:2", "expected a JSON object", "got 7"] },
  { what: "a list instead of lines", text: "[\n{}]\n", says: ["in.jsonl", "apportion import auto in.jsonl"] },
  { what: "no id", text: lines(a, { reward: 1 }), says: ["in.jsonl:2", "without an id", "got nothing"] },
  {
    what: "a wrong type",
    text: tokens({ value: ["x", 1] }),
    says: ["in.jsonl:2", '"b"', "tokens.value", "expected a number", '"x"'],
  },
  {
    what: "a text reward",
    text: changed({ reward: "1" }),
    says: ["in.jsonl:2", '"b"', "rollout.reward", "expected a number"],
  },
  {
    what: "lists of different length",
    text: tokens({ value: [1] }),
    says: ["in.jsonl:2", '"b"', "tokens.value", "expected 2", "got 1"],
  },
  {
    what: "ends that do not increase",
    text: changed({ turns: { end: [2, 2] } }),
    says: ["in.jsonl:2", '"b"', "turns.end", "increase", "got 2"],
  },
  {
    what: "ends beyond the tokens",
    text: changed({ turns: { end: [3] } }),
    says: ["in.jsonl:2", '"b"', "turns.end", "expected 2", "got 3"],
  },
  { what: "an id used twice", text: lines(a, a), says: ["in.jsonl:2", '"a"', "already used"] },
  {
    what: "an id used twice in two files",
    files: { "in.jsonl": good, "more.jsonl": lines(b) },
    args: ["more.jsonl", ...grpo],
    says: ["more.jsonl:1", '"b"', "already used"],
  },
  { what: "NaN", text: good.replace("0.75", "NaN"), says: ["in.jsonl:2", "NaN"] },
  {
    what: "a number that is too large",
    text: good.replace("0.75", "1e999"),
    says: ["in.jsonl:2", '"b"', "tokens.value", "finite"],
  },
  {
    what: "text that is not UTF-8",
    files: { "in.jsonl": Buffer.from(good.replace('"b"', '"\xff"'), "latin1") },
    says: ["in.jsonl:2", "UTF-8"],
  },
  {
    what: "gzip that was cut off",
    files: { "in.jsonl.gz": gzipSync(good.repeat(1)).subarray(0, 60) },
    whole: ["assign", "in.jsonl.gz", ...grpo],
    says: ["in.jsonl.gz"],
  },
  {
    what: "gzip that is none",
    files: { "in.jsonl.gz": good },
    whole: ["assign", "in.jsonl.gz", ...grpo],
    says: ["in.jsonl.gz", "gzip"],
  },
  {
    what: "text in the place of Parquet",
    files: { "in.parquet": good },
    whole: ["assign", "in.parquet", ...grpo],
    says: ["in.parquet"],
  },
  {
    what: "text in the place of Arrow",
    files: { "in.arrow": good },
    whole: ["assign", "in.arrow", ...grpo],
    says: ["in.arrow"],
  },
  { what: "a missing file", whole: ["assign", "none.jsonl", ...grpo], says: ["none.jsonl", "no such file"] },
  {
    what: "a pattern that matches nothing",
    whole: ["assign", "no*.parquet", ...grpo],
    says: ["no*.parquet", "no file matches"],
  },
  { what: "a folder without rollouts", whole: ["assign", "folder", ...grpo], says: ["folder", "no rollout files"] },
  { what: "a folder as output", args: [...grpo, "-o", "folder"], says: ["folder", "directory"] },
  {
    what: "an output in a folder that is not there",
    args: [...grpo, "-o", "none/out.jsonl"],
    says: ["none/out.jsonl", "does not exist"],
  },
  { what: "Parquet to standard output", args: [...grpo, "-o", "-", "--format", "parquet"], says: ["standard output"] },
  { what: "an unknown method", args: ["--method", "gprpo"], says: ['"gprpo"', "did you mean grpo"] },
  { what: "no method", args: [], says: ["--method"] },
  {
    what: "an unknown parameter",
    args: [...grpo, "--param", "epps=1"],
    says: ["method grpo", "epps", "did you mean eps?"],
  },
  { what: "a parameter out of range", args: [...grpo, "--param", "eps=-1"], says: ["method grpo", "eps", "expected"] },
  {
    what: "a parameter of another type",
    args: [...grpo, "--param", "eps=much"],
    says: ["method grpo", "eps", "number"],
  },
  { what: "a parameter without a value", args: [...grpo, "--param", "eps"], says: ["NAME=VALUE", "got eps"] },
  {
    what: "a parameter of no method of the call",
    args: [...grpo, "--param", "gae.lam=1"],
    says: ["gae.lam", "one of grpo"],
  },
  { what: "an unknown preset", args: [...grpo, "--preset", "best"], says: ['"best"', "grpo"] },
  {
    what: "a file of parameters that is not JSON",
    files: { "in.jsonl": good, "p.json": "{" },
    args: [...grpo, "--params", "p.json"],
    says: ["p.json", "JSON"],
  },
  { what: "a wrong choice", args: [...grpo, "--on-error", "ignore"], says: ["--on-error", "stop, skip", "got ignore"] },
  { what: "a size without sense", args: [...grpo, "--memory", "lots"], says: ["--memory", "512MB", "got lots"] },
  { what: "no threads", args: [...grpo, "--threads", "0"], says: ["--threads", "got 0"] },
  {
    what: "a missing column",
    text: lines({ ...a, tokens: { id: [1, 2] } }, b),
    args: ["--method", "gae"],
    says: ["in.jsonl:1", '"a"', "tokens.value", "method gae", "missing"],
  },
  {
    what: "a null where a method needs a number",
    text: tokens({ value: [1, null] }),
    args: ["--method", "gae"],
    says: ["in.jsonl:2", '"b"', "tokens.value", "method gae", "got null"],
  },
  {
    what: "rollouts without a reward",
    text: changed({ reward: null }),
    args: ["--method", "gae"],
    says: ["in.jsonl:2", "1 of 2 rollouts have no reward", "--unscored leave-out"],
  },
  {
    what: "turns that branch",
    text: lines({
      id: "t",
      reward: 1,
      tokens: { id: [1, 2], value: [0, 0] },
      turns: { end: [1, 2], parent: [-1, -1] },
    }),
    args: ["--method", "gae"],
    says: ["in.jsonl:1", '"t"', "turns.parent", "--branches"],
  },
  {
    what: "results that overflow",
    text: lines({ ...a, tokens: { value: [1e308, -1e308] } }, { ...b, tokens: { value: [1e308, -1e308] } }),
    args: ["--method", "gae"],
    says: ["method gae", "finite"],
  },
  { what: "an unknown command", whole: ["asign", "in.jsonl"], says: ["asign", "assign?"] },
  { what: "an unknown option", args: ["--mehod", "grpo"], says: ["--mehod", "--method?"] },
  { what: "no input", whole: ["assign", "--method", "grpo"], says: ["argument 'in'"] },
  { what: "an unknown importer", whole: ["import", "whatever", "in.jsonl"], says: ["whatever", "tau-bench"] },
  { what: "rollouts to be imported", whole: ["import", "auto", "in.jsonl", "-o", "out.jsonl"], says: ["in.jsonl"] },
  {
    what: "an unknown export",
    whole: ["export", "whatever", "in.jsonl", "-o", "out.jsonl"],
    says: ["whatever", "verl"],
  },
  { what: "an export without an output", whole: ["export", "verl", "in.jsonl"], says: ["-o"] },
  {
    what: "an export without credit",
    whole: ["export", "trl", "in.jsonl", "-o", "out.jsonl"],
    says: ["in.jsonl", "rollout.advantage", "missing", "assign a credit"],
  },
  {
    what: "an unknown parameter of an export",
    whole: ["export", "trl", "in.jsonl", "-o", "out.jsonl", "--param", "x=1"],
    says: ["trl", "x", "advantage"],
  },
];

test.each(cases)("$what", ({ files, text = good, args, whole, says }) => {
  const input = files ?? { "in.jsonl": text };
  const folder = folderWith(input, onTestFinished);
  mkdirSync(`${folder.path}/folder`);
  const before = folder.list();
  const output = args?.includes("-o") ? [] : ["-o", "out.jsonl"];
  const ended = apportion(whole ?? ["assign", "in.jsonl", ...(args ?? grpo), ...output], { cwd: folder.path });
  expect(ended.stderr).toMatch(/^apportion: [^\n]+\n$/);
  for (const said of says) expect(ended.stderr).toContain(said);
  expect(ended).toMatchObject({ code: 2, stdout: "" });
  expect(folder.list()).toEqual(before);
});

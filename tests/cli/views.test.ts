import { expect, test } from "vitest";
import { compareMethods } from "../../src/analysis/comparison.ts";
import { FeedCollector } from "../../src/analysis/feed.ts";
import { summarizeGroups } from "../../src/analysis/groups.ts";
import { membersOf } from "../../src/analysis/members.ts";
import { programName } from "../../src/cli/demo.ts";
import { catalogueLines, feedLines } from "../../src/cli/render/catalogue.ts";
import { comparisonJson, comparisonLines } from "../../src/cli/render/comparison.ts";
import { groupLines, memberLines, sortGroups } from "../../src/cli/render/groups.ts";
import { inspection } from "../../src/cli/render/inspection.ts";
import { methodPage, paramSchemas, rangeText } from "../../src/cli/render/method-page.ts";
import { rolloutLines } from "../../src/cli/render/rollout.ts";
import { createStyle } from "../../src/cli/render/style.ts";
import { textWidth } from "../../src/cli/render/text.ts";
import { callText } from "../../src/cli/render/transcript.ts";
import { findMethod, methods } from "../../src/methods/registry.ts";
import { batchFromObjects } from "../../src/rollouts/index.ts";

const style = createStyle(0);
const narrow = { width: 64, style };
const wide = { width: 80, style };

/** Lines as one text, escape codes visible; starts with a line end so that it reads as it is printed. */
const shown = (lines: readonly string[]) => `\n${lines.join("\n").replaceAll("\x1b", "␛")}\n`;

const batch = batchFromObjects([
  {
    id: "a",
    group: "g1",
    reward: 1,
    turns: {
      end: [4, 7],
      advantage: [0.5, -1],
      state: ["start", "found"],
      text: ["Let me look.", null],
      observation: ["Two results, one of them about something else altogether", null],
      tool_calls: [[{ name: "search", arguments: { query: "keys", limit: 2 } }], []],
    },
    tokens: { id: [1, 2, 3, 4, 5, 6, 7], mask: [1, 1, 0, 0, 1, 1, 1], advantage: [1, 0, 0, 0, -0.5, -0.5, -0.5] },
    messages: [{ role: "user", content: "Where are the keys?" }],
  },
  {
    id: "b",
    group: "g1",
    reward: 0,
    turns: { end: [3], advantage: [-0.5], state: ["start"], text: ["No idea."] },
    tokens: { id: [1, 2, 9], advantage: [-1, -1, -1] },
  },
  { id: "c", group: "g2", reward: 0, turns: { end: [1], state: ["start"] }, tokens: { id: [1] } },
  { id: "d", group: "g2", reward: 0, turns: { end: [1], state: ["start"] }, tokens: { id: [1] } },
]);

test("groups: one line each, sorted, cut off with a word about the rest", () => {
  const summary = summarizeGroups(batch);
  expect(shown(groupLines(summary, "spread", 10, wide))).toMatchInlineSnapshot(`
    "
     4 rollouts in 2 groups · pass rate 25% · 1 of 2 groups without spread (50%) ·
     1–2–5 tokens (min–median–max)

     group  size  pass  spread  tokens  rewards
     g1        2  0.50    0.50   3–4–5  ▁▆
     g2        2     0       0       1  ▁▁
    "
  `);
  expect(shown(groupLines(summary, "name", 1, wide))).toMatchInlineSnapshot(`
    "
     4 rollouts in 2 groups · pass rate 25% · 1 of 2 groups without spread (50%) ·
     1–2–5 tokens (min–median–max)

     group  size  pass  spread  tokens  rewards
     g1        2  0.50    0.50   3–4–5  ▁▆
     … 1 more group (--rows 2 shows all)
    "
  `);
  expect(sortGroups(summary.groups, "length").map(({ name }) => name)).toEqual(["g1", "g2"]);
  expect(sortGroups(summary.groups, "mean").map(({ name }) => name)).toEqual(["g1", "g2"]);
  expect(groupLines(summary, "file", 0, wide)).toHaveLength(2);
});

test("groups: rewards that are no pass rates, unscored rollouts, rollouts without groups", () => {
  const mixed = batchFromObjects([
    { id: "a", reward: -1.5 },
    { id: "b", reward: 250 },
    { id: "c", reward: null },
  ]);
  expect(shown(groupLines(summarizeGroups(mixed), "file", 10, wide))).toMatchInlineSnapshot(`
    "
     3 rollouts, each alone in its group · mean reward 124.3 · 1 unscored · 0 tokens

     group            size   mean  spread  tokens  rewards
     a                   1  −1.50       0       0  ▁
     b                   1  250.0       0       0  ▆
     c      1 (1 unscored)      –       –       0
    "
  `);
});

test("rollouts of one group: those with the highest reward first, with their mean credit", () => {
  const paths = ["tokens.advantage", "turns.advantage"];
  expect(shown(memberLines(membersOf(batch, paths), paths, 3, wide))).toMatchInlineSnapshot(`
    "
     rollout  reward  turns  tokens  tokens  turns
     a             1      2       5   −0.10  −0.25      ▐│
     b             0      1       3   −1.00  −0.50  █████│
     c             0      1       1       –      –       │
     … 1 more rollout (--rows 4 shows all)
    "
  `);
  expect(shown(memberLines(membersOf(batch, []), [], 1, wide))).toMatchInlineSnapshot(`
    "
     rollout  reward  turns  tokens
     a             1      2       5
     … 3 more rollouts (--rows 4 shows all)
    "
  `);
});

test("a rollout: transcript with one bar per turn", () => {
  const view = { ...narrow, paths: ["turns.advantage"], full: false, tokens: false };
  expect(shown(rolloutLines(batch, 0, view))).toMatchInlineSnapshot(`
    "
     a · group g1 · reward 1 · 2 turns · 7 tokens
     turns.advantage

     1  Let me look.                         +0.50        │███
        ▸ search(query: "keys", limit: 2)
        → Two results, one of them about
          something else altogether

     2  in found                             −1.00  ██████│

     ▐██│██▌  credit below and above zero; a full bar is ±1.00, the
              largest here
    "
  `);
});

test("a rollout with several columns: bars above numbers", () => {
  const view = { ...wide, paths: ["turns.advantage", "tokens.advantage"], full: false, tokens: false };
  expect(shown(rolloutLines(batch, 0, view))).toMatchInlineSnapshot(`
    "
     a · group g1 · reward 1 · 2 turns · 7 tokens
     turns.advantage, tokens.advantage

                                                                     turns   tokens
     1  Let me look.                                                   │█▌      │███
        ▸ search(query: "keys", limit: 2)                            +0.50    +0.50
        → Two results, one of them about something else altogether

     2  in found                                                    ███│     ███│
                                                                     −1.00    −0.50

     ▐██│██▌  credit below and above zero (means over the tokens of a row); a full
              bar is the largest of its column here
    "
  `);
});

test("a rollout by tokens: a strip where they differ, and everywhere when they were asked for", () => {
  const view = { ...narrow, paths: ["tokens.advantage"], full: false };
  expect(shown(rolloutLines(batch, 0, { ...view, tokens: false }))).toMatchInlineSnapshot(`
    "
     a · group g1 · reward 1 · 2 turns · 7 tokens
     tokens.advantage

     1  Let me look.                         +0.50        │██████
        ▸ search(query: "keys", limit: 2)
        → Two results, one of them about
          something else altogether
        1  2 3 4
        +█ ·

     2  in found                             −0.50  ██████│

     ▐██│██▌  credit below and above zero (means over the tokens of
              a row); a full bar is ±0.50, the largest here
    "
  `);
  expect(shown(rolloutLines(batch, 1, { ...view, tokens: true }))).toMatchInlineSnapshot(`
    "
     b · group g1 · reward 0 · 1 turn · 3 tokens
     tokens.advantage

     1  No idea.                    −1.00  ██████│
        1  2  9
        −█ −█ −█

     ▐██│██▌  credit below and above zero (means over the tokens of
              a row); a full bar is ±1.00, the largest here
    "
  `);
});

test("a rollout in colour", () => {
  const view = { width: 64, style: createStyle(8), paths: ["tokens.advantage"], full: false, tokens: true };
  expect(shown(rolloutLines(batch, 0, view))).toMatchInlineSnapshot(`
    "
     ␛[1ma␛[22m · group g1 · reward 1 · 2 turns · 7 tokens
    ␛[38;5;245m tokens.advantage␛[39m

    ␛[38;5;245m 1  ␛[39mLet me look.                       ␛[38;5;75m  +0.50␛[39m        ␛[38;5;245m│␛[39m␛[38;5;75m██████␛[39m
    ␛[38;5;245m    ␛[39m▸ search(query: "keys", limit: 2)
    ␛[38;5;245m    ␛[39m␛[38;5;245m→ Two results, one of them about␛[39m
    ␛[38;5;245m    ␛[39m␛[38;5;245m  something else altogether␛[39m
        ␛[38;5;255;48;5;32m1 ␛[49;39m2 ␛[38;5;245m3 ␛[39m␛[38;5;245m4 ␛[39m

    ␛[38;5;245m 2  ␛[39m␛[38;5;245min found                         ␛[39m  ␛[38;5;208m  −0.50␛[39m  ␛[38;5;208m██████␛[39m␛[38;5;245m│␛[39m
        ␛[38;5;255;48;5;94m5 ␛[49;39m␛[38;5;255;48;5;94m6 ␛[49;39m␛[38;5;255;48;5;94m7 ␛[49;39m

     ␛[38;5;208m▐██␛[39m␛[38;5;245m│␛[39m␛[38;5;75m██▌␛[39m  ␛[38;5;245mcredit below and above zero (means over the tokens of␛[39m
              ␛[38;5;245ma row); a full bar is ±0.50, the largest here␛[39m
    "
  `);
});

test("a rollout without credit, without text, with nothing but tokens or messages", () => {
  const bare = batchFromObjects([
    { id: "a", turns: { state: ["s0", "s1"], advantage: [1, 2] } },
    { id: "b", tokens: { id: [7, 8, 9], advantage: [1, -2, 0] } },
    {
      id: "c",
      messages: [
        { role: "user", content: "hi" },
        { role: "assistant", content: "ho" },
      ],
    },
    { id: "d", advantage: -3, messages: [{ role: "user", content: "hi" }] },
  ]);
  const view = { ...narrow, full: false, tokens: false };
  expect(shown(rolloutLines(bare, 0, { ...view, paths: ["turns.advantage"] }))).toMatchInlineSnapshot(`
    "
     a · unscored · 2 turns
     turns.advantage

     1  in s0                       +1.00        │███
     2  in s1                       +2.00        │██████

     ▐██│██▌  credit below and above zero; a full bar is ±2.00, the
              largest here
    "
  `);
  expect(shown(rolloutLines(bare, 1, { ...view, paths: ["tokens.advantage"] }))).toMatchInlineSnapshot(`
    "
     b · unscored · 3 tokens
     tokens.advantage −0.33 on average

        7  8  9
        +▅ −█ ·

     ▐██│██▌  credit below and above zero; the strongest here is
              ±2.00
    "
  `);
  expect(shown(rolloutLines(bare, 2, { ...view, paths: [] }))).toMatchInlineSnapshot(`
    "
     c · unscored

        user
        hi

        assistant
        ho
    "
  `);
  expect(shown(rolloutLines(bare, 3, { ...view, paths: ["rollout.advantage"] }))).toMatchInlineSnapshot(`
    "
     d · unscored
     rollout.advantage −3.00

        user
        hi
    "
  `);
});

test("long text is cut off unless all of it is asked for", () => {
  const long = batchFromObjects([
    { id: "a", turns: { text: [Array.from({ length: 9 }, (_, k) => `line ${k}`).join("\n")] } },
  ]);
  const view = { ...narrow, paths: [], tokens: false };
  expect(rolloutLines(long, 0, { ...view, full: false }).at(-1)).toContain("… 4 more lines (--full)");
  expect(rolloutLines(long, 0, { ...view, full: true }).at(-1)).toContain("line 8");
});

test("branches of a tree say where they start", () => {
  const tree = batchFromObjects([{ id: "a", turns: { text: ["a", "b", "c", "d"], parent: [-1, 0, 0, -1] } }]);
  expect(shown(rolloutLines(tree, 0, { ...narrow, paths: [], full: false, tokens: false }))).toMatchInlineSnapshot(`
    "
     a · unscored · 4 turns

     1  a

     2  b

     3  branches off after turn 1
        c

     4  another start
        d
    "
  `);
});

test("text that would steer the terminal is taken out everywhere", () => {
  const evil = "\x07x\x1b[2Jy\r";
  const rollout = {
    id: evil,
    group: evil,
    turns: {
      end: [1],
      agent: [evil],
      text: [evil],
      observation: [evil],
      advantage: [1],
      tool_calls: [[{ name: evil, arguments: { a: evil } }]],
    },
    tokens: { id: [1], text: [evil], advantage: [2] },
    messages: [
      { role: evil, content: evil },
      { role: "assistant", content: evil },
    ],
  };
  const other = { ...rollout, id: "b", turns: { ...rollout.turns, agent: ["b"] } };
  const two = batchFromObjects([rollout, other]);
  const paths = ["turns.advantage", "tokens.advantage"];
  const lines = [
    ...rolloutLines(two, 0, { ...wide, paths, full: true, tokens: true }),
    ...groupLines(summarizeGroups(two), "file", 5, wide),
    ...comparisonLines(two, compareMethods(two, [], { columns: paths }), 5, wide),
  ].join("\n");
  expect(lines).toContain("xy");
  expect([...lines].filter((c) => c < " " && c !== "\n")).toEqual([]);
});

test("commands are shown as they were started", () => {
  const name = (script: string, env: NodeJS.ProcessEnv = {}) => programName(script, env, "/home/me");
  expect(name("/usr/local/bin/apportion")).toBe("apportion");
  expect(name("/home/me/node_modules/.bin/apportion", { npm_command: "exec" })).toBe("npx apportion");
  expect(name("/home/me/dist/cli/main.js", { npm_command: "run-script" })).toBe("node dist/cli/main.js");
  expect(name("/home/my code/main.js")).toBe('node "../my code/main.js"');
});

test("calls stand on one line", () => {
  expect(callText({ name: "f", arguments: { a: 1, b: "x", c: [1] } })).toBe('f(a: 1, b: "x", c: [1])');
  expect(callText({ name: "f", arguments: null })).toBe("f()");
  expect(callText({ name: "f", arguments: "raw" })).toBe('f("raw")');
});

const four = ["grpo", "gigpo", "tempo", "grpo-process"].map((id) => ({ method: findMethod(id), params: {} }));

test("a comparison: what is compared, how much it agrees, where it does not", () => {
  const comparison = compareMethods(batch, four.slice(1), { columns: ["tokens.advantage"] });
  expect(shown(comparisonLines(batch, comparison, 3, wide))).toMatchInlineSnapshot(`
    "
     Credit compared on 8 policy tokens of 4 rollouts; 2 without a number left out

     credit of         column            given to                 not 0
     tokens.advantage  tokens.advantage  tokens                     88%
     gigpo             tokens.advantage  tokens, turns, rollouts   100%
     tempo             tokens.advantage  tokens                    100%
     grpo-process left out: needs steps.prm

     rank correlation (Spearman)
                      tokens.a…     gigpo     tempo
     tokens.advantage         ·      0.99      0.87
     gigpo                 0.99         ·      0.87
     tempo                 0.87      0.87         ·

     same sign
                      tokens.a…     gigpo     tempo
     tokens.advantage         ·       50%       50%
     gigpo                  50%         ·      100%
     tempo                  50%      100%         ·

     correlation (Pearson)
                      tokens.a…     gigpo     tempo
     tokens.advantage         ·      0.80      0.67
     gigpo                 0.80         ·      0.95
     tempo                 0.67      0.95         ·

     same sign: of the rows where at least one of the two is not 0, the share where
     both have the same sign

     Where they disagree in sign: 1 rollout, the hardest first

                                   tokens.…   gigpo    tempo
     1  a · turn 2 of 2 · reward 1  ███│        │███     │███
        found                        −0.50    +0.58    +0.71

     ▐██│██▌  a full bar is the largest of its column here
    "
  `);
});

test("a comparison with more series than bars fit says praise and blame in words", () => {
  const columns = Array.from({ length: 7 }, (_, k) => `turns.c${k}`);
  const many = batchFromObjects([
    { id: "a", turns: { text: ["t"], ...Object.fromEntries(columns.map((path, k) => [path.slice(6), [k - 3]])) } },
  ]);
  const text = shown(comparisonLines(many, compareMethods(many, [], { columns }), 3, wide));
  expect(text).toContain("turns.c4 +1.00, turns.c5 +2.00, turns.c6 +3.00");
  expect(text).toContain("turns.c0 −3.00, turns.c1 −2.00, turns.c2 −1.00");
});

test("JSON of a comparison and of an inspection holds what is shown", () => {
  const comparison = compareMethods(batch, four, {});
  expect(JSON.parse(JSON.stringify(comparisonJson(batch, comparison, 1)))).toMatchObject({
    rollouts: 4,
    level: "tokens",
    rows: 10,
    series: [{ name: "grpo" }, { name: "gigpo" }, { name: "tempo" }],
    skipped: [{ id: "grpo-process", missing: ["steps.prm"], reason: "needs steps.prm" }],
  });
  const chosen = [{ batch, rollout: 0 }];
  const json = JSON.parse(
    JSON.stringify(inspection(summarizeGroups(batch), "name", ["tokens.advantage"], chosen, null)),
  );
  expect(json).toMatchObject({
    rollouts: 4,
    groups_without_spread: 1,
    shown: [
      {
        id: "a",
        unit: "turn",
        rows: [{ text: "Let me look.", credit: { "tokens.advantage": 0.5 } }, { credit: { "tokens.advantage": -0.5 } }],
        tokens: { "tokens.advantage": [1, 0, 0, 0, -0.5, -0.5, -0.5] },
      },
    ],
  });
});

test("the catalogue is a table; the page of a method says what it needs, gives and takes", () => {
  const list = ["grpo", "tempo"].map(findMethod);
  expect(shown(catalogueLines(list, 40, wide))).toMatchInlineSnapshot(`
    "
     id     title                                               level    scope  year
     grpo   Group Relative Policy Optimization (outcome super…  rollout  group  2024
     tempo  TEMPO: tree-estimated mean prefix values for poli…  token    group  2025

     2 of 40 methods · level: the smallest unit with credit of its own · scope: what
     one call has to hold (rollout, group, batch = all) · apportion methods ID
     explains one
    "
  `);
  const page = shown(methodPage(findMethod("gae"), ["apportion methods gae --example"], wide));
  for (const part of ["tokens.value", "tokens.reward or rollout.reward", "valueLoss", "0 to 1", "1e-8", "1506.02438"]) {
    expect(page).toContain(part);
  }
  for (const line of page.split("\n")) expect(line.length).toBeLessThanOrEqual(80);
});

test("every method of the catalogue has a line and a page that fit a terminal", () => {
  const all = [...methods.values()];
  const lines = catalogueLines(all, all.length, wide).map((line) => [line]);
  const pages = all.map((method) => methodPage(method, [], wide));
  for (const page of [...lines, ...pages]) {
    expect(page.filter((line) => textWidth(line) > 80)).toEqual([]);
    expect(page.filter((line) => /undefined|\[object|NaN/.test(line))).toEqual([]);
  }
});

test("every parameter of every page has a sentence and a range", () => {
  for (const method of methods.values()) {
    for (const [name, schema] of Object.entries(paramSchemas(method))) {
      expect([method.id, name, schema.description ?? ""]).not.toContain("");
      expect([method.id, name, rangeText(schema)]).not.toContain("any");
    }
  }
  expect(rangeText({ type: "number", minimum: 0, exclusiveMaximum: 1 })).toBe("≥ 0, < 1");
  expect(rangeText({ type: "integer", minimum: 1, maximum: Number.MAX_SAFE_INTEGER })).toBe("whole, ≥ 1");
  expect(rangeText({ anyOf: [{ type: "number", exclusiveMinimum: 0 }, { type: "null" }] })).toBe("> 0 or null");
});

test("what a file can feed, and what is missing for the rest", () => {
  const collector = new FeedCollector(["grpo", "gigpo", "grpo-process"].map(findMethod));
  collector.add(batch);
  expect(shown(feedLines(collector.finish(), wide))).toMatchInlineSnapshot(`
    "
     4 rollouts with turns.end, turns.advantage, turns.state, turns.text,
     turns.observation, turns.tool_calls, tokens.id, tokens.mask, tokens.advantage,
     rollout.reward, messages

     2 methods can run
     grpo          rollout  also reads tokens.mask
     gigpo         turn     also reads turns.end, tokens.mask

     1 method cannot yet
     grpo-process  step  needs steps.prm
    "
  `);
});

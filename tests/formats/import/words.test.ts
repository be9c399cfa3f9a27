import fc from "fast-check";
import { expect, test } from "vitest";
import { WordTable, withWords, wordedText, wordTokens } from "../../../src/formats/import/words.ts";
import { checkRollout } from "../../../src/rollouts/index.ts";

test("words, numbers, signs and calculator marks are tokens; blanks belong to what follows", () => {
  expect(wordTokens("He has 16 - 3 = <<16-3=13>>13 eggs.\nA: 13")).toEqual([
    ...["He", " has", " 16", " -", " 3", " =", " <<", "16", "-", "3", "=", "13", ">>", "13", " eggs", ".", "\n"],
    ...["A", ":", " 13"],
  ]);
});

test("tokens put together are the text, whatever the text", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      expect(wordTokens(text).join("")).toBe(text);
    }),
  );
});

test("lines are steps; blank lines belong to the line before", () => {
  const { tokens, steps } = wordedText("\none\n\n  \ntwo three\n", new WordTable());
  expect(steps.text).toEqual(["one", "two three"]);
  expect(steps.end).toEqual([tokens.text.indexOf("two"), tokens.text.length]);
  expect(tokens.text.slice(steps.end[0]).join("")).toBe("two three\n");
});

test("step ends increase and the last is the number of tokens, whatever the text", () => {
  const lines = fc.array(fc.constantFrom("a b", "", " ", "7*3=21", "\t"), { minLength: 1 });
  fc.assert(
    fc.property(lines, (parts) => {
      const { tokens, steps } = wordedText(parts.join("\n"), new WordTable());
      expect(steps.end.every((end, k) => end > (steps.end[k - 1] ?? 0))).toBe(true);
      expect(steps.end.at(-1) ?? 0).toBe(tokens.id.length);
      expect(steps.text.length).toBe(steps.end.length);
    }),
  );
});

test("equal words have equal ids across texts", () => {
  const table = new WordTable();
  const a = wordedText("so 3 + 4", table).tokens.id;
  const b = wordedText("so 4 + 3", table).tokens.id;
  expect(a).toEqual([0, 1, 2, 3]);
  expect(b).toEqual([0, 3, 2, 1]);
});

test("turns get words: their text is the policy's, the observation the environment's", () => {
  const turns = { text: ["go on\nnow", "", ""], observation: ["ok", "", "seen"] };
  const worded = withWords({ id: "a", turns }, new WordTable());
  expect(worded.tokens?.text).toEqual(["go", " on", "\n", "now", "\n", "ok", "\n", "\n", "seen"]);
  expect(worded.tokens?.mask).toEqual([1, 1, 1, 1, 0, 0, 1, 0, 0]);
  expect(worded.turns?.end).toEqual([6, 7, 9]);
  expect(worded.steps).toEqual({ end: [3, 6, 7, 9], text: ["go on", "now", "", ""] });
});

test("rollouts with tokens of their own, or without turns, stay as they are", () => {
  const withTokens = { id: "a", turns: { text: ["x"] }, tokens: { id: [1] } };
  expect(withWords(withTokens, new WordTable())).toBe(withTokens);
  const bare = { id: "b" };
  expect(withWords(bare, new WordTable())).toBe(bare);
});

test("worded turns conform to the rollout format, whatever their text", () => {
  const text = fc.array(fc.tuple(fc.constantFrom("", "a b", "x\n\ny", "\n"), fc.constantFrom("", "ok", "\n")));
  fc.assert(
    fc.property(text, (rows) => {
      const turns = { text: rows.map(([said]) => said), observation: rows.map(([, seen]) => seen) };
      const worded = withWords({ id: "a", turns }, new WordTable());
      expect(checkRollout(worded)).toBe(worded);
    }),
  );
});

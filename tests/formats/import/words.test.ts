import fc from "fast-check";
import { expect, test } from "vitest";
import { WordTable, wordedText, wordTokens } from "../../../src/formats/import/words.ts";

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

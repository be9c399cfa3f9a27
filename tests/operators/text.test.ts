import fc from "fast-check";
import { expect, test } from "vitest";
import {
  codePointLength,
  codePoints,
  isSimilarText,
  lastBetween,
  repeatedNgramRatio,
  textSimilarity,
  words,
} from "../../src/operators/text.ts";

/** Matched characters by the definition, naively: try every block, keep the first longest, recurse left and right. */
function naiveMatches(a: string[], b: string[]): number {
  let best = { size: 0, i: 0, j: 0 };
  for (let i = 0; i < a.length; i++) {
    for (let j = 0; j < b.length; j++) {
      let size = 0;
      while (i + size < a.length && j + size < b.length && a[i + size] === b[j + size]) size++;
      if (size > best.size) best = { size, i, j };
    }
  }
  const { size, i, j } = best;
  if (size === 0) return 0;
  return size + naiveMatches(a.slice(0, i), b.slice(0, j)) + naiveMatches(a.slice(i + size), b.slice(j + size));
}

const letters = fc.string({ unit: fc.constantFrom("a", "b", "c", " ", "é", "😀"), maxLength: 24 });

test("similarity is that of the naive recursion", () => {
  fc.assert(
    fc.property(letters, letters, (a, b) => {
      const left = Array.from(a);
      const right = Array.from(b);
      const total = left.length + right.length;
      const expected = total === 0 ? 1 : (2 * naiveMatches(left, right)) / total;
      expect(textSimilarity(a, b)).toBe(expected);
    }),
    { numRuns: 1000 },
  );
});

test("known ratios", () => {
  // Blocks "a red apple": 2 · 11 / 23.
  expect(textSimilarity("a red apple", "a red apples")).toBeCloseTo(22 / 23, 15);
  // "bcd" matches, "a" stands on the wrong side of it: 2 · 3 / 8.
  expect(textSimilarity("abcd", "bcde")).toBe(0.75);
  // The order of the arguments matters: the earliest block of a is taken first.
  expect(textSimilarity("tide", "diet")).toBe(0.25);
  expect(textSimilarity("diet", "tide")).toBe(0.5);
  expect(textSimilarity("", "")).toBe(1);
  expect(textSimilarity("", "x")).toBe(0);
});

test("frequent characters count in long texts", () => {
  const a = `${"e".repeat(300)}x`;
  expect(textSimilarity(a, "e".repeat(300))).toBeCloseTo(600 / 601, 15);
});

test("the shortcut decides as the similarity does", () => {
  fc.assert(
    fc.property(letters, letters, fc.double({ min: 0.01, max: 0.99, noNaN: true }), (a, b, threshold) => {
      expect(isSimilarText(a, b, threshold)).toBe(textSimilarity(a, b) >= threshold);
    }),
    { numRuns: 500 },
  );
});

test("words are runs of letters, digits and underscores of any script", () => {
  expect(words("Straße 12, naïve_x—日本 don't")).toEqual(["Straße", "12", "naïve_x", "日本", "don", "t"]);
  expect(words(" .,!")).toEqual([]);
});

test("length and list of code points agree with the iterator of strings, lone surrogates included", () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom("a", "é", "😀", "\ud83d", "\ude00"), maxLength: 20 }), (text) => {
      const expected = Array.from(text, (c) => c.codePointAt(0));
      expect([...codePoints(text)]).toEqual(expected);
      expect(codePointLength(text)).toBe(expected.length);
    }),
  );
});

test("share of repeated n-grams equals counting them as text", () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 30 }),
      fc.integer({ min: 1, max: 4 }),
      (items, n) => {
        const grams = Array.from({ length: Math.max(items.length - n + 1, 0) }, (_, k) =>
          items.slice(k, k + n).join(" "),
        );
        const expected = grams.length === 0 ? 0 : 1 - new Set(grams).size / grams.length;
        expect(repeatedNgramRatio(items, n)).toBeCloseTo(expected, 15);
      },
    ),
  );
  // a b | b a | a b: one of three repeats.
  expect(repeatedNgramRatio(["a", "b", "a", "b"], 2)).toBeCloseTo(1 / 3, 15);
});

test("the last passage between two marks, as a lazy regular expression finds it", () => {
  const piece = fc.constantFrom("<a>", "</a>", "x", "\n", "<a");
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 10 }), (pieces) => {
      const text = pieces.join("");
      const found = [...text.matchAll(/<a>(.*?)<\/a>/gs)].at(-1);
      expect(lastBetween(text, "<a>", "</a>")).toBe(found === undefined ? null : found[1]);
    }),
  );
});

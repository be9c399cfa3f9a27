import fc from "fast-check";
import { expect, test } from "vitest";
import { divergingBar, heatGlyph, sparkline } from "../../src/cli/render/bars.ts";
import { matricesLines } from "../../src/cli/render/matrix.ts";
import { magnitude, percent, signed } from "../../src/cli/render/numbers.ts";
import { heatStrip } from "../../src/cli/render/strip.ts";
import { createStyle } from "../../src/cli/render/style.ts";
import { tableLines } from "../../src/cli/render/table.ts";
import { colorDepth, themeOf } from "../../src/cli/render/terminal.ts";
import { oneLine, pad, safeText, textWidth, truncate, wrap } from "../../src/cli/render/text.ts";

const plain = createStyle(0);
const full = createStyle(24);

/** Escape codes made visible. */
const codes = (text: string) => text.replaceAll("\x1b", "");

test("bars grow from the middle, in halves, orange to the left and blue to the right", () => {
  expect([-1, -0.5, -0.01, 0, 0.01, 0.5, 1, 7].map((x) => divergingBar(x, 2, plain))).toEqual([
    "██│  ",
    " █│  ",
    " ▐│  ",
    "  │  ",
    "  │▌ ",
    "  │█ ",
    "  │██",
    "  │██",
  ]);
  expect(codes(divergingBar(-1, 1, full))).toBe("[38;2;240;150;70m█[39m[38;2;135;140;148m│[39m ");
  expect(codes(divergingBar(1, 1, full))).toBe(" [38;2;135;140;148m│[39m[38;2;104;171;240m█[39m");
});

test("bars always take up the same width", () => {
  fc.assert(
    fc.property(fc.double({ min: -2, max: 2, noNaN: true }), fc.integer({ min: 1, max: 12 }), (x, half) => {
      expect(textWidth(divergingBar(x, half, plain))).toBe(2 * half + 1);
    }),
  );
});

test("sparklines show rewards between the ends of their scale", () => {
  expect(sparkline([0, 0.5, 1], [0, 1], 16)).toBe("▁▄▆");
  expect(sparkline([0, 0, 1, 1], [0, 1], 2)).toBe("▁▆");
  expect(sparkline([0, 0], [0, 0], 16)).toBe("▁▁");
  expect([0, 0.01, 0.5, -1].map(heatGlyph)).toEqual(["·", "▁", "▅", "█"]);
});

test("heat colours the background, stronger for more; next to nothing stays plain", () => {
  expect([0, 0.1, 0.2, -1].map((x) => codes(full.heat(x, "a")))).toEqual([
    "a",
    "a",
    "[38;2;240;242;245;48;2;28;44;64ma[49;39m",
    "[38;2;240;242;245;48;2;176;96;18ma[49;39m",
  ]);
  expect(codes(createStyle(8).heat(1, "a"))).toBe("[38;5;255;48;5;32ma[49;39m");
  expect(codes(createStyle(4).heat(-1, "a"))).toBe("[33;7ma[27;39m");
  expect(codes(createStyle(24, "light").credit(1, "a"))).toBe("[38;2;16;97;184ma[39m");
});

test("numbers of a column keep the decimals of its largest", () => {
  expect([1.234, -0.5, 0, 0.001].map((x) => signed(x, 1.234))).toEqual(["+1.23", "−0.50", "0.00", "0.00"]);
  expect([0.0123, -0.001].map((x) => signed(x, 0.0123))).toEqual(["+0.012", "−0.001"]);
  expect([123.4, -1].map((x) => signed(x, 123.4))).toEqual(["+123", "−1"]);
  expect(signed(2.4e-7, 2.4e-7)).toBe("+2e-7");
  expect(signed(-1234567)).toBe("−1e6");
  expect([0, 0.5, 0.01, 12.345, 123.45, 1e7, -2, 1e-5].map(magnitude)).toEqual([
    "0",
    "0.50",
    "0.010",
    "12.35",
    "123.5",
    "1e7",
    "−2.00",
    "1e-5",
  ]);
  expect(percent(0.456)).toBe("46%");
});

test("text of rollouts cannot steer the terminal", () => {
  for (const unsafe of ["\x1b[31m", "\x07", "\r", "\u202e", "\x9b2J", "\x00"]) {
    expect(safeText(`a${unsafe}b`)).toMatch(/^a\n?b$/);
  }
  expect(safeText("a\x1b[31mred\x1b[0m\tb\r\nc")).toBe("ared  b\nc");
  expect(safeText("\x1b]0;title\x07text")).toBe("text");
});

test("widths count columns of the terminal", () => {
  expect([textWidth("abc"), textWidth("日本"), textWidth("é"), textWidth("👩‍🚀"), textWidth("│█")]).toEqual([
    3, 4, 1, 2, 2,
  ]);
  expect([textWidth("🇫🇷"), textWidth("👍🏽"), textWidth("e\u0301"), textWidth("☀️")]).toEqual([2, 2, 1, 2]);
  expect(truncate("日本語", 5)).toBe("日本…");
  expect(truncate("abc", 3)).toBe("abc");
  expect(pad("日", 4, "right")).toBe("  日");
  expect(pad("a", 4, "center")).toBe(" a  ");
  expect(oneLine(" a\n  b ")).toBe("a b");
});

test("wrapped text fits and loses nothing but spaces", () => {
  const words = fc.array(fc.stringMatching(/^[a-zé日]{1,12}$/), { maxLength: 12 }).map((list) => list.join(" "));
  fc.assert(
    fc.property(words, fc.integer({ min: 2, max: 30 }), (text, width) => {
      const lines = wrap(text, width);
      for (const line of lines) expect(textWidth(line)).toBeLessThanOrEqual(width);
      expect(lines.join("").replace(/\s/g, "")).toBe(text.replace(/\s/g, ""));
    }),
  );
  expect(wrap("one two three", 7)).toEqual(["one two", "three"]);
  expect(wrap("a\n\nb", 7)).toEqual(["a", "", "b"]);
});

test("a very long word is broken quickly", () => {
  const started = performance.now();
  expect(wrap("x".repeat(2_000_000), 60)).toHaveLength(33_334);
  expect(wrap("é".repeat(200_000), 60)).toHaveLength(3334);
  expect(performance.now() - started).toBeLessThan(5000);
});

test("tables align, shrink where they may, and wrap where they should", () => {
  const columns = [
    { title: "name", shrinkTo: 4 },
    { title: "n", align: "right" as const },
    { title: "", wraps: true, shrinkTo: 8 },
  ];
  const rows = [
    ["a-very-long-name", "1", "some words that go on"],
    ["b", "10", ""],
  ];
  expect(tableLines(columns, rows, { style: plain, width: 30 })).toEqual([
    " name          n",
    " a-very-lon…   1  some words",
    "                  that go on",
    " b            10",
  ]);
  expect(tableLines(columns, rows, { style: plain, width: 80 })[1]).toBe(
    " a-very-long-name   1  some words that go on",
  );
});

test("matrices stand side by side where they fit, and break into blocks where they do not", () => {
  const values = [
    [1, -0.5],
    [-0.5, null],
  ];
  const matrices = [
    { title: "rank", values, kind: "correlation" as const },
    {
      title: "sign",
      values: [
        [1, 0.25],
        [0.25, 1],
      ],
      kind: "share" as const,
    },
  ];
  expect(matricesLines(matrices, ["a", "bee"], { width: 60, style: plain })).toEqual([
    " rank                sign",
    "          a   bee             a   bee",
    " a        · −0.50    a        ·   25%",
    " bee  −0.50     ·    bee    25%     ·",
  ]);
  const narrow = matricesLines(matrices.slice(0, 1), ["a", "bee"], { width: 12, style: plain });
  expect(narrow).toEqual([
    " rank",
    "          a",
    " a        ·",
    " bee  −0.50",
    "",
    " rank",
    "        bee",
    " a    −0.50",
    " bee      ·",
  ]);
});

test("tokens are coloured, or stand over a sign and a block", () => {
  const tokens = [
    { text: "The", amount: 1 },
    { text: " end", amount: -0.5 },
    { text: "\n", amount: 0 },
    { text: " seen", amount: null },
  ];
  expect(heatStrip(tokens, 20, plain)).toEqual(["The end ↵ seen", "+█  −▅  ·"]);
  expect(heatStrip(tokens, 7, plain)).toEqual(["The end", "+█  −▅", "↵ seen", "·"]);
  expect(heatStrip(tokens, 20, full).map(codes)).toEqual([
    "[38;2;240;242;245;48;2;38;108;182mThe[49;39m[38;2;240;242;245;48;2;96;58;24m end[49;39m↵[38;2;135;140;148m seen[39m",
  ]);
});

test("colours follow the terminal and the usual variables", () => {
  expect(colorDepth(false, { TERM: "xterm-256color" })).toBe(0);
  expect(colorDepth(true, { TERM: "xterm-256color" })).toBe(8);
  expect(colorDepth(true, { TERM: "xterm", COLORTERM: "truecolor" })).toBe(24);
  expect(colorDepth(true, { TERM: "dumb" })).toBe(0);
  expect(colorDepth(true, { TERM: "xterm-256color", NO_COLOR: "1" })).toBe(0);
  expect(colorDepth(false, { TERM: "dumb", FORCE_COLOR: "3" })).toBe(24);
  expect(colorDepth(false, { FORCE_COLOR: "0", COLORTERM: "truecolor" })).toBe(0);
  expect([themeOf({}), themeOf({ COLORFGBG: "0;15" }), themeOf({ COLORFGBG: "15;0" })]).toEqual([
    "dark",
    "light",
    "dark",
  ]);
});

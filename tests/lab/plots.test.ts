import fc from "fast-check";
import { DOMParser, parseHTML } from "linkedom";
import { expect, test } from "vitest";
import { barPlot, dotPlot, linePlot } from "../../src/lab/plots/index.ts";
import { movedApart } from "../../src/lab/plots/lines.ts";
import { label } from "../../src/lab/plots/sheet.ts";

const { document } = parseHTML("<html></html>");

/** The picture as a tree, and the texts in it. */
function parsed(svg: string) {
  const root = new DOMParser().parseFromString(svg, "image/svg+xml").documentElement;
  const texts = [...root.querySelectorAll("text")].map((node) => node.textContent);
  return { root, texts };
}

const curves = {
  title: "Success",
  x: "update",
  y: "success",
  series: [
    { name: "tempo", y: [0, 0.5, 0.8], band: [[-0.1, 0.4, 0.7] as number[], [0.1, 0.6, 0.9] as number[]] as const },
    { name: "a < b & c", y: [0, Number.NaN, 0.79] },
  ],
};

test("a line plot names its series at their ends, says what it shows and carries the colours of both schemes", () => {
  const svg = linePlot(document, { ...curves, note: "30 seeds", marks: [{ value: 0.7, name: "goal" }] });
  const { root, texts } = parsed(svg);
  expect(root.getAttribute("role")).toBe("img");
  expect(root.getAttribute("width")).toBe("640");
  expect(root.querySelector("title")?.textContent).toBe("Success");
  expect(root.querySelector("desc")?.textContent).toBe("success over update; at the end: tempo 0.8, a < b & c 0.79.");
  expect(texts).toEqual(expect.arrayContaining(["tempo", "a < b & c", "update", "success", "30 seeds", "goal"]));
  expect(svg).toContain("prefers-color-scheme:dark");
  expect(svg).not.toMatch(/NaN|undefined|&nbsp;/);
  expect(svg.match(/<path[^>]*stroke="var\(--ink-\d\)"|<g[^>]*stroke="var\(--ink-\d\)"/g)).toHaveLength(2);
});

test("log axes leave out what has no logarithm, and flat or empty data still give a picture", () => {
  const log = { label: "variance", log: true };
  const svg = linePlot(document, { ...curves, y: log, series: [{ name: "v", x: [1, 2, 3], y: [0, 0.1, 0.01] }] });
  expect(svg).not.toMatch(/NaN|Infinity/);
  for (const y of [[], [3], [2, 2, 2], [Number.NaN]]) {
    expect(linePlot(document, { ...curves, series: [{ name: "flat", y }] })).not.toMatch(/NaN|Infinity/);
  }
});

test("bars are as long as their values, to the left below zero; a missing value is called so", () => {
  const rows = [
    { name: "up", value: 2, margin: 0.1 },
    { name: "half", value: 1 },
    { name: "down", value: -1 },
    { name: "none", value: Number.NaN },
  ];
  const { root, texts } = parsed(barPlot(document, { title: "Bars", x: "credit", rows }));
  const bars = [...root.querySelectorAll("g[aria-label=rect] rect")];
  const [up, half, down] = bars.map((bar) => ["x", "width"].map((name) => Number(bar.getAttribute(name))));
  expect(bars).toHaveLength(3);
  expect(up[1]).toBeCloseTo(2 * half[1], 6);
  expect(down[1]).toBeCloseTo(half[1], 6);
  expect(down[0] + down[1]).toBeCloseTo(up[0], 6);
  expect(texts).toEqual(expect.arrayContaining(["up", "2", "1", "−1", "none", "no value"]));
});

test("numbers left of what is below zero do not run into the names", () => {
  const rows = [
    { name: "a name of some length, negative", value: -0.612 },
    { name: "up", value: 0.1 },
  ];
  const { root } = parsed(barPlot(document, { title: "Bars", x: "credit", rows }));
  const nodes = [...root.querySelectorAll("text")];
  const at = (text: string) => {
    const node = nodes.find(({ textContent }) => textContent === text);
    return Number(/translate\(([-\d.]+),/.exec(node?.getAttribute("transform") ?? "")?.[1]);
  };
  const width = "−0.612".length * 12 * 0.61;
  expect(at("−0.612") - width).toBeGreaterThan(at(rows[0].name));
});

test("dots of one name share a line, and the legend names the series", () => {
  const rows = ["gae", "grpo"].flatMap((name, k) => [
    { name, value: 0.9 - k / 2, margin: 0.05 },
    { name, value: 0.8 - k / 2, margin: 0.05, series: 1 },
  ]);
  const { root, texts } = parsed(dotPlot(document, { title: "Dots", x: "correlation", rows, series: ["one", "two"] }));
  expect(root.querySelectorAll("circle")).toHaveLength(4);
  expect(texts.filter((text) => text === "gae")).toHaveLength(1);
  expect(texts).toEqual(expect.arrayContaining(["one", "two", "0.9", "0.3"]));
});

test("labels moved apart keep their order, their ends and, where there is room, their distance", () => {
  fc.assert(
    fc.property(fc.array(fc.double({ min: 0, max: 100, noNaN: true }), { minLength: 1, maxLength: 12 }), (places) => {
      const moved = movedApart(places, 8, [0, 100]);
      const order = places.map((_, k) => k).sort((a, b) => places[a] - places[b] || a - b);
      const sorted = order.map((k) => moved[k]);
      expect(Math.min(...moved)).toBeGreaterThanOrEqual(-1e-9);
      expect(Math.max(...moved)).toBeLessThanOrEqual(100 + 1e-9);
      for (let k = 1; k < sorted.length; k++) expect(sorted[k] - sorted[k - 1]).toBeGreaterThanOrEqual(8 - 1e-9);
    }),
  );
});

test.each([
  [0, "0"],
  [-0.25, "−0.25"],
  [1234.56, "1235"],
  [31.26, "31.3"],
  [0.00012, "1.2e−4"],
  [2e6, "2e6"],
])("%d is labelled %s", (value, text) => {
  expect(label(value)).toBe(text);
});

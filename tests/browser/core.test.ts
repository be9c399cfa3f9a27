import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { findChromium } from "../../scripts/find.mjs";
import type { CaseResult } from "../../src/conformance/run.ts";
import { root } from "../cli/dist.ts";
import { vectorFiles } from "../methods/samples.ts";
import { bundled } from "./bundle.ts";
import { openChromium } from "./chromium.ts";
import { runVectors, thread } from "./page.ts";
import { page, serve } from "./serve.ts";

const executable = findChromium();
if (executable === undefined) {
  console.log("no Chromium found, so the core is bundled but not run; install one or set CHROMIUM_PATH");
}

const entries = [join(root, "src/core.ts"), join(root, "tests/browser/page.ts")];
const { files: bundles, ...built } = await bundled(entries);

describe("the bundle", () => {
  test("is one file that asks for nothing of Node and for no other package", () => {
    expect([...bundles.keys()].sort()).toEqual(["core.js", "page.js"]);
    expect(built.imported).toEqual([]);
    expect(built.ofNode).toEqual([]);
    expect(built.packages.filter((path) => !path.startsWith("node_modules/zod/"))).toEqual([]);
  });

  test("holds the rooms of the core alone", () => {
    const core = Object.keys(built.outputs["out/core.js"].inputs);
    const rooms = new Set(core.filter((path) => path.startsWith("src/")).map((path) => path.split("/")[1]));
    const allowed = ["core.ts", "rollouts", "operators", "methods", "mechanisms", "analysis", "conformance"];
    expect([...rooms].filter((room) => !allowed.includes(room))).toEqual([]);
  });

  test("stays small", () => {
    const code = bundles.get("core.js") as Uint8Array;
    const kilobytes = { minified: Math.round(code.length / 1000), gzip: Math.round(gzipSync(code).length / 1000) };
    console.log(`the core: ${kilobytes.minified} kB minified, ${kilobytes.gzip} kB with gzip`);
    expect(kilobytes.minified).toBeLessThan(1500);
    expect(kilobytes.gzip).toBeLessThan(450);
  });
});

describe.skipIf(executable === undefined)("in Chromium", () => {
  const faults: string[] = [];
  let served: Awaited<ReturnType<typeof serve>>;
  let opened: Awaited<ReturnType<typeof openChromium>>;

  beforeAll(async () => {
    const files = new Map<string, Uint8Array | string>([
      ["/with-solver.html", page(true)],
      ["/without-solver.html", page(false)],
      ["/vectors.json", JSON.stringify([...vectorFiles.values()])],
    ]);
    for (const [name, code] of bundles) files.set(`/${name}`, code);
    served = await serve(files);
    opened = await openChromium(executable as string);
  });

  afterAll(async () => {
    await opened?.close();
    await served?.close();
  });

  /** The value of an expression of the page, by way of JSON (exact for numbers); `made` is the module of the bundle. */
  async function inPage<T>(document: string, expression: string): Promise<T> {
    const tab = await opened.browser.newPage();
    tab.on("pageerror", (error) => faults.push(error.message));
    tab.on("console", (message) => faults.push(message.text()));
    await tab.goto(`${served.address}/${document}`);
    const code = `import("/page.js").then(async (made) => JSON.stringify(await (${expression})))`;
    const text = await tab.evaluate<string>(code);
    await tab.close();
    return JSON.parse(text) as T;
  }

  const vectors = 'made.runVectors(await (await fetch("/vectors.json")).json())';

  test("rollouts are sampled, credited and compared as in Node", async () => {
    const here = thread();
    const there = await inPage<ReturnType<typeof thread>>("with-solver.html", "made.thread()");
    // Ranks jump where the last bit breaks a tie.
    near(here.agreement, there.agreement, "agreement", 1e-3);
    near({ ...here, agreement: null }, { ...there, agreement: null }, "");
    expect(here.skipped).toEqual([]);
    expect(faults).toEqual([]);
  });

  test("every public vector gives what it gives in Node", async () => {
    const here = JSON.parse(JSON.stringify(await runVectors([...vectorFiles.values()])));
    const there = await inPage<Record<string, CaseResult[]>>("with-solver.html", vectors);
    expect(Object.keys(there)).toEqual(Object.keys(here));
    for (const [id, results] of Object.entries(there)) near(here[id], results, id);
    expect(faults).toEqual([]);
  });

  test("without the solver only what solves linear programs fails, and says why", async () => {
    const there = await inPage<Record<string, CaseResult[]>>("without-solver.html", vectors);
    const here: Record<string, CaseResult[]> = await runVectors([...vectorFiles.values()]);
    const failed = Object.entries(there).flatMap(([id, results]) =>
      results.flatMap((result, k) => (result.ok === here[id][k].ok ? [] : [{ id, why: result.difference }])),
    );
    for (const { why } of failed) expect(why).toMatch(/HiGHS.*import map/);
    expect([...new Set(failed.map(({ id }) => id))]).toEqual(needSolver);
  });
});

/** Cards with functions that solve linear programs; in a page they need HiGHS in its import map. */
const needSolver = ["hiring-agents", "stochastic-matching"];

/** Numbers to 1e-12 of their size (mathematical functions differ in the last bit between engines), all else exactly. */
function near(expected: unknown, actual: unknown, path: string, tolerance = 1e-12): void {
  if (typeof expected === "number" && typeof actual === "number") {
    const room = tolerance * Math.max(1, Math.abs(expected));
    if (!(Math.abs(expected - actual) <= room)) expect.fail(`${path}: ${expected} in Node, ${actual} in the page`);
  } else if (expected !== null && typeof expected === "object" && actual !== null && typeof actual === "object") {
    const keys = new Set([...Object.keys(expected), ...Object.keys(actual)]);
    for (const key of keys) near((expected as never)[key], (actual as never)[key], `${path}.${key}`, tolerance);
  } else expect(actual, path).toEqual(expected);
}

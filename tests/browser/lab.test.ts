import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { findChromium } from "../../scripts/find.mjs";
import { root } from "../cli/dist.ts";
import { bundled } from "./bundle.ts";
import { openChromium } from "./chromium.ts";
import type { Heard } from "./lab-page.ts";
import { type Told, trainSmall } from "./lab-training.ts";
import { page, serve } from "./serve.ts";

const executable = findChromium();

const entries = ["lab-worker.ts", "lab-page.ts"].map((name) => join(root, "tests/browser", name));
const { files: bundles, imported, ofNode, packages } = await bundled(entries);

test("training in a worker is one file that asks for nothing of Node", () => {
  expect(imported).toEqual([]);
  expect(ofNode).toEqual([]);
  const known = /^node_modules\/(zod|@jax-js\/jax)\//;
  expect(packages.filter((path) => !known.test(path))).toEqual([]);
  const code = bundles.get("lab-worker.js") as Uint8Array;
  console.log(`training in a worker: ${Math.round(gzipSync(code).length / 1000)} kB with gzip`);
});

describe.skipIf(executable === undefined)("in Chromium", () => {
  let opened: Awaited<ReturnType<typeof openChromium>>;
  const here: Told[] = [];

  beforeAll(async () => {
    opened = await openChromium(executable as string);
    for await (const told of trainSmall()) here.push(told);
  });

  afterAll(async () => {
    await opened?.close();
  });

  const isolating = { "cross-origin-opener-policy": "same-origin", "cross-origin-embedder-policy": "require-corp" };

  test.each([
    ["an ordinary page", {}],
    ["a page whose threads may share memory", isolating],
  ])("%s trains policies in a worker and hears of every update, with the numbers of Node", async (_, headers) => {
    const files = new Map<string, Uint8Array | string>([["/page.html", page(false)]]);
    for (const [name, code] of bundles) files.set(`/${name}`, code);
    const served = await serve(files, headers);
    try {
      const tab = await opened.browser.newPage();
      const faults: string[] = [];
      tab.on("pageerror", (error) => faults.push(error.message));
      await tab.goto(`${served.address}/page.html`);
      const heard = await tab.evaluate<Heard>('import("/lab-page.js").then((made) => made.listen("/lab-worker.js"))');
      await tab.close();
      expect(heard.isolated).toBe(Object.keys(headers).length > 0);
      expect(heard.ticks).toBeGreaterThan(20);
      expect(heard.told.map(({ policy, update }) => `${policy} ${update}`)).toEqual(
        here.map(({ policy, update }) => `${policy} ${update}`),
      );
      heard.told.forEach((told, k) => {
        for (const name of ["reward", "entropy", "gradientNorm"] as const) {
          expect(Math.abs(told[name] - here[k][name])).toBeLessThan(1e-3);
        }
      });
      expect(faults).toEqual([]);
    } finally {
      await served.close();
    }
  });
});

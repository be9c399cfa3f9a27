import { existsSync, readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { runCase } from "../../src/conformance/run.ts";
import { methods } from "../../src/methods/registry.ts";
import { vectorFiles } from "../methods/samples.ts";

/** Cases that are expected to differ: `id | name` at the start of a line of disputed.md. */
const disputed = new Set(
  readFileSync(new URL("disputed.md", import.meta.url), "utf8")
    .split("\n")
    .filter((line) => line.startsWith("- `"))
    .map((line) => line.slice(3, line.indexOf("`", 3))),
);

describe.each([...vectorFiles].filter(([id]) => methods.has(id)))("%s", (id, file) => {
  test.each(file.cases.map((one) => [one.name, one] as const))("%s", async (name, one) => {
    const result = await runCase(id, one);
    if (disputed.has(`${id} | ${name}`)) expect(result.ok, "a disputed case passes: take it off the list").toBe(false);
    else expect(result.difference).toBeUndefined();
  });
});

test("every method has a vector file", () => {
  expect([...methods.keys()].filter((id) => !vectorFiles.has(id))).toEqual([]);
});

test("disputed cases exist", () => {
  const known = new Set([...vectorFiles].flatMap(([id, { cases }]) => cases.map((one) => `${id} | ${one.name}`)));
  expect([...disputed].filter((name) => !known.has(name))).toEqual([]);
});

const shared = new URL("../../../shared/methods/vectors/", import.meta.url);
test.skipIf(!existsSync(shared))("the copies in conformance/ are those of the shared folder", () => {
  const differ = readdirSync(shared).filter((name) => {
    const copy = new URL(`../../conformance/${name}`, import.meta.url);
    return !existsSync(copy) || !readFileSync(new URL(name, shared)).equals(readFileSync(copy));
  });
  expect(differ, "copy these files to conformance/ again").toEqual([]);
});

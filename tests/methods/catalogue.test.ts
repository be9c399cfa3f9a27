import { expect, test } from "vitest";
import { z } from "zod";
import { methodParams } from "../../src/methods/assign.ts";
import { parseRead } from "../../src/methods/reads.ts";
import { methods } from "../../src/methods/registry.ts";
import { levelOf } from "../../src/rollouts/index.ts";

const all = [...methods.values()];
const path = /^(reward_column|group|meta\.\w+|[a-z]+(\.[\w*]+)?)$/;

test.each(all.map((method) => [method.id, method] as const))("%s tells what a page and a person need", (id, method) => {
  expect(id).toMatch(/^[a-z0-9]+(-[a-z0-9]+)*$/);
  expect(method.summary).toMatch(/^[A-Z].*\.$/s);
  expect(method.facts.headline).toMatch(/\.$/);
  expect(method.facts.paper.date).toMatch(/^\d{4}-\d{2}$/);
  expect(method.facts.paper.arxiv ?? "0000.00000").toMatch(/^\d{4}\.\d{4,5}$/);
  expect(method.facts.methodology.length).toBeGreaterThan(0);
  expect(method.equations.length + Object.keys(method.functions ?? {}).length).toBeGreaterThan(0);
  for (const [name, schema] of Object.entries(method.params.shape)) {
    expect(name).toMatch(/^[a-z][a-z0-9_]*$/);
    expect((schema as z.ZodType).description, `${name} needs a sentence`).toMatch(/\S/);
  }
  // Defaults and presets are valid parameters.
  methodParams(method);
  for (const preset of Object.keys(method.presets ?? {})) methodParams(method, {}, preset);
  for (const column of method.reads.flatMap((read) => parseRead(read).anyOf)) expect(column).toMatch(path);
  for (const column of method.writes) expect(() => levelOf(column.replace("*", "x"))).not.toThrow();
  if (method.assign === undefined) expect(method.writes).toEqual([]);
});

test("TeX has its backslashes", () => {
  const command =
    /(?<![\\a-zA-Z])(alpha|beta|gamma|delta|lambda|sigma|phi|pi|mu|sum|frac|sqrt|log|exp|operatorname|mathrm|mathcal|prod|cdot|quad|hat|bar|tilde|ne|le|ge)(?![a-zA-Z])/i;
  for (const { id, equations } of all) {
    for (const { tex } of equations) {
      const bare = tex.replace(/\\(text|operatorname|mathrm|mathit)\*?\{[^}]*\}/g, "").replace(/_\{[^}]*\}/g, "");
      expect(bare, id).not.toMatch(command);
      // A lost backslash turns \beta or \tau into a control character.
      expect(
        [...tex].every((c) => c >= " "),
        `${id}: ${tex}`,
      ).toBe(true);
      const depth = [...tex.replace(/\\[{}]/g, "")].reduce((open, c) => open + (c === "{" ? 1 : c === "}" ? -1 : 0), 0);
      expect(depth, `${id}: braces of ${tex}`).toBe(0);
    }
  }
});

test("parameters can be described as JSON schema", () => {
  for (const { id, params } of all) {
    const { properties } = z.toJSONSchema(params, { io: "input", unrepresentable: "any" });
    expect(Object.keys(properties ?? {}), id).toEqual(Object.keys(params.shape));
  }
});

import { expect, test } from "vitest";
import { z } from "zod";
import { formatSize, parseSize, plural } from "../../src/cli/options.ts";
import { paramsByMethod, parseParam, readValue } from "../../src/cli/params.ts";
import { findMethod } from "../../src/methods/registry.ts";
import { InputError } from "../../src/rollouts/index.ts";

test.each([
  [z.number(), "1e-4", 1e-4],
  [z.number(), " 3 ", 3],
  [z.number().nullable(), "null", null],
  [z.boolean(), "false", false],
  [z.string(), "1", "1"],
  [z.string(), "true", "true"],
  [z.string(), "rewards.a=b", "rewards.a=b"],
  [z.enum(["a", "b"]), "b", "b"],
  [z.union([z.literal(0), z.literal(1)]), "1", 1],
  [z.array(z.number()), "1,2.5", [1, 2.5]],
  [z.array(z.number()), "[1, 2]", [1, 2]],
  [z.array(z.number()), "7", [7]],
  [z.array(z.string()), "a, b", ["a", "b"]],
  [z.array(z.string()), "1,2", ["1", "2"]],
  [z.array(z.string()), "", []],
  [z.record(z.string(), z.number()), '{"a": 1}', { a: 1 }],
  [z.number().default(1), "2", 2],
])("%#: text is read by the type of its parameter: %s", (schema, text, value) => {
  expect(readValue(schema, text)).toEqual(value);
});

test("what fits no reading is left for the type to refuse", () => {
  expect(readValue(z.number(), "much")).toBe("much");
  expect(readValue(z.number().positive(), "-1")).toBe(-1);
  expect(readValue(undefined, "2")).toBe(2);
});

test("names are taken apart at the last dot before the equals sign", () => {
  expect(parseParam("lam=0.5")).toEqual({ name: "lam", only: null, value: "0.5", text: true });
  expect(parseParam("reinforce-pp.gamma=1")).toMatchObject({ name: "gamma", only: "reinforce-pp" });
  expect(parseParam("reward_column=signals.x=y")).toMatchObject({ name: "reward_column", value: "signals.x=y" });
  expect(() => parseParam("=1")).toThrow(InputError);
});

test("a parameter goes to the methods that have it; the last one wins", () => {
  const methods = ["grpo", "gae"].map(findMethod);
  const given = ["lam=0.5", "eps=1e-3", "grpo.eps=0.1"].map(parseParam);
  expect(Object.fromEntries(paramsByMethod(methods, given))).toEqual({ grpo: { eps: 0.1 }, gae: { lam: 0.5 } });
  expect(() => paramsByMethod(methods, [parseParam("lamb=1")])).toThrow(/unknown parameter lamb.*did you mean lam\?/);
  expect(() => paramsByMethod(methods, [parseParam("gae.eps=1")])).toThrow(/method gae: unknown parameter eps/);
});

test.each([
  ["512MB", 512e6],
  ["1.5GiB", 1.5 * 2 ** 30],
  ["2g", 2 * 2 ** 30],
  ["1048576", 2 ** 20],
])("a size: %s", (text, bytes) => {
  expect(parseSize("--memory", text)).toBe(bytes);
});

test.each(["", "MB", "-1MB", "0", "1TB!", "1e3"])("not a size: %j", (text) => {
  expect(() => parseSize("--memory", text)).toThrow(/--memory/);
});

test("sizes and counts as a person reads them", () => {
  expect([formatSize(1500), formatSize(96e6), formatSize(2.5e9)]).toEqual(["1.5 kB", "96 MB", "2.5 GB"]);
  expect([plural(1, "rollout"), plural(12345, "rollout")]).toEqual(["1 rollout", "12,345 rollouts"]);
});

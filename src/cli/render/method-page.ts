import { z } from "zod";
import type { Method, Scope } from "../../methods/method.ts";
import { parseRead } from "../../methods/reads.ts";
import { scopeOf } from "./catalogue.ts";
import { type Cell, type TableColumn, tableLines } from "./table.ts";
import type { Terminal } from "./terminal.ts";
import { wrap } from "./text.ts";

/** What the page needs of a parameter's JSON Schema. */
interface ParamSchema {
  default?: unknown;
  description?: string;
  type?: string | readonly string[];
  enum?: readonly unknown[];
  const?: unknown;
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  exclusiveMaximum?: number;
  anyOf?: readonly ParamSchema[];
  prefixItems?: readonly ParamSchema[];
}

/** Parameters of a method as JSON Schema. */
export function paramSchemas(method: Method): Record<string, ParamSchema> {
  return (z.toJSONSchema(method.params, { io: "input" }).properties ?? {}) as Record<string, ParamSchema>;
}

const widestWhole = Number.MAX_SAFE_INTEGER;

/** The values that a parameter may take, in words. */
export function rangeText(schema: ParamSchema): string {
  if (schema.anyOf !== undefined) return schema.anyOf.map(rangeText).join(" or ");
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum !== undefined) return schema.enum.map(String).join(", ");
  const types = typeof schema.type === "string" ? [schema.type] : (schema.type ?? []);
  if (types.length > 1) return types.map((type) => rangeText({ ...schema, type })).join(" or ");
  const [type] = types;
  if (type === "boolean") return "true, false";
  if (type === "array") return schema.prefixItems === undefined ? "list" : `list of ${schema.prefixItems.length}`;
  if (type !== "number" && type !== "integer") return type === "string" ? "text" : (type ?? "any");
  const { minimum, maximum, exclusiveMinimum, exclusiveMaximum } = schema;
  const low = exclusiveMinimum !== undefined ? `> ${exclusiveMinimum}` : bound("≥", minimum);
  const high = exclusiveMaximum !== undefined ? `< ${exclusiveMaximum}` : bound("≤", maximum);
  const whole = type === "integer" ? "whole" : "";
  if (minimum !== undefined && high.startsWith("≤")) return `${whole} ${minimum} to ${maximum}`.trim();
  return [whole, low, high].filter((part) => part !== "").join(", ") || "number";
}

function bound(sign: string, value: number | undefined): string {
  return value === undefined || Math.abs(value) >= widestWhole ? "" : `${sign} ${value}`;
}

const scopeTexts: Readonly<Record<Scope, string>> = {
  rollout: "each rollout by itself, so any piece of a file will do",
  group: "whole groups: larger files run piece by piece",
  batch: "statistics over the whole input",
};

function scopeText(method: Method): string {
  const scope = scopeOf(method) as Scope | null;
  if (scope === null) return "functions only, no credit rule";
  const twice = scope === "batch" && method.twoPass !== undefined ? ", read twice" : "";
  return `${scopeTexts[scope]}${twice}`;
}

/** Facts with their labels; empty ones are left out. */
function facts(method: Method): (readonly [string, string])[] {
  const { paper, headline, granularity, methodology, checked, reconstructed = [] } = method.facts;
  const source = paper.arxiv === null ? "" : `, arXiv ${paper.arxiv}`;
  const all: (readonly [string, string])[] = [
    ["paper", `${paper.title} (${paper.date}${source})`],
    ["code", paper.repo === null ? "" : `github.com/${paper.repo}`],
    ["result", headline],
    ["credit", `per ${granularity}: ${methodology.join(", ")}`],
    ["scope", scopeText(method)],
    ["checked", checked],
    ["filled in", reconstructed.join(", ")],
    ["unscored", method.unscored === true ? "rollouts without a reward are taken as they are" : ""],
    ["functions", Object.keys(method.functions ?? {}).join(", ")],
  ];
  return all.filter(([, text]) => text !== "");
}

function readRows(method: Method): string[][] {
  const rows = method.reads.map((entry) => {
    const { anyOf, optional, when } = parseRead(entry);
    return [anyOf.join(" or "), when !== null ? `if ${when} asks for it` : optional ? "optional" : "required"];
  });
  return rows.map(([path, need]) => {
    if (path === "group") return ["group", `${need}: rollouts of one prompt share it`];
    return path === "reward_column" ? ["the column that reward_column names", need] : [path, need];
  });
}

function valueText(value: unknown): string {
  if (typeof value === "number" && value !== 0 && Math.abs(value) < 1e-4) return value.toExponential();
  return typeof value === "string" ? value : JSON.stringify(value);
}

function presetText(preset: Readonly<Record<string, unknown>>): string {
  const parts = Object.entries(preset).map(([name, value]) => `${name}=${valueText(value)}`);
  return parts.length === 0 ? "the defaults" : parts.join(", ");
}

const twoColumns = [
  { title: "", wraps: true, shrinkTo: 16 },
  { title: "", wraps: true, shrinkTo: 24 },
];

const paramColumns = [
  { title: "name" },
  { title: "default", shrinkTo: 8 },
  { title: "range", shrinkTo: 12, wraps: true },
  { title: "", shrinkTo: 20, wraps: true },
];

/** The default of a parameter, or that there is none. */
function defaultText(method: Method, name: string, schema: ParamSchema): string {
  if ("default" in schema) return valueText(schema.default);
  return z.safeParse(method.params.shape[name], undefined).success ? "–" : "required";
}

/** The page of a method. `example` are commands that work when pasted. */
export function methodPage(method: Method, example: readonly string[], terminal: Terminal): string[] {
  const { style } = terminal;
  const width = Math.min(terminal.width, 100);
  const accented = (text: string): Cell => ({ text, set: style.accent });
  const dim = (text: string): Cell => ({ text, set: style.dim });
  const table = (columns: readonly TableColumn[], rows: readonly (readonly (Cell | string)[])[]) =>
    rows.length === 0 ? [] : tableLines(columns, rows, { style, width, indent: 3 });
  const section = (title: string, lines: readonly string[]) =>
    lines.length === 0 ? [] : ["", ` ${style.bold(title)}`, ...lines];
  const equation = (text: string) => wrap(text, width - 5).map((line, k) => `${k === 0 ? "   " : "     "}${line}`);
  const paramRow = ([name, schema]: [string, ParamSchema]) => [
    accented(name),
    defaultText(method, name, schema),
    dim(rangeText(schema)),
    schema.description ?? "",
  ];
  const factRows = facts(method).map(([name, text]) => [dim(name), text]);
  const reads = readRows(method).map(([path, need]) => [accented(path), dim(need)]);
  const writes = wrap(method.writes.join(", "), width - 3).map((line) => `   ${style.accent(line)}`);
  const params = Object.entries(paramSchemas(method)).map(paramRow);
  const presets = Object.entries(method.presets ?? {}).map(([name, preset]) => [accented(name), presetText(preset)]);
  const title = wrap(method.title, width - method.id.length - 3);
  const indent = " ".repeat(method.id.length + 3);
  return [
    ...title.map((line, k) => (k === 0 ? ` ${style.accent(method.id)}  ` : indent) + style.bold(line)),
    "",
    ...wrap(method.summary, width - 1).map((line) => ` ${line}`),
    "",
    ...tableLines(twoColumns, factRows, { style, width }),
    ...section(
      "Equations",
      method.equations.flatMap(({ text }) => equation(text)),
    ),
    ...section("Reads", table(twoColumns, reads)),
    ...section("Writes", method.writes.length === 0 ? [] : writes),
    ...section("Parameters", table(paramColumns, params)),
    ...section("Presets", table(twoColumns, presets)),
    ...section(
      "Try it",
      example.map((line) => `   ${line}`),
    ),
  ];
}

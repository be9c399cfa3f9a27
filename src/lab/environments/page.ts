import { z } from "zod";
import { Random } from "../random.ts";
import type { EnvironmentEntry } from "./entry.ts";
import { isExact } from "./environment.ts";
import { environments } from "./registry.ts";

interface ParamSchema {
  description?: string;
  default?: unknown;
  type?: string;
  enum?: readonly unknown[];
  const?: unknown;
  anyOf?: readonly ParamSchema[];
  minimum?: number;
  maximum?: number;
}

const code = (text: string) => `\`${text}\``;
const cell = (text: string) => text.replaceAll("|", "\\|");

function range(schema: ParamSchema): string {
  if (schema.enum !== undefined) return schema.enum.map((value) => code(String(value))).join(", ");
  if (schema.anyOf !== undefined) return schema.anyOf.map(range).join(" or ");
  if (schema.const !== undefined) return code(JSON.stringify(schema.const));
  const { type = "any", minimum, maximum } = schema;
  const bound = (value: number | undefined) => value !== undefined && Math.abs(value) < Number.MAX_SAFE_INTEGER;
  if (!bound(minimum) && !bound(maximum)) return type;
  return `${type} ${bound(minimum) ? `[${minimum}` : "(−∞"}, ${bound(maximum) ? `${maximum}]` : "∞)"}`;
}

function parameterTable({ params }: EnvironmentEntry): string[] {
  const properties = (z.toJSONSchema(params, { io: "input" }).properties ?? {}) as Record<string, ParamSchema>;
  const rows = Object.entries(properties).map(([name, schema]) => {
    const about = cell(schema.description ?? "");
    return `| ${code(name)} | ${code(JSON.stringify(schema.default))} | ${range(schema)} | ${about} |`;
  });
  return ["| parameter | default | range | meaning |", "|---|---|---|---|", ...rows];
}

/** The first turns of an episode that is played at random. */
function transcript({ make, facts }: EnvironmentEntry, turns: number): string[] {
  const environment = make();
  environment.reset(1);
  const random = new Random(2);
  const lines = [environment.prompt];
  for (let turn = 0, done = false; turn < turns && !done; turn++) {
    const actions = environment.actions();
    const action = actions[random.below(actions.length)];
    const who = facts.agents.length > 1 ? `${environment.agent()}: ` : "";
    const result = environment.step(action);
    lines.push(`> ${who}${action}`, ...(result.observation === "" ? [] : [result.observation]));
    ({ done } = result);
  }
  return lines;
}

function section(entry: EnvironmentEntry): string[] {
  const { facts, make, small } = entry;
  const environment = make();
  const enumerable = Object.entries(small).map(([name, value]) => `${name} ${value}`);
  const known = [
    environment.judge === undefined ? "no verdicts on single actions" : "exact verdicts on single actions",
    ...(environment.call === undefined ? [] : ["actions are tool calls"]),
  ];
  if (isExact(environment)) {
    known.push(
      enumerable.length === 0 ? "small enough to enumerate" : `to be enumerated with ${enumerable.join(", ")}`,
    );
  }
  return [
    `## ${code(facts.id)}: ${facts.title}`,
    "",
    facts.task,
    "",
    `- Horizon: ${facts.horizon}`,
    `- Branching: ${facts.branching}`,
    `- Observability: ${facts.observability}`,
    `- Decisive: ${facts.decisive}`,
    `- One action is a ${facts.level}. ${facts.agents.length > 1 ? `Agents: ${facts.agents.join(", ")}.` : "One agent."}`,
    `- Known: ${known.join("; ")}`,
    "",
    "```text",
    ...transcript(entry, facts.level === "token" ? 8 : 4),
    "```",
    "",
    ...parameterTable(entry),
    "",
  ];
}

/** The page of the environments, made from the registry: what each is, an episode played at random, its parameters. */
export function environmentsPage(): string {
  const entries = Object.values(environments);
  const rows = entries.map(({ facts }) => {
    const { id, level, horizon, branching, observability } = facts;
    return `| [${code(id)}](#${id}-${anchor(facts.title)}) | ${[level, horizon, branching, observability].map(cell).join(" | ")} |`;
  });
  return [
    "<!-- Made from the registry (src/lab/environments/registry.ts). Do not edit. -->",
    "",
    "# Environments",
    "",
    "Tasks in which policies are trained and methods are judged. All of them are played through one interface",
    "([environment.ts](../src/lab/environments/environment.ts)): `reset`, `step`, `snapshot`, `restore`, texts and tokens, and an",
    "exact verifier. Equal seeds give equal episodes. Figures in brackets are those of the default parameters.",
    "",
    "| environment | level | horizon | branching | observability |",
    "|---|---|---|---|---|",
    ...rows,
    "",
    ...entries.flatMap(section),
  ]
    .join("\n")
    .trimEnd()
    .concat("\n");
}

const anchor = (title: string) =>
  title
    .toLowerCase()
    .replace(/[^\p{L}\p{N} -]/gu, "")
    .replaceAll(" ", "-");

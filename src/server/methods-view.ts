import { z } from "zod";
import type { Method } from "../methods/method.ts";

/** A method in a list. */
export function methodSummary(method: Method) {
  const { id, title, summary, facts } = method;
  const { paper, granularity, methodology } = facts;
  return {
    id,
    title,
    summary,
    granularity,
    methodology,
    arxiv: paper.arxiv ?? null,
    date: paper.date,
    credits: method.assign !== undefined,
  };
}

/** Everything that the catalogue knows of a method, its parameters as JSON Schema. */
export function methodDetail(method: Method) {
  const { facts, equations, presets = {}, reads, writes, functions = {} } = method;
  return {
    ...methodSummary(method),
    facts,
    equations,
    presets,
    reads,
    writes,
    functions: Object.keys(functions),
    params: z.toJSONSchema(method.params, { io: "input" }),
  };
}

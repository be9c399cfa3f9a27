import { createHash } from "node:crypto";
import { z } from "zod";
import type { Batch } from "../../rollouts/index.ts";
import { metaText } from "./conversation.ts";
import { creditColumn, firstColumn } from "./credit.ts";
import { defineExporter, type Row, type Tally } from "./exporter.ts";

const params = z.object({
  column: z
    .string()
    .optional()
    .describe(
      "credit of turns, or of whole rollouts (default: turns.advantage where there is one, else rollout.advantage)",
    ),
  name: z.string().min(1).default("credit.advantage").describe("name of the annotation, credit.METHOD say"),
  time: z
    .string()
    .regex(/^\d{1,19}$/)
    .optional()
    .describe("nanoseconds since 1970 that the annotations are dated with (default: now)"),
});
type Params = z.output<typeof params>;

type Value = { stringValue: string } | { doubleValue: number };
const text = (key: string, value: string): { key: string; value: Value } => ({ key, value: { stringValue: value } });
const number = (key: string, value: number): { key: string; value: Value } => ({ key, value: { doubleValue: value } });

/** 16 hexadecimal digits that depend on all of a text. */
function spanIdOf(key: string): string {
  return createHash("sha256").update(key).digest("hex").slice(0, 16);
}

/** A span that carries one annotation of another span, and says the same as an evaluation event. */
function carrier(target: { traceId: string; spanId: string }, p: Params, score: number, time: string) {
  const spanId = spanIdOf(`${target.traceId} ${target.spanId} ${p.name}`);
  return {
    traceId: spanId + target.traceId.slice(16),
    spanId,
    name: p.name,
    kind: 1,
    startTimeUnixNano: time,
    endTimeUnixNano: time,
    attributes: [
      text("openinference.span.kind", "EVALUATOR"),
      text("annotations.0.annotation.name", p.name),
      number("annotations.0.annotation.score", score),
      text("annotations.0.annotation.annotator_kind", "CODE"),
    ],
    events: [
      {
        timeUnixNano: time,
        name: "gen_ai.evaluation.result",
        attributes: [text("gen_ai.evaluation.name", p.name), number("gen_ai.evaluation.score.value", score)],
      },
    ],
    links: [{ traceId: target.traceId, spanId: target.spanId, attributes: [] }],
  };
}

/** Text cells of a column, or nothing where it is missing. */
function cellsOf(batch: Batch, path: string): readonly (string | null)[] | null {
  return batch.has(path) && batch.column(path).kind === "string"
    ? (batch.column(path).values as (string | null)[])
    : null;
}

function* rows(batch: Batch, tally: Tally, p: Params): Generator<Row> {
  const path = p.column ?? firstColumn(batch, ["turns.advantage", "rollout.advantage"]) ?? "turns.advantage";
  const credit = creditColumn(batch, path);
  const time = p.time ?? `${Date.now()}000000`;
  const turns = batch.offsets("turn");
  const spans = cellsOf(batch, "turns.span_id");
  for (let i = 0; i < batch.size; i++) {
    const traceId = metaText(batch, i, ["trace_id"]) ?? null;
    if (!credit.has(i)) tally.leaveOut(batch.ids[i], `no ${path}`);
    else if (traceId === null || spans === null) {
      tally.leaveOut(batch.ids[i], "no meta.trace_id and turns.span_id: it did not come as a trace");
    } else {
      const last = turns[i + 1] - 1;
      const targets: [string | null, number][] =
        credit.level === "turn"
          ? Array.from({ length: last + 1 - turns[i] }, (_, k) => [spans[turns[i] + k], credit.values[turns[i] + k]])
          : [[last < turns[i] ? null : spans[last], credit.values[credit.offsets[i]]]];
      const carriers = targets.flatMap(([spanId, score]) =>
        spanId === null ? [] : [carrier({ traceId, spanId }, p, score, time)],
      );
      if (carriers.length === 0) {
        tally.leaveOut(batch.ids[i], "no span ids");
        continue;
      }
      tally.exported++;
      const resource = { attributes: [text("service.name", "apportion")] };
      yield { resourceSpans: [{ resource, scopeSpans: [{ scope: { name: "apportion" }, spans: carriers }] }] };
    }
  }
}

/** Credit as annotations of the spans that it belongs to, for the viewer that the traces came from. */
export const otlp = defineExporter({
  id: "otlp",
  title: "OTLP annotations",
  describe:
    "One OTLP trace request per line and rollout: a span per credited turn that annotates the turn's span (a link, an OpenInference annotation of kind CODE, a gen_ai.evaluation.result event). Post each line to /v1/traces of the viewer.",
  trainer: "Phoenix, Langfuse and other viewers of traces",
  format: "jsonl",
  reads: ["turns.advantage | rollout.advantage", "turns.span_id", "meta.trace_id"],
  params,
  start: (p) => (batch, tally) => rows(batch, tally, p),
});

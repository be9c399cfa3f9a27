import type { Readable } from "node:stream";
import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { GroupCollector } from "../../analysis/index.ts";
import { readBatches } from "../../formats/read.ts";
import { batchFromObjects, rolloutObject } from "../../rollouts/index.ts";
import { query as ask } from "../../workspace/query.ts";
import type { Workspace } from "../../workspace/workspace.ts";
import { mediumOf } from "../media.ts";
import { HttpError } from "../problem.ts";
import { paging, parsed, rollout, runName, schemaOf } from "../schemas.ts";

const path = z.object({ run: runName });
const rolloutPath = path.extend({ id: z.string().max(1000).describe("id of a rollout") });
const page = z.object(paging);
const rolloutQuery = page.extend({ group: z.string().optional().describe("only rollouts of this group") });
const creditQuery = page.extend({
  column: z.string().max(200).describe("a column, as tokens.advantage"),
  rollout: z.string().max(1000).optional().describe("only of this rollout"),
});
const sqlBody = z.object({ sql: z.string().max(100_000), limit: z.int().min(1).max(100_000).default(1000) });
const jsonBody = z.object({ rollouts: z.array(rollout), source: z.string().max(1000).default("") });

const literal = (text: string) => `'${text.replaceAll("'", "''")}'`;
const identifier = (text: string) => `"${text.replaceAll('"', '""')}"`;

/** Rows of an answer as objects. */
function objects({ columns, rows }: Awaited<ReturnType<typeof ask>>): Record<string, unknown>[] {
  return rows.map((row) => Object.fromEntries(columns.map((column, k) => [column, row[k]])));
}

/** Runs, their groups, rollouts and credit. */
export function runRoutes(app: FastifyInstance, workspace: Workspace): void {
  const tags = ["runs"];
  /** @throws HttpError 404 when there is no such run. */
  const known = async (run: string) => {
    if (!(await workspace.has(run))) throw new HttpError(404, `there is no run ${JSON.stringify(run)}`);
    return run;
  };
  const rows = async (sql: string, offset: number, limit: number) =>
    objects(await ask(workspace, `${sql} limit ${limit} offset ${offset}`, limit));

  app.get("/v1/runs", { schema: { summary: "All runs, the newest first", tags } }, async () => ({
    runs: await workspace.list(),
  }));

  app.get<{ Params: z.output<typeof path> }>(
    "/v1/runs/:run",
    { schema: { summary: "One run", tags, params: schemaOf(path) } },
    async (request) => workspace.summary(await known(request.params.run)),
  );

  app.post<{ Params: z.output<typeof path> }>(
    "/v1/runs/:run",
    { schema: { summary: "Add rollouts as a new run: JSON, JSONL or an Arrow stream", tags, params: schemaOf(path) } },
    async (request, reply) => {
      const { run } = request.params;
      const came = mediumOf(request.headers["content-type"]);
      if (await workspace.has(run)) throw new HttpError(409, `there is already a run ${JSON.stringify(run)}`);
      if (came === "json") {
        const { rollouts, source } = parsed(jsonBody, request.body, "body");
        await workspace.add(run, [batchFromObjects(rollouts)], { source });
      } else {
        const format = came === "arrow" ? "arrow" : "jsonl";
        await workspace.add(run, readBatches(request.body as Readable, { format }), { source: "HTTP" });
      }
      return reply.code(201).send(await workspace.summary(run));
    },
  );

  app.delete<{ Params: z.output<typeof path> }>(
    "/v1/runs/:run",
    { schema: { summary: "Remove a run", tags, params: schemaOf(path) } },
    async (request, reply) => {
      await workspace.remove(await known(request.params.run));
      return reply.code(204).send();
    },
  );

  app.get<{ Params: z.output<typeof path>; Querystring: z.output<typeof page> }>(
    "/v1/runs/:run/groups",
    { schema: { summary: "Groups of a run", tags, params: schemaOf(path), querystring: schemaOf(page) } },
    async (request) => {
      const collector = new GroupCollector();
      for await (const batch of readBatches(await workspace.files(await known(request.params.run))))
        collector.add(batch);
      const { offset, limit } = request.query;
      const { groups, ...whole } = collector.finish();
      return { ...whole, total: groups.length, groups: groups.slice(offset, offset + limit) };
    },
  );

  app.get<{ Params: z.output<typeof path>; Querystring: z.output<typeof rolloutQuery> }>(
    "/v1/runs/:run/rollouts",
    { schema: { summary: "Rollouts of a run", tags, params: schemaOf(path), querystring: schemaOf(rolloutQuery) } },
    async (request) => {
      const { offset, limit, group } = request.query;
      const run = literal(await known(request.params.run));
      const where = group === undefined ? "" : ` and "group" = ${literal(group)}`;
      const columns = objects(await ask(workspace, "describe rollouts")).map(({ column_name }) => String(column_name));
      const reward = columns.includes("reward") ? "reward" : "null as reward";
      return {
        rollouts: await rows(`select id, "group", ${reward} from rollouts where run = ${run}${where}`, offset, limit),
      };
    },
  );

  app.get<{ Params: z.output<typeof rolloutPath> }>(
    "/v1/runs/:run/rollouts/:id",
    { schema: { summary: "One rollout, whole", tags, params: schemaOf(rolloutPath) } },
    async (request) => {
      const { run, id } = request.params;
      for await (const batch of readBatches(await workspace.files(await known(run)))) {
        const at = batch.ids.indexOf(id);
        if (at >= 0) return rolloutObject(batch, at);
      }
      throw new HttpError(404, `there is no rollout ${JSON.stringify(id)} in run ${JSON.stringify(run)}`);
    },
  );

  app.get<{ Params: z.output<typeof path>; Querystring: z.output<typeof creditQuery> }>(
    "/v1/runs/:run/credit",
    {
      schema: {
        summary: "A column, rollout by rollout",
        tags,
        params: schemaOf(path),
        querystring: schemaOf(creditQuery),
      },
    },
    async (request) => {
      const { column, rollout: id, offset, limit } = request.query;
      const name = identifier(column.replace(/^rollout\./, ""));
      const one = id === undefined ? "" : ` and id = ${literal(id)}`;
      const run = literal(await known(request.params.run));
      return {
        column,
        rollouts: await rows(`select id, ${name} as "values" from rollouts where run = ${run}${one}`, offset, limit),
      };
    },
  );

  app.post<{ Body: z.output<typeof sqlBody> }>(
    "/v1/query",
    {
      schema: {
        summary: "SQL over all runs: tables runs, rollouts, turns, steps, tokens",
        tags,
        body: schemaOf(sqlBody),
      },
    },
    async (request) => {
      const result = await ask(workspace, request.body.sql, request.body.limit);
      return { columns: result.columns, rows: result.rows, more: result.more };
    },
  );
}

import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { compareMethods, comparisonSummary } from "../../analysis/index.ts";
import { readRollouts } from "../../formats/read.ts";
import { findMethod } from "../../methods/registry.ts";
import { batchFromObjects } from "../../rollouts/index.ts";
import type { Workspace } from "../../workspace/workspace.ts";
import { HttpError } from "../problem.ts";
import { rollout, runName, schemaOf } from "../schemas.ts";

const body = z.object({
  run: runName.optional(),
  rollouts: z.array(rollout).optional().describe("instead of a run"),
  methods: z
    .array(z.object({ method: z.string(), params: z.record(z.string(), z.unknown()).default({}) }))
    .max(20)
    .default([]),
  columns: z.array(z.string().max(200)).max(20).default([]).describe("columns of credit that the rollouts have"),
  unscored: z.enum(["stop", "leave-out"]).default("stop"),
  top: z.int().min(0).max(1000).default(20).describe("how many disagreements to give"),
});

/** Several methods on the same rollouts: how far they agree, and where not. */
export function compareRoutes(app: FastifyInstance, workspace: Workspace): void {
  app.post<{ Body: z.output<typeof body> }>(
    "/v1/compare",
    { schema: { summary: "Compare credit", tags: ["compare"], body: schemaOf(body) } },
    async (request) => {
      const { run, rollouts, methods, columns, unscored, top } = request.body;
      if ((run === undefined) === (rollouts === undefined))
        throw new HttpError(400, "body: give either run or rollouts");
      if (methods.length + columns.length < 2)
        throw new HttpError(400, "body: give at least two of methods and columns");
      if (run !== undefined && !(await workspace.has(run)))
        throw new HttpError(404, `there is no run ${JSON.stringify(run)}`);
      const batch =
        rollouts === undefined ? await readRollouts(await workspace.files(run as string)) : batchFromObjects(rollouts);
      const calls = methods.map(({ method, params }) => ({ method: findMethod(method), params }));
      return comparisonSummary(batch, compareMethods(batch, calls, { columns, unscored }), top);
    },
  );
}

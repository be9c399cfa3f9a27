import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { findMethod, methods } from "../../methods/registry.ts";
import { InputError } from "../../rollouts/index.ts";
import { methodDetail, methodSummary } from "../methods-view.ts";
import { HttpError } from "../problem.ts";
import { schemaOf } from "../schemas.ts";

const query = z.object({
  granularity: z.string().optional().describe("only methods whose credit goes to this level"),
  search: z.string().max(200).optional().describe("only methods whose id, title or summary contains this text"),
});
const path = z.object({ id: z.string().max(100).describe("id of a method") });

/** The catalogue of methods. */
export function methodRoutes(app: FastifyInstance): void {
  app.get<{ Querystring: z.output<typeof query> }>(
    "/v1/methods",
    { schema: { summary: "The catalogue of methods", tags: ["methods"], querystring: schemaOf(query) } },
    async (request) => {
      const { granularity, search = "" } = request.query;
      const words = search.toLowerCase();
      const found = [...methods.values()].map(methodSummary).filter((method) => {
        const text = `${method.id} ${method.title} ${method.summary}`.toLowerCase();
        return text.includes(words) && (granularity === undefined || method.granularity === granularity);
      });
      return { methods: found };
    },
  );
  app.get<{ Params: z.output<typeof path> }>(
    "/v1/methods/:id",
    {
      schema: {
        summary: "One method: facts, equations, columns, parameters",
        tags: ["methods"],
        params: schemaOf(path),
      },
    },
    async (request) => {
      try {
        return methodDetail(findMethod(request.params.id));
      } catch (error) {
        throw error instanceof InputError ? new HttpError(404, error.message) : error;
      }
    },
  );
}

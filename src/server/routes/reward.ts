import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { isNearNumber, isThinkAnswer, matches } from "../../methods/verifier/answer-rewards.ts";
import { HttpError } from "../problem.ts";
import { schemaOf } from "../schemas.ts";

const rules = {
  text: (response: string, label: string) => (matches(response, label) ? 1 : 0),
  number: (response: string, label: string) => (isNearNumber(response, label, 1e-6) ? 1 : 0),
  format: (response: string) => (isThinkAnswer(response) ? 1 : 0),
} as const;

const query = z.object({
  rule: z
    .enum(["text", "number", "format"])
    .default("text")
    .describe(
      "text: the answer is the label; number: the same number; format: think and answer tags stand as they should",
    ),
});
const texts = z.array(z.string());
const body = z.object({
  query: texts.describe("prompt and response as one text"),
  prompts: texts.default([]).describe("the prompts alone"),
  labels: texts.default([]).describe("the right answers"),
});

/** The response of a sample: what comes after its prompt. */
function responseOf(text: string, prompt: string): string {
  return prompt !== "" && text.startsWith(prompt) ? text.slice(prompt.length) : text;
}

/** A rule as a remote reward, in the shape that OpenRLHF calls (`remote_rm_url`). */
export function rewardRoutes(app: FastifyInstance): void {
  app.post<{ Body: z.output<typeof body>; Querystring: z.output<typeof query> }>(
    "/v1/reward",
    {
      schema: {
        summary: "Rewards by a rule, for OpenRLHF",
        tags: ["reward"],
        body: schemaOf(body),
        querystring: schemaOf(query),
      },
    },
    async (request) => {
      const { query: samples, prompts, labels } = request.body;
      const { rule } = request.query;
      if (prompts.length > 0 && prompts.length !== samples.length) {
        throw new HttpError(400, `body/prompts has ${prompts.length} entries, body/query ${samples.length}`);
      }
      if (rule !== "format" && labels.length !== samples.length) {
        throw new HttpError(400, `body/labels has ${labels.length} entries, body/query ${samples.length}`);
      }
      const rewards = samples.map((text, k) => rules[rule](responseOf(text, prompts[k] ?? ""), labels[k] ?? ""));
      return { rewards, scores: rewards, extra_logs: { [`${rule}_pass`]: rewards } };
    },
  );
}

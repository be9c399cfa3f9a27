import fc from "fast-check";
import { expect, test } from "vitest";
import { serving } from "../server/serving.ts";
import { oddValue } from "./mutate.ts";

interface Operation {
  parameters: { name: string; in: "path" | "query" }[];
  requestBody?: { content: Record<string, { schema?: { properties?: Record<string, unknown> } }> };
}

test("whatever is asked of the routes of its own document, the server answers and never faults", async () => {
  const { url, ask, post } = await serving({ rate: 1_000_000 });
  await post("/v1/runs/r", { rollouts: [{ id: "a", group: "g", reward: 1, tokens: { id: [1, 2] } }] });
  const { paths } = (await (await ask("/openapi.json")).json()) as { paths: Record<string, Record<string, Operation>> };
  const routes = Object.entries(paths).flatMap(([path, operations]) =>
    Object.entries(operations).map(([method, operation]) => ({ path, method, operation })),
  );
  expect(routes.length).toBeGreaterThan(14);
  const word = fc.oneof(
    fc.constantFrom("r", "a", "grpo", "g", "..", "%00", "-1", "1e9", "tokens.id", "'"),
    fc.string(),
  );
  const key = fc.constantFrom(
    "method",
    "methods",
    "rollouts",
    "params",
    "run",
    "sql",
    "query",
    "labels",
    "limit",
    "columns",
  );
  const bodies = fc.oneof(
    fc.dictionary(key, fc.oneof(oddValue, word, fc.array(fc.record({ id: word, reward: oddValue })))),
    oddValue,
  );
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...routes.filter(({ method }) => method !== "delete")),
      fc.array(word, { minLength: 8, maxLength: 8 }),
      bodies,
      fc.constantFrom("application/json", "application/x-ndjson", "application/vnd.apache.arrow.stream", "text/plain"),
      async ({ path, method, operation }, words, body, type) => {
        let next = 0;
        const filled = path.replace(/\{[^}]+\}/g, () => encodeURIComponent(words[next++]) || "x");
        const query = operation.parameters
          .filter((one) => one.in === "query")
          .map(({ name }) => `${name}=${encodeURIComponent(words[next++ % 8] ?? "")}`);
        const target = new URL(url);
        target.pathname = filled;
        target.search = query.join("&");
        const init =
          method === "post"
            ? { method: "POST", headers: { "content-type": type }, body: JSON.stringify(body) ?? "" }
            : {};
        const answer = await fetch(target, init);
        const text = await answer.text();
        expect(answer.status, `${method} ${target.href} ${init.body} ${text}`).toBeLessThan(500);
        if (answer.status >= 400)
          expect(JSON.parse(text)).toMatchObject({ status: answer.status, detail: expect.any(String) });
      },
    ),
    { numRuns: 600 },
  );
}, 120_000);

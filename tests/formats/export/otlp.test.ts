import { expect, test } from "vitest";
import { rolloutOfTrace } from "../../../src/formats/otlp/rollout.ts";
import { type Span, spansOf } from "../../../src/formats/otlp/span.ts";
import { genAi } from "../otlp/requests.ts";
import { exported } from "./credited.ts";

const credited = { ...rolloutOfTrace(spansOf(genAi(5))), advantage: 0.5 };
const withTurns = { ...credited, id: "t", turns: { ...(credited.turns as object), advantage: [-0.25, 1] } };

test("the credit of a turn annotates the span that the turn came from", async () => {
  const { rows, report } = await exported("otlp", [[withTurns as never]], {
    name: "credit.gigpo",
    time: "1700000000000000000",
  });
  expect(report).toMatchObject({ rollouts: 1, exported: 1, rows: 1 });
  const spans: Span[] = spansOf(rows[0]);
  expect(spans.map(({ name }) => name)).toEqual(["credit.gigpo", "credit.gigpo"]);
  expect(spans.map(({ attributes }) => attributes["annotations.0.annotation.score"])).toEqual([-0.25, 1]);
  expect(spans[0].attributes).toMatchObject({
    "annotations.0.annotation.name": "credit.gigpo",
    "annotations.0.annotation.annotator_kind": "CODE",
  });
  expect(spans[1].events).toEqual([
    {
      name: "gen_ai.evaluation.result",
      attributes: { "gen_ai.evaluation.name": "credit.gigpo", "gen_ai.evaluation.score.value": 1 },
    },
  ]);
  expect(JSON.stringify(rows[0])).toContain(
    '"links":[{"traceId":"00000000000000000000000000000005","spanId":"0000000000000004","attributes":[]}]',
  );
  expect(new Set(spans.map(({ spanId }) => spanId)).size).toBe(2);
  expect(rows).toEqual(
    (await exported("otlp", [[withTurns as never]], { name: "credit.gigpo", time: "1700000000000000000" })).rows,
  );
});

test("the credit of a rollout annotates its last turn; what came from elsewhere is left out", async () => {
  const plain = { id: "p", advantage: 1, reward: 1 };
  const { rows, report } = await exported("otlp", [[credited as never, plain as never]], {
    column: "rollout.advantage",
  });
  expect(rows).toHaveLength(1);
  expect(JSON.stringify(rows[0])).toContain('"spanId":"0000000000000004"');
  expect(report.leftOut[0].reason).toContain("did not come as a trace");
});

import fc from "fast-check";
import { expect, test } from "vitest";
import { decodeRequest } from "../../../src/formats/otlp/protobuf.ts";
import { rolloutOfTrace } from "../../../src/formats/otlp/rollout.ts";
import { spansOf } from "../../../src/formats/otlp/span.ts";
import { batchFromObjects, InputError } from "../../../src/rollouts/index.ts";
import { mutated } from "../../fuzz/mutate.ts";
import { encodeRequest } from "./encode.ts";
import { aiSdk, genAi, openInference, request } from "./requests.ts";

test.each([
  ["GenAI", genAi()],
  ["OpenInference", openInference()],
  ["AI SDK", aiSdk()],
])("a trace in the names of %s becomes turns with calls, observations and an outcome", (_, json) => {
  const rollout = rolloutOfTrace(spansOf(json));
  expect(() => batchFromObjects([rollout])).not.toThrow();
  expect(rollout).toMatchObject({
    id: json.resourceSpans[0].scopeSpans[0].spans[0].traceId,
    reward: 1,
    turns: {
      agent: ["clerk", "clerk"],
      text: ['price({"of":"tea"})', "Three euros."],
      tool_calls: [[{ name: "price", arguments: { of: "tea" } }], []],
      span_id: ["0000000000000002", "0000000000000004"],
      model: ["m", "m"],
      input_tokens: [12, null],
      output_tokens: [5, null],
    },
    meta: { service: "shop" },
  });
  const turns = rollout?.turns as { observation: string[] } | undefined;
  expect(turns?.observation[0]).toContain("3 euros");
  const messages = rollout?.messages as { role: string; content: string }[];
  expect(messages.map(({ role }) => role)).toEqual(["system", "user", "assistant", "tool", "assistant"]);
  expect(messages[0].content).toBe("Be brief.");
});

test("protobuf says the same as JSON", () => {
  for (const json of [genAi(), openInference(), aiSdk()]) {
    expect(spansOf(decodeRequest(encodeRequest(json)))).toEqual(spansOf(json));
  }
});

test("several agents keep their own conversations; errors are told", () => {
  const said = (who: string, text: string) => ({
    "gen_ai.operation.name": "chat",
    "gen_ai.input.messages": JSON.stringify([{ role: "user", parts: [{ type: "text", content: `for ${who}` }] }]),
    "gen_ai.output.messages": JSON.stringify([{ role: "assistant", parts: [{ type: "text", content: text }] }]),
  });
  const agent = (name: string) => ({ "gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": name });
  const rollout = rolloutOfTrace(
    spansOf(
      request(9, [
        { id: 1, attributes: { ...agent("boss"), "apportion.group": "g", "apportion.rollout.id": "run-1" } },
        { id: 2, parent: 1, attributes: said("boss", "Go.") },
        { id: 3, parent: 1, attributes: agent("worker") },
        { id: 4, parent: 3, attributes: said("worker", "Going."), error: "timeout" },
        { id: 5, parent: 1, attributes: said("boss", "Done.") },
      ]),
    ),
  );
  expect(rollout).toMatchObject({
    id: "run-1",
    group: "g",
    reward: null,
    turns: { agent: ["boss", "worker", "boss"], text: ["Go.", "Going.", "Done."], error: [null, "timeout", null] },
  });
});

test("a trace without a call of a model is no rollout", () => {
  expect(rolloutOfTrace(spansOf(request(4, [{ id: 1, name: "GET /" }])))).toBeNull();
});

test.each([[null], [[]], [{}], [{ resourceSpans: [{ scopeSpans: [{ spans: [{ traceId: "x" }] }] }] }]])(
  "what is no request is refused: %j",
  (value) => {
    expect(() => spansOf(value)).toThrow(InputError);
  },
);

test("damaged requests and bytes give spans that make rollouts, or are refused", () => {
  const tried = (make: () => unknown) => {
    try {
      for (const span of [make()].flatMap(spansOf)) {
        const rollout = rolloutOfTrace([span]);
        if (rollout !== null) batchFromObjects([rollout]);
      }
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
    }
  };
  for (const json of [genAi(), openInference(), aiSdk()]) {
    fc.assert(
      fc.property(mutated(json), (damaged) => tried(() => damaged)),
      { numRuns: 150 },
    );
    const bytes = encodeRequest(json);
    const places = fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)), { maxLength: 6 });
    fc.assert(
      fc.property(places, fc.nat(bytes.length), (changes, length) => {
        const copy = bytes.slice(0, length);
        for (const [at, byte] of changes) if (at < length) copy[at] = byte;
        tried(() => decodeRequest(copy));
      }),
      { numRuns: 300 },
    );
  }
});

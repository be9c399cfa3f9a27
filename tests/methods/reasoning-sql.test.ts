import fc from "fast-check";
import { expect, test } from "vitest";
import {
  executionMatch,
  executionReward,
  extractSql,
  schemaLinkingReward,
  sqlNgramSimilarity,
  sqlSchemaItems,
  xmlFormatReward,
} from "../../src/methods/verifier/reasoning-sql.ts";
import { expectNear } from "../operators/arbitraries.ts";
import { credit } from "./credit.ts";

/** A query built from known names. */
const queries = fc
  .record({
    table: fc.constantFrom("schools", "Scores", '"my table"', "`odd name`", "[a b]"),
    alias: fc.constantFrom("", " t", " AS t"),
    columns: fc.array(fc.constantFrom("id", "name", "t.math", "COUNT(x)", "MAX(y) top", "'text'", "1.5e3", "z AS w"), {
      minLength: 1,
      maxLength: 4,
    }),
    where: fc.constantFrom(
      "",
      " WHERE id = 3",
      " WHERE id IN (SELECT sid FROM other AS o)",
      " ORDER BY name DESC LIMIT 1",
    ),
    comment: fc.constantFrom("", " -- FROM nowhere", " /* JOIN x */"),
  })
  .map(({ table, alias, columns, where, comment }) => {
    const names: Record<string, string[]> = {
      id: ["id"],
      name: ["name"],
      "t.math": ["math"],
      "COUNT(x)": ["x"],
      "MAX(y) top": ["y"],
      "z AS w": ["z"],
    };
    const found = columns.flatMap((column) => names[column] ?? []);
    if (where.includes("id")) found.push("id");
    if (where.includes("sid")) found.push("sid");
    if (where.includes("name")) found.push("name");
    const sorted = (list: string[]) => [...new Set(list)].sort();
    return {
      sql: `SELECT ${columns.join(", ")} FROM ${table}${alias}${where}${comment}`,
      items: {
        tables: sorted([table.replace(/["`[\]]/g, ""), ...(where.includes("other") ? ["other"] : [])]),
        columns: sorted(found),
        table_aliases: sorted([...(alias === "" ? [] : ["t"]), ...(where.includes("other") ? ["o"] : [])]),
        column_aliases: sorted([
          ...(columns.includes("MAX(y) top") ? ["top"] : []),
          ...(columns.includes("z AS w") ? ["w"] : []),
        ]),
      },
    };
  });

test("finds the names of queries that were put together from them", () => {
  fc.assert(
    fc.property(queries, ({ sql, items }) => {
      expect(sqlSchemaItems({ sql })).toEqual(items);
      expect(schemaLinkingReward({ predicted: sql, gold: sql })).toBe(1);
      expect(sqlNgramSimilarity({ predicted: sql, gold: sql, n: 1 })).toBe(1);
    }),
  );
});

test("reads joins, common table expressions, derived tables, casts and USING", () => {
  const items = (sql: string) => sqlSchemaItems({ sql });
  expect(
    items("WITH r(n, m) AS (SELECT a, b FROM base) SELECT r.n FROM r JOIN s USING (k) WHERE CAST(m AS REAL) > 1"),
  ).toEqual({
    tables: ["base", "r", "s"],
    columns: ["a", "b", "m", "n"],
    table_aliases: [],
    column_aliases: [],
  });
  expect(
    items("SELECT d.*, CASE WHEN x THEN y END total FROM (SELECT z FROM c) AS d, (t1 JOIN t2 ON t1.i = t2.j) q, u"),
  ).toEqual({
    tables: ["c", "t1", "t2", "u"],
    columns: ["*", "i", "j", "x", "y", "z"],
    table_aliases: [],
    column_aliases: ["total"],
  });
});

test("a query that cannot be scanned has no items, and names that cannot close are no error", () => {
  const broken = [
    "",
    "UPDATE t SET a = 1",
    "SELECT 'a",
    "SELECT a FROM t)",
    "SELECT (a FROM t",
    "SELECT /* a",
    "SELECT `a",
  ];
  for (const sql of broken) {
    expect(sqlSchemaItems({ sql })).toBeNull();
    expect(schemaLinkingReward({ predicted: sql, gold: "SELECT a FROM t" })).toBe(0);
  }
  const anything = fc.string({
    unit: fc.constantFrom(..."SELECT FROM(),.'\"`[]ab1 \n-/*as".split(""), "SELECT ", " FROM ", " AS "),
  });
  fc.assert(
    fc.property(anything, (sql) => {
      const found = sqlSchemaItems({ sql });
      if (found !== null) for (const list of Object.values(found)) expect(list).toEqual([...new Set(list)].sort());
    }),
    { numRuns: 500 },
  );
});

test("linking is recall or Jaccard, and asks for SELECT in capitals", () => {
  const given = { predicted: "SELECT a, b, c FROM t", gold: "SELECT a FROM u" };
  expectNear([schemaLinkingReward(given), schemaLinkingReward({ ...given, mode: "jaccard" })], [1 / 2, 1 / 5]);
  expect(schemaLinkingReward({ ...given, predicted: "select a from u" })).toBe(0);
  expect(schemaLinkingReward({ predicted: "SELECT 1", gold: "SELECT 1" })).toBe(0);
  expectNear([sqlNgramSimilarity({ predicted: "SELECT x AS y FROM t z", gold: "select x from t" })], [1]);
  expect(sqlNgramSimilarity({ predicted: "", gold: "" })).toBe(0);
});

test("results match as sets of rows, by value and type", () => {
  const cell = fc.constantFrom(1, 2, "1", null);
  const rows = fc.array(fc.array(cell, { minLength: 2, maxLength: 2 }), { maxLength: 4 });
  fc.assert(
    fc.property(rows, rows, (predicted, gold) => {
      const has = (list: unknown[][], row: unknown[]) => list.some((other) => other.every((x, k) => x === row[k]));
      const equal = predicted.every((row) => has(gold, row)) && gold.every((row) => has(predicted, row));
      expect(executionMatch({ predicted, gold })).toBe(Number(equal && gold.length > 0));
      expect(executionMatch({ predicted: [...gold, ...gold].reverse(), gold })).toBe(Number(gold.length > 0));
    }),
  );
  const reward = (judge?: unknown) => executionReward({ sql: "SELECT 1", match: 0, judge });
  expect([reward(1.5), reward(7), reward(-1), reward("2"), reward()]).toEqual([1.5, 2, 0, 0, 0]);
  expect(executionReward({ sql: "SELECT 1", match: 1, exec_score: 4 })).toBe(4);
  expect(executionReward({ sql: "select 1", match: 1 })).toBe(0);
});

test("the last block is the query, and each tag of the layout pays once", () => {
  const fence = "```";
  expect(extractSql({ text: `${fence}sql a ${fence} x ${fence}sql\n SELECT 1\n${fence}` })).toBe("SELECT 1");
  expect(extractSql({ text: " SELECT 1 " })).toBe(" SELECT 1 ");
  expect(xmlFormatReward({ text: "<reasoning>\na\n</reasoning>\n<answer>\nb\n</answer>\n" })).toBe(0.5);
  expectNear([xmlFormatReward({ text: "<reasoning>\na\n</reasoning>\n<answer>\nb\n</answer>\n😀😀" })], [0.5 - 0.004]);
  expectNear([xmlFormatReward({ text: "\n<answer>\n".repeat(2) })], [0]);
  expectNear([xmlFormatReward({ text: "x\n<answer>\ny" })], [0.125 - 0.012]);
});

test("channels are summed by weight", () => {
  const rollouts = [{ id: "a", rewards: { execution: 3, syntax: null } }, { id: "b" }];
  expectNear(credit("reasoning-sql", rollouts, { weights: { execution: 0.5 } }, "rollout.reward"), [1.5, 0]);
  expect(() => credit("reasoning-sql", rollouts, { weights: { other: 1 } })).toThrow(/weights/);
  expect(() => credit("reasoning-sql", [{ id: "a" }])).toThrow(/rewards\.execution/);
});

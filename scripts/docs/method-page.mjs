import { z } from "zod";
import { docComment } from "./sources.mjs";

const code = (text) => `\`${text}\``;

function parameterTable(method) {
  const { properties = {} } = z.toJSONSchema(method.params, { io: "input", unrepresentable: "any" });
  const rows = Object.entries(properties).map(([name, schema]) => {
    const text = (schema.description ?? "").replaceAll("|", "\\|");
    return `| ${code(name)} | ${code(JSON.stringify(schema.default))} | ${range(schema)} | ${text} |`;
  });
  if (rows.length === 0) return "No parameters.";
  return ["| name | default | range | meaning |", "|---|---|---|---|", ...rows].join("\n");
}

function range(schema) {
  if (schema.enum !== undefined) return schema.enum.map((x) => code(String(x))).join(", ");
  if (schema.anyOf !== undefined) return schema.anyOf.map(range).join(" or ");
  if (schema.const !== undefined) return code(JSON.stringify(schema.const));
  const low = schema.minimum ?? (schema.exclusiveMinimum === undefined ? undefined : schema.exclusiveMinimum);
  const high = schema.maximum ?? (schema.exclusiveMaximum === undefined ? undefined : schema.exclusiveMaximum);
  const open = schema.exclusiveMinimum === undefined ? "[" : "(";
  const shut = schema.exclusiveMaximum === undefined ? "]" : ")";
  const huge = (x) => x === undefined || Math.abs(x) >= Number.MAX_SAFE_INTEGER;
  const type = schema.type ?? "any";
  if (huge(low) && huge(high)) return type;
  return `${type} ${huge(low) ? "(−∞" : `${open}${low}`}, ${huge(high) ? "∞)" : `${high}${shut}`}`;
}

const rounded = (value) =>
  JSON.stringify(value, (_, x) => (typeof x === "number" ? Number(x.toPrecision(6)) : x)).replaceAll(",", ", ");

async function example(method, file, runCase) {
  const test = file?.cases.find(
    (one) => one.kind === "credit" && one.expect.error !== true && one.rollouts?.length > 0,
  );
  if (test === undefined) return functionExample(method, file, runCase);
  const result = await runCase(method.id, test);
  const lines = [`Case “${test.name}” of ${code(`conformance/${method.id}.json`)}`];
  const given = Object.keys(test.params ?? {}).length > 0 ? `, parameters ${code(JSON.stringify(test.params))}` : "";
  lines[0] += `${given}:`;
  lines.push("", "```json", ...test.rollouts.map((rollout) => JSON.stringify(rollout)), "```", "", "gives", "");
  lines.push("| column | values, one per rollout |", "|---|---|");
  for (const [path, cells] of Object.entries(result.actual))
    lines.push(`| ${code(path)} | ${code(cells.map(rounded).join(" · "))} |`);
  const params = Object.entries(test.params ?? {}).map(
    ([name, value]) => ` --param ${name}=${typeof value === "string" ? value : `'${JSON.stringify(value)}'`}`,
  );
  lines.push(
    "",
    "```sh",
    `apportion methods ${method.id} --example > example.jsonl`,
    `apportion assign example.jsonl --method ${method.id}${params.join("")}`,
    "```",
  );
  return lines.join("\n");
}

async function functionExample(method, file, runCase) {
  const test = file?.cases.find((one) => one.kind === "function" && one.expect.error !== true);
  if (test === undefined) return null;
  const result = await runCase(method.id, test);
  return [
    `${code(`${test.function}(${JSON.stringify(test.args)})`)}`,
    "",
    `gives ${code(rounded(result.actual))}`,
  ].join("\n");
}

/** The page of one method, from the registry, its doc comments and its vector file; the numbers are computed here. */
export async function methodPage(method, source, file, runCase, claim) {
  const { facts } = method;
  const { paper } = facts;
  const link = paper.arxiv === null ? paper.title : `[${paper.title}](https://arxiv.org/abs/${paper.arxiv})`;
  const repo = paper.repo === null ? "no official code" : `[${paper.repo}](https://github.com/${paper.repo})`;
  const parts = [
    "<!-- Made by `npm run docs` from the registry, the doc comments and the vector file. Do not edit. -->",
    `# ${method.id}: ${method.title}`,
    method.summary,
    `- Source: ${link}${paper.arxiv === null ? "" : ` (arXiv ${paper.arxiv})`}, ${paper.date}; ${repo}`,
  ];
  const lists = [
    `- Headline: ${facts.headline}`,
    `- Granularity: ${facts.granularity}. Methodology: ${facts.methodology.join(", ")}.`,
    `- Checked: ${facts.checked}`,
    ...(facts.reconstructed ?? []).map((text) => `- Reconstructed: ${text}`),
    `- Code: [${source.path}](../../${source.path})`,
  ];
  parts[3] += `\n${lists.join("\n")}`;
  if (method.equations.length > 0) {
    parts.push("## Definition", method.equations.map(({ text }) => `    ${text}`).join("\n"));
    const comment = docComment(source.text, /\n(export )?function assign\(/);
    if (comment !== null) parts.push(comment);
  }
  if (method.assign !== undefined) {
    parts.push(`Reads ${method.reads.map(code).join(", ")}. Writes ${method.writes.map(code).join(", ")}.`);
  }
  parts.push("## Parameters", parameterTable(method));
  for (const [name, preset] of Object.entries(method.presets ?? {}))
    parts.push(`Preset ${code(name)}: ${code(JSON.stringify(preset))}`);
  const functions = Object.keys(method.functions ?? {});
  if (functions.length > 0) {
    parts.push("## Functions");
    for (const name of functions) {
      const comment = docComment(source.text, new RegExp(`\\n(export )?(async )?function ${name}\\(`));
      parts.push(`### ${code(name)}`, comment ?? "See the source.");
    }
  }
  const worked = await example(method, file, runCase);
  if (worked !== null) parts.push("## Worked example", worked);
  if (claim !== undefined) {
    const found = claim.findings.map(
      ({ kind, expected, measured, holds }) =>
        `| ${kind === "limit" ? "limit: " : ""}${expected} | ${measured} | ${holds ? "yes" : "no"} |`,
    );
    parts.push(
      "## Claim",
      `${claim.claim} **${claim.verdict[0].toUpperCase()}${claim.verdict.slice(1)}** in miniature ([how](../claims.md#${method.id})).`,
      ["| expected | measured | holds |", "|---|---|---|", ...found].join("\n"),
    );
  }
  return `${parts.join("\n\n")}\n`;
}

const code = (text) => `\`${text}\``;

/** Status of every card: how many of its public vectors pass, and what is there. */
export async function statuses(methods, files, disputed, runCase, claims) {
  const rows = [...files].map(async ([id, file]) => {
    const method = methods.get(id);
    const cases = file.cases.filter((one) => !disputed.has(`${id} | ${one.name}`));
    const results = method === undefined ? [] : await Promise.all(cases.map((one) => runCase(id, one)));
    const passed = results.filter((result) => result.ok).length;
    const claim = claims.get(id) ?? null;
    return { id, method, claim, passed, cases: cases.length, disputed: file.cases.length - cases.length };
  });
  return Promise.all(rows);
}

/** The table of the README: one row per card. */
export function statusTable(rows) {
  const lines = rows.map(({ id, method, claim, passed, cases, disputed }) => {
    if (method === undefined) return `| ${id} | | | | not yet | |`;
    const verdict = claim === null ? "not tried yet" : `[${claim.verdict}](docs/claims.md#${id})`;
    const link = `[${id}](docs/methods/${id}.md)`;
    const state = `${passed}/${cases} vectors${disputed > 0 ? `, ${disputed} disputed` : ""}`;
    return `| ${link} | ${method.title} | ${method.facts.granularity} | ${method.facts.paper.date} | ${state} | ${verdict} |`;
  });
  const done = rows.filter(({ method, passed, cases }) => method !== undefined && passed === cases).length;
  const tried = rows.filter(({ claim }) => claim !== null);
  const count = (verdict) => tried.filter(({ claim }) => claim.verdict === verdict).length;
  return [
    `${done} of ${rows.length} cards have their numeric part and pass all of their public vectors (a disputed one differs for`,
    `a reason given in [disputed.md](tests/conformance/disputed.md)). The claims of ${tried.length} cards were tried in miniature`,
    `([claims](docs/claims.md)): ${count("shown")} shown, ${count("mixed")} mixed, ${count("not shown")} not shown. Judges, samplers and reward models`,
    "that make signals online are not there yet.",
    "",
    "| method | title | level | first published | numbers | claim |",
    "|---|---|---|---|---|---|",
    ...lines,
  ].join("\n");
}

const needs = [
  [
    "only an outcome per rollout",
    (reads) => reads.every((path) => /^(group|reward_column|rollout\.reward|tokens\.(mask|id))$/.test(path)),
  ],
  ["log-probabilities", (reads) => reads.some((path) => /logprob/.test(path))],
  ["a critic (values)", (reads) => reads.some((path) => /\.value|value_/.test(path))],
  [
    "scores of steps (a process reward model or judge)",
    (reads) => reads.some((path) => /^steps\./.test(path) && !/\.end$/.test(path)),
  ],
  [
    "turns: states, rewards, tool calls, agents",
    (reads) => reads.some((path) => /^turns\./.test(path) && !/\.end$/.test(path)),
  ],
  ["several reward channels or signals", (reads) => reads.some((path) => /^(rewards|signals)\./.test(path))],
];

/** docs/methods/README.md: methods by what they need and by what they give. */
export function overview(methods, parseRead) {
  const credit = [...methods.values()].filter((method) => method.assign !== undefined);
  const line = (method) => `- [${method.id}](${method.id}.md): ${method.summary}`;
  const required = (method) =>
    method.reads
      .map(parseRead)
      .filter((read) => !read.optional)
      .flatMap((read) => read.anyOf);
  const byNeed = needs.map(([name, test]) => {
    const found = credit.filter((method) => test(required(method)));
    return found.length === 0 ? null : `### ${name[0].toUpperCase()}${name.slice(1)}\n\n${found.map(line).join("\n")}`;
  });
  const levels = [...new Set(credit.map((method) => method.facts.granularity))];
  const byLevel = levels.map((level) => {
    const found = credit.filter((method) => method.facts.granularity === level);
    return `- ${level}: ${found.map((method) => `[${method.id}](${method.id}.md)`).join(", ")}`;
  });
  const rest = [...methods.values()].filter((method) => method.assign === undefined);
  const parts = [
    "<!-- Made by `npm run docs`. Do not edit. -->",
    "# Methods",
    "## By what they need",
    ...byNeed.filter((text) => text !== null),
    "## By the level that gets credit",
    byLevel.join("\n"),
  ];
  if (rest.length > 0)
    parts.push("## Functions only (metrics, losses, solvers, mechanisms)", rest.map(line).join("\n"));
  parts.push(
    `A method is called as ${code("apportion assign FILE --method ID")} or ${code("assign(batch, id, params)")}.`,
  );
  return `${parts.join("\n\n")}\n`;
}

import { parseHTML } from "linkedom";
import { environments } from "../../lab/environments/registry.ts";
import { linePlot, type PlotDocument } from "../../lab/plots/index.ts";
import type { Metrics } from "../../lab/training/index.ts";
import { byArm, curveOf, type MetricsRow, summarise } from "../../lab/training/summary.ts";
import { findMethod } from "../../methods/registry.ts";
import type { RunConfig } from "./config.ts";
import { resultColumns } from "./table.ts";

/** Points of a curve in the report. */
const mostPoints = 120;

interface PlotSpec {
  name: keyof Metrics | "expected_reward";
  title: string;
  y: string;
  domain?: readonly [number, number];
  /** Drawn only if the values are not all the same. */
  varying?: boolean;
  best?: boolean;
}

const plots: readonly PlotSpec[] = [
  {
    name: "expected_reward",
    title: "Expected true reward of the policy",
    y: "true reward",
    domain: [0, 1.1],
    best: true,
  },
  { name: "reward", title: "Reward that training saw", y: "reward" },
  { name: "true_reward", title: "True reward of the rollouts", y: "true reward", domain: [0, 1] },
  { name: "entropy", title: "Entropy of the choices", y: "nats" },
  { name: "kl", title: "Divergence from the reference policy", y: "KL per choice (k3)" },
  { name: "length", title: "Tokens of the policy per rollout", y: "tokens", varying: true },
  {
    name: "credit_correlation",
    title: "Correlation of credit with the true advantage",
    y: "correlation",
    domain: [-1, 1],
  },
  { name: "credit_sign", title: "Choices whose credit has the true sign", y: "share", domain: [0, 1] },
  { name: "gradient_norm", title: "Length of the gradient", y: "norm" },
  { name: "clip_fraction", title: "Tokens cut by the clip", y: "share", varying: true },
];

const escapes: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
const html = (text: string) => text.replace(/[&<>"]/g, (c) => escapes[c]);

const style = `
:root{color-scheme:light dark;--paper:#fff;--ground:#f6f7f9;--text:#1b1f26;--faint:#5c6370;--rule:#e0e4ea;--accent:#1061b8}
@media (prefers-color-scheme:dark){:root{--paper:#14171c;--ground:#0e1014;--text:#e8ebf0;--faint:#a0a7b3;--rule:#2d333d;--accent:#68abf0}}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--text);font:16px/1.5 system-ui,sans-serif}
main{max-width:1340px;margin:0 auto;padding:2rem 1rem 4rem}
h1{font-size:1.6rem;margin:0 0 .25rem}h2{font-size:1.15rem;margin:2.5rem 0 .75rem}
p{max-width:60rem}.faint{color:var(--faint)}
.scroll{overflow-x:auto;background:var(--paper);border:1px solid var(--rule);border-radius:6px}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{padding:.5rem .55rem;font-size:.92rem;text-align:right;white-space:nowrap;border-bottom:1px solid var(--rule)}
th{font-weight:600;color:var(--faint);font-size:.85rem}
th:first-child,td:first-child{text-align:left}tr:last-child td{border-bottom:0}td:first-child{font-weight:600}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,540px),1fr));gap:1rem}
.plots svg{width:100%;height:auto;border:1px solid var(--rule);border-radius:6px}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.15rem 1rem;margin:0}dt{color:var(--faint)}dd{margin:0;overflow-wrap:anywhere}
code,pre{font-family:ui-monospace,monospace;font-size:.85rem}
pre{background:var(--paper);border:1px solid var(--rule);border-radius:6px;padding:1rem;overflow:auto}
summary{cursor:pointer;color:var(--accent)}`;

function table(rows: readonly MetricsRow[], best: number | null): string {
  const arms = summarise(rows, best);
  const columns = resultColumns(arms);
  const head = columns.map(({ title, meaning }) => `<th scope="col" title="${html(meaning)}">${html(title)}</th>`);
  const body = arms.map((arm) => `<tr>${columns.map(({ cell }) => `<td>${html(cell(arm))}</td>`).join("")}</tr>`);
  const notes = columns.filter(({ meaning }) => meaning !== "");
  return [
    `<div class="scroll"><table><thead><tr>${head.join("")}</tr></thead><tbody>${body.join("\n")}</tbody></table></div>`,
    `<p class="faint">± is half of the 95 % confidence interval over the seeds, where there are several. ${notes
      .map(({ title, meaning }) => `<b>${html(title)}</b>: ${html(meaning)}`)
      .join("; ")}.</p>`,
  ].join("\n");
}

function pictures(rows: readonly MetricsRow[], best: number | null, document: PlotDocument): string[] {
  const arms = byArm(rows);
  const seeds = Math.max(...[...arms.values()].map((of) => of.length));
  return plots.flatMap(({ name, title, y, domain, varying, best: marked }) => {
    const series = [...arms].map(([arm, of]) => {
      const curve = curveOf(of, name, mostPoints);
      const band: [number[], number[]] = [curve.low, curve.high];
      return { name: arm, x: curve.x, y: curve.y, ...(of.length > 1 ? { band } : {}) };
    });
    const values = series.flatMap((one) => one.y);
    if (values.length === 0 || (varying === true && values.every((value) => value === values[0]))) return [];
    const fits = domain !== undefined && values.every((value) => value >= domain[0] && value <= domain[1]);
    return linePlot(document, {
      title,
      note: seeds > 1 ? `mean of ${seeds} seeds, 95 % interval` : "one seed",
      series,
      x: "update",
      y: fits ? { label: y, domain } : y,
      ...(marked === true && best !== null ? { marks: [{ value: best, name: "best policy" }] } : {}),
    });
  });
}

function facts(pairs: readonly (readonly [string, string])[]): string {
  return `<dl>${pairs.map(([name, text]) => `<dt>${html(name)}</dt><dd>${html(text)}</dd>`).join("\n")}</dl>`;
}

/** The report of a run as one page that needs nothing else: table, plots, task, settings; light and dark. */
export function reportPage(config: RunConfig, rows: readonly MetricsRow[], best: number | null): string {
  const { document } = parseHTML("<!doctype html><html><body></body></html>") as unknown as { document: PlotDocument };
  const { facts: task } = environments[config.environment.id];
  const { settings } = config;
  const names = config.methods.map(({ name }) => name).join(", ");
  const done = Math.min(...summarise(rows, best).map(({ updates }) => updates));
  const unfinished = done < settings.updates ? ` Interrupted after ${done} of ${settings.updates} updates.` : "";
  const size = `${settings.groups} groups of ${settings.group_size}`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<title>${html(`${task.title}: ${names}`)}</title>
<style>${style}</style>
</head>
<body><main>
<h1>${html(task.title)}: ${html(names)}</h1>
<p class="faint">${html(`${config.seeds.length} seeds, ${settings.updates} updates of ${size}, ${config.policy.kind} policy.${unfinished}`)}</p>
<h2>Results</h2>
${table(rows, best)}
<h2>Curves</h2>
<div class="plots">
${pictures(rows, best, document).join("\n")}
</div>
<h2>Task</h2>
${facts([
  ["task", task.task],
  ["horizon", task.horizon],
  ["branching", task.branching],
  ["observability", task.observability],
  ["decisive", task.decisive],
  ...(best === null ? [] : [["best policy", `expected true reward ${best.toFixed(3)}`] as const]),
])}
<h2>Methods</h2>
${facts(config.methods.flatMap(({ calls }) => calls.map(({ id }) => [id, findMethod(id).summary] as const)))}
<h2>Settings</h2>
<details><summary>config.json: all that is needed to run this again</summary>
<pre>${html(JSON.stringify(config, null, 2))}</pre></details>
</main></body>
</html>
`;
}

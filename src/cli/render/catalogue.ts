import { z } from "zod";
import { type Feed, type FileFeed, needed } from "../../analysis/feed.ts";
import type { Method } from "../../methods/method.ts";
import { plural } from "../options.ts";
import { type Cell, tableLines } from "./table.ts";
import type { Terminal } from "./terminal.ts";
import { pad, wrap } from "./text.ts";

/** The parameters that have a default. */
function defaults(method: Method): Record<string, unknown> {
  const read = Object.entries(method.params.shape).map(([name, type]) => [name, z.safeParse(type, undefined)] as const);
  return Object.fromEntries(read.flatMap(([name, parsed]) => (parsed.success ? [[name, parsed.data]] : [])));
}

/** What one call has to hold, with the default parameters; `null` for cards without a credit rule. */
export function scopeOf(method: Method): string | null {
  return method.assign === undefined ? null : method.scope(defaults(method));
}

export const yearOf = (method: Method) => method.facts.paper.date.slice(0, 4);

/** The catalogue as a table. */
export function catalogueLines(methods: readonly Method[], total: number, { width, style }: Terminal): string[] {
  // The kind is the first to go where there is little room: titles say more.
  const kinds = width >= 100;
  const rows = methods.map((method): (Cell | string)[] => [
    { text: method.id, set: style.accent },
    method.title,
    method.facts.granularity,
    ...(kinds ? [{ text: method.facts.methodology[0] ?? "", set: style.dim }] : []),
    scopeOf(method) ?? "–",
    { text: yearOf(method), set: style.dim },
  ]);
  const columns = [
    { title: "id" },
    { title: "title", shrinkTo: 16 },
    { title: "level" },
    ...(kinds ? [{ title: "kind" }] : []),
    { title: "scope" },
    { title: "year" },
  ];
  const count = methods.length === total ? plural(total, "method") : `${methods.length} of ${plural(total, "method")}`;
  const help =
    "level: the smallest unit with credit of its own · scope: what one call has to hold (rollout, group, batch = all)";
  return [
    ...tableLines(columns, rows, { width, style }),
    "",
    ...wrap(`${count} · ${help} · apportion methods ID explains one`, width - 1).map((line) => style.dim(` ${line}`)),
  ];
}

/** What the defaults of a method ask for and do not find. */
function needs({ missing, refusal }: Feed): string {
  if (missing.length === 0) return refusal ?? "";
  return `needs ${needed(missing)}${refusal === null ? "" : ` (${refusal})`}`;
}

/** What a person should know who runs a method on a file that can feed it. */
function notes({ method, optional, partly }: Feed, feed: FileFeed): string {
  const trees = feed.branches && method.branches !== true;
  return [
    ...(optional.length > 0 ? [`also reads ${optional.join(", ")}`] : []),
    ...(partly.length > 0 ? [`only some rollouts have ${partly.join(", ")}`] : []),
    ...(feed.unscored > 0 && method.unscored !== true && needsReward(method) ? ["needs --unscored leave-out"] : []),
    ...(trees ? ["needs --branches paths or trunk"] : []),
  ].join("; ");
}

/** Which methods a file can feed, and what is missing for the others. */
export function feedLines(feed: FileFeed, { width, style }: Terminal): string[] {
  const isDefault = ({ params }: Feed) => params !== null && Object.keys(params).length === 0;
  const runs = feed.feeds.filter(isDefault);
  const others = feed.feeds.filter(({ params }) => params === null);
  const adjusted = feed.feeds.filter((one) => one.params !== null && !isDefault(one));
  const lines = wrap(`${plural(feed.rollouts, "rollout")} with ${feed.columns.join(", ")}`, width - 1);
  const out = lines.map((line) => style.dim(` ${line}`));
  const widest = Math.max(0, ...feed.feeds.map(({ method }) => method.id.length));
  const columns = [{ title: "" }, { title: "" }, { title: "", wraps: true, shrinkTo: 24 }];
  const list = (title: string, feeds: readonly Feed[], text: (one: Feed) => Cell | string) => {
    const rows = feeds.map((one): (Cell | string)[] => {
      const name = { text: pad(one.method.id, widest), set: style.accent };
      return [name, one.method.facts.granularity, text(one)];
    });
    out.push("", ` ${style.bold(title)}`, ...tableLines(columns, rows, { width, style }));
  };
  list(`${plural(runs.length, "method")} can run`, runs, (one) => ({ text: notes(one, feed), set: style.dim }));
  if (adjusted.length > 0) {
    list(`${plural(adjusted.length, "method")} can run with another setting`, adjusted, (one) => {
      const [[name, value]] = Object.entries(one.params ?? {});
      return `--param ${name}=${value}; the default ${one.missing.length > 0 ? "" : "is refused: "}${needs(one)}`;
    });
  }
  if (others.length > 0) list(`${plural(others.length, "method")} cannot yet`, others, needs);
  return out;
}

function needsReward(method: Method): boolean {
  return method.reads.some((read) => read === "rollout.reward" || read === "reward_column");
}

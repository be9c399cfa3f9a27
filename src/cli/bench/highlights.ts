import type { BenchSummary, EntrySummary } from "../../lab/benchmark/summary.ts";
import { fixed, needs } from "./render.ts";

const isMethod = ({ title }: EntrySummary) => title !== "yardstick";

const listed = (names: readonly string[]) =>
  names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} and ${names[names.length - 1]}`;

/** Methods that need the fewest episodes, by what they take. */
function fastest(entries: readonly EntrySummary[]): string[] {
  const kinds = new Map<string, EntrySummary>();
  for (const entry of entries) {
    if (!isMethod(entry) || entry.partial !== null || entry.episodes === null) continue;
    const kind = needs(entry);
    if (kind.includes(",")) continue;
    const best = kinds.get(kind);
    if (best?.episodes === undefined || best.episodes === null || entry.episodes.mean < best.episodes.mean) {
      kinds.set(kind, entry);
    }
  }
  const said = ([kind, { label, episodes }]: [string, EntrySummary]) =>
    `${label} (${fixed(episodes, 0)}) ${kind === "" ? "of those that take nothing beyond rewards" : `with ${kind}`}`;
  const parts = [...kinds].toSorted(([a], [b]) => a.length - b.length).map(said);
  const truth = entries.find(({ label }) => label === "true advantage");
  const aside = truth?.episodes == null ? "" : ` The true advantage itself needs ${fixed(truth.episodes, 0)}.`;
  return parts.length === 0 ? [] : [`Fewest episodes: ${listed(parts)}.${aside}`];
}

/** Methods whose credit follows what the agent did best, and those that follow chance at least as much. */
function skilled(entries: readonly EntrySummary[]): string[] {
  const skill = ({ overall }: EntrySummary) => overall.pearson?.mean ?? 0;
  const known = entries.filter((entry) => isMethod(entry) && entry.overall.pearson !== null);
  if (known.length < 4) return [];
  const top = known.toSorted((a, b) => skill(b) - skill(a)).slice(0, 3);
  const lucky = known.filter((entry) => (entry.overall.luck?.mean ?? 0) >= skill(entry));
  return [
    `Credit follows skill best with ${listed(top.map((entry) => `${entry.label} (${fixed(entry.overall.pearson)})`))}; ` +
      `${lucky.length} of ${known.length} rows follow the luck of a turn at least as much as its skill.`,
  ];
}

/** Methods whose gradient keeps its direction when episodes are equally long, and loses it when the policy decides that. */
function stopping(entries: readonly EntrySummary[]): string[] {
  const leaning = entries.filter(({ tasks }) => {
    const [even, own] = ["search-fixed", "search-stop"].map((id) => tasks.find(({ task }) => task === id)?.bias);
    return (even === "none" || even === "scale") && own === "biased";
  });
  if (leaning.length === 0) return [];
  return [
    `The gradient leans only because the policy decides when to stop: ${listed(leaning.map(({ label }) => label))}.`,
  ];
}

/** Rows that learn more slowly than with the bare outcome. */
function slower(entries: readonly EntrySummary[]): string[] {
  const bare = entries.find(({ label }) => label === "bare reward");
  if (bare?.episodes == null) return [];
  const { mean, margin } = bare.episodes;
  const behind = entries.filter(
    (entry) =>
      isMethod(entry) && entry.episodes !== null && entry.episodes.mean - entry.episodes.margin > mean + margin,
  );
  if (behind.length === 0) return [];
  return [
    `Clearly slower than the bare reward (${fixed(bare.episodes, 0)}), at the default parameters: ` +
      `${listed(behind.map(({ label }) => label))}.`,
  ];
}

/** What a run shows, in a few sentences. */
export function highlights({ entries }: BenchSummary): string[] {
  return [...fastest(entries), ...skilled(entries), ...slower(entries), ...stopping(entries)];
}

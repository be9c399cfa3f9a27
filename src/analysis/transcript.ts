import type { Batch } from "../rollouts/index.ts";
import { type CreditLevel, canPlace, rowsAbove } from "./levels.ts";

/** A tool call as it is shown. */
export interface ShownCall {
  name: string;
  arguments: unknown;
}

/** Something that was said and belongs to no row of credit: the prompt, a message of the user. */
export interface Said {
  role: string;
  text: string;
  calls: readonly ShownCall[];
}

/** One row of credit with what was said and seen in it. */
export interface TranscriptRow {
  /** Row within the rollout. */
  row: number;
  agent: string | null;
  /** What the policy wrote; `null` when the file does not hold it. */
  text: string | null;
  calls: readonly ShownCall[];
  /** What came back. */
  observation: string | null;
  /** What the policy knew, `turns.state`. */
  state: string | null;
  /** In a tree of turns: the turn that it follows, where that is not the one above; -1 for a root. */
  after: number | null;
  /** Token rows of the batch, [from, to); `null` without tokens. */
  tokens: readonly [number, number] | null;
}

const silent: TranscriptRow = {
  row: 0,
  agent: null,
  text: null,
  calls: [],
  observation: null,
  state: null,
  after: null,
  tokens: null,
};

export interface Transcript {
  id: string;
  group: string | null;
  reward: number | null;
  /** Level of `rows`; `message` when nothing in the file has rows but messages were recorded. */
  unit: CreditLevel | "message";
  before: readonly Said[];
  rows: readonly TranscriptRow[];
}

function isObject(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}

/** Text of a message: a string, or the text parts of a list. */
function contentText(content: unknown): string {
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) return "";
  const parts = content.map((part) => (isObject(part) ? part.text : part));
  return parts.filter((part) => typeof part === "string").join("\n");
}

/** Arguments of a call: JSON text is read, anything else is kept. */
function callArguments(given: unknown): unknown {
  if (typeof given !== "string") return given;
  try {
    return JSON.parse(given);
  } catch {
    return given;
  }
}

/** Tool calls in either of the two shapes in use: `{name, arguments}` and `{function: {name, arguments}}`. */
export function shownCalls(cell: unknown): ShownCall[] {
  if (!Array.isArray(cell)) return [];
  return cell.filter(isObject).map((call) => {
    const inner = isObject(call.function) ? call.function : call;
    return { name: String(inner.name ?? "tool"), arguments: callArguments(inner.arguments) };
  });
}

function saidOf(message: unknown): Said {
  if (!isObject(message)) return { role: "message", text: String(message), calls: [] };
  const name = typeof message.name === "string" && message.name !== "" ? message.name : null;
  const role = name ?? (typeof message.role === "string" ? message.role : "message");
  return { role, text: contentText(message.content), calls: shownCalls(message.tool_calls) };
}

const isPolicy = (message: unknown) => isObject(message) && message.role === "assistant";

function messagesOf(batch: Batch, rollout: number): readonly unknown[] {
  if (!batch.hasIn("messages", rollout)) return [];
  const cell = batch.cells("messages")[rollout];
  return Array.isArray(cell) ? cell : [];
}

const textOrNull = (cell: unknown) => (cell === null || cell === undefined ? null : String(cell));

/** Reads one cell of a column, `undefined` where the rollout lacks it. */
function reader(batch: Batch, rollout: number, path: string): (row: number) => unknown {
  if (!batch.hasIn(path, rollout)) return () => undefined;
  const column = batch.column(path);
  return (row) => column.values[row];
}

/** Token rows of every turn or step of a rollout. */
function tokenRanges(batch: Batch, rollout: number, unit: "turn" | "step") {
  if (!canPlace(batch, "token", unit)) return () => null;
  const first = batch.offsets("token")[rollout];
  const offsets = batch.offsets(unit);
  const ends = batch.numbers(unit === "turn" ? "turns.end" : "steps.end");
  return (row: number): [number, number] => {
    const at = offsets[rollout] + row;
    return [first + (row === 0 ? 0 : ends[at - 1]), first + ends[at]];
  };
}

/**
 * What each turn said and saw, by the messages: an assistant message opens a turn, what follows until the next is
 * observed.
 */
function turnsOfMessages(messages: readonly unknown[]): { said: Said; observed: string | null }[] {
  const turns: { said: Said; observed: string | null }[] = [];
  for (const message of messages) {
    if (isPolicy(message)) turns.push({ said: saidOf(message), observed: null });
    else if (turns.length > 0) {
      const last = turns[turns.length - 1];
      const { text } = saidOf(message);
      last.observed = last.observed === null ? text : `${last.observed}\n${text}`;
    }
  }
  return turns;
}

function turnRows(batch: Batch, rollout: number, messages: readonly unknown[]): TranscriptRow[] {
  const offsets = batch.offsets("turn");
  const count = offsets[rollout + 1] - offsets[rollout];
  const read = (name: string) => reader(batch, rollout, `turns.${name}`);
  const cells = {
    text: read("text"),
    calls: read("tool_calls"),
    seen: read("observation"),
    agent: read("agent"),
    state: read("state"),
    parent: read("parent"),
  };
  const told = turnsOfMessages(messages);
  const matched = told.length === count ? told : null;
  const ranges = tokenRanges(batch, rollout, "turn");
  return Array.from({ length: count }, (_, row) => {
    const at = offsets[rollout] + row;
    const calls = shownCalls(cells.calls(at));
    const message = matched?.[row];
    const parent = cells.parent(at);
    return {
      row,
      agent: textOrNull(cells.agent(at)),
      text: textOrNull(cells.text(at)) ?? message?.said.text ?? null,
      calls: calls.length > 0 ? calls : (message?.said.calls ?? []),
      observation: textOrNull(cells.seen(at)) ?? message?.observed ?? null,
      state: textOrNull(cells.state(at)),
      after: typeof parent === "number" && parent !== row - 1 ? parent : null,
      tokens: ranges(row),
    };
  });
}

function stepRows(batch: Batch, rollout: number): TranscriptRow[] {
  const offsets = batch.offsets("step");
  const text = reader(batch, rollout, "steps.text");
  const agent = reader(batch, rollout, "steps.agent");
  const turnAgent = reader(batch, rollout, "turns.agent");
  const above = canPlace(batch, "step", "turn") ? rowsAbove(batch, "step", "turn") : null;
  const ranges = tokenRanges(batch, rollout, "step");
  return Array.from({ length: offsets[rollout + 1] - offsets[rollout] }, (_, row) => {
    const at = offsets[rollout] + row;
    const own = textOrNull(agent(at));
    const inherited = above !== null && above[at] >= 0 ? textOrNull(turnAgent(above[at])) : null;
    const tokens = ranges(row);
    return { ...silent, row, agent: own ?? inherited, text: textOrNull(text(at)), tokens };
  });
}

function messageRows(messages: readonly unknown[]): TranscriptRow[] {
  return messages.map((message, row) => {
    const { role, text, calls } = saidOf(message);
    return { ...silent, row, agent: role, text, calls };
  });
}

/** The unit in which a rollout is read when nothing else is asked for. */
function usualUnit(batch: Batch, rollout: number, messages: readonly unknown[]): Transcript["unit"] {
  const rows = (level: "turn" | "step" | "token") => {
    const offsets = batch.offsets(level);
    return offsets[rollout + 1] > offsets[rollout];
  };
  if (rows("turn")) return "turn";
  if (rows("step")) return "step";
  if (messages.length > 0) return "message";
  return rows("token") ? "token" : "rollout";
}

/**
 * One rollout as it is read: what was said before, then its turns (or steps) with their text, tool calls and
 * observations. Text comes from `turns.text`, `turns.observation`, `turns.tool_calls`, `steps.text`; where they are
 * missing, from `messages`, as long as these hold one assistant message per turn.
 * @param unit which rows to read by (default: turns, else steps, else messages, else the whole rollout).
 */
export function transcriptOf(batch: Batch, rollout: number, unit?: "turn" | "step"): Transcript {
  const messages = messagesOf(batch, rollout);
  const by = unit ?? usualUnit(batch, rollout, messages);
  const first = messages.findIndex(isPolicy);
  const reward = reader(batch, rollout, "rollout.reward")(rollout);
  const scored = batch.validity("rollout.reward")?.[rollout] !== 0;
  const tokens = batch.offsets("token");
  const whole: TranscriptRow = { ...silent, tokens: [tokens[rollout], tokens[rollout + 1]] };
  const rows = () => {
    if (by === "turn") return turnRows(batch, rollout, messages);
    if (by === "step") return stepRows(batch, rollout);
    return by === "message" ? messageRows(messages) : [whole];
  };
  const read = rows();
  // Without a message of the policy there is no telling where the prompt ends, unless the rows say nothing themselves.
  const prompt = first >= 0 ? first : read.some(({ text }) => text !== null) ? 0 : messages.length;
  return {
    id: batch.ids[rollout],
    group: batch.groupNames[rollout],
    reward: typeof reward === "number" && scored ? reward : null,
    unit: by,
    before: by === "message" ? [] : messages.slice(0, prompt).map(saidOf),
    rows: read,
  };
}

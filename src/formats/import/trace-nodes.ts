import { isObject, type JsonObject, wrongField } from "./fields.ts";
import { chatTurns, readMessages } from "./messages.ts";

/** Rows of a trace that is kept as a graph of messages. */
export interface TraceRows {
  turns: Record<string, unknown[]>;
  tokens?: Record<string, unknown[]>;
  messages: unknown[];
}

interface Node {
  parent: number;
  sampled: boolean;
  message: unknown;
  ids: readonly unknown[];
  raw: JsonObject;
}

function readNode(value: unknown, k: number): Node {
  if (!isObject(value)) throw wrongField(`nodes[${k}]`, "an object with a message", value);
  const parent = value.parent ?? -1;
  if (typeof parent !== "number" || !Number.isInteger(parent) || parent < -1 || parent >= k) {
    throw wrongField(`nodes[${k}].parent`, "the number of an earlier node, or null", parent);
  }
  const ids = value.token_ids ?? [];
  if (!Array.isArray(ids)) throw wrongField(`nodes[${k}].token_ids`, "a list", ids);
  return { parent, sampled: value.sampled === true, message: value.message, ids, raw: value };
}

/**
 * Turns and tokens of a graph of messages. Every sampled node opens a turn; the nodes below it that nobody sampled are
 * its observation; nodes above the first sampled one are the prompt and have no tokens here. A turn whose parent is not
 * the turn above it makes `turns.parent` appear. Log-probabilities come for sampled tokens only and are spread by the mask.
 */
export function traceRows(list: readonly unknown[], agent: string): TraceRows {
  const nodes = list.map(readNode);
  const turnOf = new Int32Array(nodes.length).fill(-1);
  const members: number[][] = [];
  const parent: number[] = [];
  nodes.forEach((node, k) => {
    const above = node.parent < 0 ? -1 : turnOf[node.parent];
    if (node.sampled) {
      turnOf[k] = members.length;
      parent.push(above);
      members.push([k]);
    } else if (above >= 0) {
      turnOf[k] = above;
      members[above].push(k);
    }
  });
  const prompt = nodes.filter((_, k) => turnOf[k] < 0).map((node) => node.message);
  const messages = [...prompt, ...members.flat().map((k) => nodes[k].message)];
  const at: number[] = [];
  let next = prompt.length;
  for (const group of members) {
    at.push(next);
    next += group.length;
  }
  const turns = chatTurns(readMessages(messages, "nodes.message"), agent, at).columns;
  if (parent.some((above, k) => above !== k - 1)) turns.parent = parent;
  const tokens = tokenColumns(nodes, members);
  if (tokens !== undefined) turns.end = tokens.end;
  return { turns, tokens: tokens?.columns, messages };
}

function tokenColumns(
  nodes: readonly Node[],
  members: readonly number[][],
): { columns: Record<string, unknown[]>; end: number[] } | undefined {
  if (members.length === 0 || members.some((group) => group.every((k) => nodes[k].ids.length === 0))) return undefined;
  const id: unknown[] = [];
  const mask: number[] = [];
  const end: number[] = [];
  const compact = { logprob: "logprobs", ref_logprob: "reference_logprobs", recorded_advantage: "advantages" };
  const found: Record<string, unknown[]> = {};
  for (const [column, field] of Object.entries(compact)) {
    const there = members
      .flat()
      .some((k) => Array.isArray(nodes[k].raw[field]) && (nodes[k].raw[field] as []).length > 0);
    if (there) found[column] = [];
  }
  for (const group of members) {
    for (const k of group) {
      const { ids, raw, sampled } = nodes[k];
      const bits = Array.isArray(raw.mask) && raw.mask.length > 0 ? raw.mask : ids.map(() => sampled);
      if (bits.length !== ids.length) {
        throw wrongField(`nodes[${k}].mask`, `${ids.length} values as in token_ids`, `${bits.length} values`);
      }
      for (const value of ids) id.push(value);
      for (const bit of bits) mask.push(bit ? 1 : 0);
      for (const column of Object.keys(found)) spread(found[column], raw, compact[column as "logprob"], bits, k);
    }
    end.push(id.length);
  }
  return { columns: { id, mask, ...found }, end };
}

/** Puts values of the sampled tokens on the positions that were sampled, 0 on the others. */
function spread(out: unknown[], raw: JsonObject, field: string, bits: readonly unknown[], k: number): void {
  const values = Array.isArray(raw[field]) ? raw[field] : [];
  const sampled = bits.filter(Boolean).length;
  if (values.length !== 0 && values.length !== sampled) {
    throw wrongField(`nodes[${k}].${field}`, `${sampled} values, one per sampled token`, `${values.length} values`);
  }
  let next = 0;
  for (const bit of bits) out.push(bit && values.length > 0 ? values[next++] : 0);
}

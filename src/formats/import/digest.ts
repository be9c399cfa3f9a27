import { createHash } from "node:crypto";

/** JSON with the keys of every object in alphabetical order, so that equal values have equal texts. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  if (value !== null && typeof value === "object") {
    const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
    return `{${entries.map(([key, cell]) => `${JSON.stringify(key)}:${canonicalJson(cell)}`).join(",")}}`;
  }
  return JSON.stringify(value) ?? "null";
}

/** First 12 hexadecimal digits of the SHA-256 of a text. */
export function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 12);
}

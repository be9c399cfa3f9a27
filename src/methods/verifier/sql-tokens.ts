/** One token of a query. `quoted` is an identifier in quotes of any kind, its quotes taken off. */
export interface SqlToken {
  kind: "word" | "quoted" | "string" | "number" | "operator";
  text: string;
}

const closingQuote: Readonly<Record<string, string>> = { "'": "'", '"': '"', "`": "`", "[": "]" };
const word = /[\p{L}_][\p{L}\p{N}_]*/uy;
const number = /\d*\.?\d*(?:[eE][+-]?\d+)?/y;
const operator = /\|\||<=|>=|<>|!=|==|<<|>>|[\s\S]/uy;
const space = /\s+|--[^\n]*/y;

function match(pattern: RegExp, sql: string, at: number): string {
  pattern.lastIndex = at;
  return pattern.exec(sql)?.[0] ?? "";
}

/** Text between quotes and where it ends; a doubled closing quote stands for one, but not for `]`. */
function quotedAt(sql: string, at: number, close: string): { text: string; end: number } | null {
  let text = "";
  for (let from = at + 1; ; ) {
    const end = sql.indexOf(close, from);
    if (end < 0) return null;
    text += sql.slice(from, end);
    if (close === "]" || sql[end + 1] !== close) return { text, end: end + 1 };
    text += close;
    from = end + 2;
  }
}

/** Tokens of a query without white space and comments; null when a quote or a comment does not end. */
export function sqlTokens(sql: string): SqlToken[] | null {
  const tokens: SqlToken[] = [];
  for (let at = 0; at < sql.length; ) {
    const gap = match(space, sql, at);
    if (gap !== "") {
      at += gap.length;
      continue;
    }
    if (sql.startsWith("/*", at)) {
      const end = sql.indexOf("*/", at + 2);
      if (end < 0) return null;
      at = end + 2;
      continue;
    }
    const close = closingQuote[sql[at]];
    if (close !== undefined) {
      const quoted = quotedAt(sql, at, close);
      if (quoted === null) return null;
      tokens.push({ kind: close === "'" ? "string" : "quoted", text: quoted.text });
      at = quoted.end;
      continue;
    }
    const name = match(word, sql, at);
    const digits = /^\.?\d/.test(sql.slice(at, at + 2)) ? match(number, sql, at) : "";
    const text = name || digits || match(operator, sql, at);
    tokens.push({ kind: name !== "" ? "word" : digits !== "" ? "number" : "operator", text });
    at += text.length;
  }
  return tokens;
}

import { type SqlToken, sqlTokens } from "./sql-tokens.ts";

/** Names that a query mentions, each list sorted. */
export interface SqlItems {
  tables: string[];
  columns: string[];
  table_aliases: string[];
  column_aliases: string[];
}

const keywords = new Set(
  `select from where group by having order limit offset join inner left right full outer cross natural on using as and or
  not in is null like glob regexp match between exists distinct all union intersect except case when then else end asc desc
  with recursive values collate escape over partition rows range unbounded preceding following current row filter nulls
  first last true false current_date current_time current_timestamp insert update delete create table into set default
  isnull notnull window`.split(/\s+/),
);
const clauseWords = new Set("select where group having order limit on using union intersect except set".split(" "));
const valueWords = new Set("null true false current_date current_time current_timestamp end".split(" "));
const queryWords = new Set(["select", "with", "values"]);

/** A level of parentheses: what it holds and the clause that its scan is in. */
interface Frame {
  kind: "query" | "from" | "expr" | "cast" | "using";
  clause: string;
}

/** The keyword that a token is, in lower case; "" for anything else. */
function keywordOf(token: SqlToken | undefined): string {
  if (token?.kind !== "word") return "";
  const lower = token.text.toLowerCase();
  return keywords.has(lower) ? lower : "";
}

function isIdentifier(token: SqlToken | undefined): boolean {
  return token?.kind === "quoted" || (token?.kind === "word" && keywordOf(token) === "");
}

function isOperator(token: SqlToken | undefined, text: string): boolean {
  return token?.kind === "operator" && token.text === text;
}

/** One scan from left to right; `failed` when parentheses do not close or a query does not begin like one. */
class Scan {
  readonly #tokens: readonly SqlToken[];
  readonly #stack: { frame: Frame; tableNext: boolean }[] = [];
  readonly #names = {
    tables: new Set<string>(),
    columns: new Set<string>(),
    tableAliases: new Set<string>(),
    columnAliases: new Set<string>(),
  };
  #at = 0;
  #frame: Frame = { kind: "query", clause: "" };
  /** Whether a table name may come. */
  #tableNext = false;
  /** What stood before: nothing of note, a value or name, USING, or the function of this name. */
  #before: "none" | "atom" | "using" | { called: string } = "none";

  constructor(tokens: readonly SqlToken[]) {
    this.#tokens = tokens;
  }

  items(): SqlItems | null {
    const first = this.#tokens.find((token) => !isOperator(token, "("));
    if (!queryWords.has(keywordOf(first))) return null;
    while (this.#at < this.#tokens.length) {
      const token = this.#tokens[this.#at];
      if (isOperator(token, "(")) this.#open();
      else if (isOperator(token, ")")) {
        if (!this.#close()) return null;
      } else if (token.kind === "operator") this.#operator(token.text);
      else if (isIdentifier(token)) this.#identifier();
      else if (token.kind === "word") this.#keyword(keywordOf(token));
      else {
        this.#before = "atom";
        this.#at++;
      }
    }
    if (this.#stack.length > 0) return null;
    const { tables, columns, tableAliases, columnAliases } = this.#names;
    return {
      tables: [...tables].sort(),
      columns: [...columns].sort(),
      table_aliases: [...tableAliases].sort(),
      column_aliases: [...columnAliases].sort(),
    };
  }

  #open(): void {
    const next = this.#tokens[this.#at + 1];
    this.#stack.push({ frame: this.#frame, tableNext: this.#tableNext });
    const called = typeof this.#before === "object" ? this.#before.called : "";
    let kind: Frame["kind"] = "expr";
    if (queryWords.has(keywordOf(next))) kind = "query";
    else if (this.#tableNext) kind = "from";
    else if (called === "cast") kind = "cast";
    else if (this.#before === "using") kind = "using";
    this.#frame = { kind, clause: kind === "from" ? "from" : "" };
    this.#tableNext = kind === "from";
    this.#before = "none";
    this.#at++;
  }

  #close(): boolean {
    const opened = this.#stack.pop();
    if (opened === undefined) return false;
    this.#frame = opened.frame;
    this.#at++;
    if (opened.tableNext) this.#alias(null);
    this.#tableNext = false;
    this.#before = "atom";
    return true;
  }

  /** Takes an optional AS and an identifier. */
  #alias(into: Set<string> | null): void {
    if (keywordOf(this.#tokens[this.#at]) === "as") this.#at++;
    if (!isIdentifier(this.#tokens[this.#at])) return;
    into?.add(this.#tokens[this.#at].text);
    this.#at++;
  }

  #operator(text: string): void {
    if (text === ",") {
      const { kind, clause } = this.#frame;
      this.#tableNext = clause === "from" && (kind === "query" || kind === "from");
    }
    this.#before = "none";
    this.#at++;
  }

  #keyword(name: string): void {
    this.#at++;
    this.#before = valueWords.has(name) ? "atom" : name === "using" ? "using" : "none";
    if (name === "from" || name === "join") {
      this.#frame.clause = "from";
      this.#tableNext = true;
    } else if (name === "with") this.#frame.clause = "with";
    else if (clauseWords.has(name)) {
      this.#frame.clause = name;
      this.#tableNext = false;
    } else if (name === "as") this.#named();
  }

  /** After AS outside a table list: the name of a column, or the type of a cast. */
  #named(): void {
    const token = this.#tokens[this.#at];
    if (!isIdentifier(token) && token?.kind !== "string") return;
    if (this.#frame.kind !== "cast") this.#names.columnAliases.add(token.text);
    this.#before = "atom";
    this.#at++;
  }

  /** Parts of a dotted name; any word or `*` may follow a dot. */
  #chain(): SqlToken[] {
    const parts = [this.#tokens[this.#at++]];
    while (isOperator(this.#tokens[this.#at], ".")) {
      const next = this.#tokens[this.#at + 1];
      if (next?.kind !== "word" && next?.kind !== "quoted" && !isOperator(next, "*")) break;
      parts.push(next);
      this.#at += 2;
    }
    return parts;
  }

  #identifier(): void {
    const { kind, clause } = this.#frame;
    const parts = this.#chain();
    const name = parts[parts.length - 1].text;
    if (kind === "using") return;
    if (clause === "with" && kind === "query") this.#skipPastAs();
    else if (this.#tableNext) {
      this.#names.tables.add(name);
      this.#alias(this.#names.tableAliases);
      this.#tableNext = false;
      this.#before = "atom";
    } else if (parts.length === 1 && parts[0].kind === "word" && isOperator(this.#tokens[this.#at], "(")) {
      this.#before = { called: name.toLowerCase() };
    } else {
      const isAlias = this.#before === "atom" && parts.length === 1;
      (isAlias ? this.#names.columnAliases : this.#names.columns).add(name);
      this.#before = "atom";
    }
  }

  /** The rest of a common table expression's head: its columns and AS. */
  #skipPastAs(): void {
    while (this.#at < this.#tokens.length && keywordOf(this.#tokens[this.#at]) !== "as") this.#at++;
    this.#at++;
    this.#before = "none";
  }
}

/**
 * Tables, columns and aliases that a query mentions, by one scan of its tokens without a grammar. Names as written; a bare
 * `*`, function names and names of derived tables are left out; a common table expression used after FROM is a table.
 * @returns null when a quote, comment or parenthesis does not close, or it does not begin with SELECT, WITH or VALUES.
 */
export function itemsOfSql(sql: string): SqlItems | null {
  const tokens = sqlTokens(sql);
  return tokens === null ? null : new Scan(tokens).items();
}

/** What is wrong with a line that is not JSON. */
export interface Fault {
  /** 1-based position of the character. */
  position: number;
  expected: string;
  got: string;
  hint?: string;
}

const space = /[ \t\r\n]*/y;
const number = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what JSON strings must not hold
const string = /"(?:[^"\\\u0000-\u001f]+|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*/y;
const word = /[+-]?[\p{L}_$][\p{L}\p{N}_$]*/uy;

const wordHints: Readonly<Record<string, string>> = {
  nan: "Python's json writes NaN: write null where a value is missing",
  infinity: "Python's json writes Infinity: JSON has only finite numbers",
  none: "this looks like a Python literal: write rollouts with json.dumps",
  true: "JSON writes true in small letters: write rollouts with json.dumps",
  false: "JSON writes false in small letters: write rollouts with json.dumps",
  undefined: "JSON has no undefined: write null or leave the key out",
};

function take(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at;
  return pattern.test(text) ? pattern.lastIndex : at;
}

/**
 * Finds the first fault of a line that JSON.parse refuses; nesting is kept in a list, so that depth is no limit.
 * @returns null when the line is JSON after all.
 */
export function findFault(text: string): Fault | null {
  const open: ("{" | "[")[] = [];
  let at = 0;
  /** `first`: behind an opening bracket, `next`: behind a comma, `end`: behind a value. */
  let state: "value" | "first" | "next" | "end" = "value";
  for (;;) {
    at = take(space, text, at);
    const inside = open.at(-1);
    if (state === "end") {
      if (inside === undefined) return at === text.length ? null : fault(text, at, "the end of the line");
      const close = inside === "{" ? "}" : "]";
      if (text[at] === close) open.pop();
      else if (text[at] === ",") state = "next";
      else return fault(text, at, `a comma or ${close}`);
      at++;
      continue;
    }
    if (state === "first" && text[at] === (inside === "{" ? "}" : "]")) {
      open.pop();
      at++;
      state = "end";
      continue;
    }
    if (inside === "{" && state !== "value") {
      if (text[at] !== '"') return fault(text, at, state === "first" ? 'a key in " or }' : 'a key in "');
      at = take(string, text, at);
      if (text[at] !== '"') return stringFault(text, at);
      at = take(space, text, at + 1);
      if (text[at] !== ":") return fault(text, at, "a colon");
      at++;
      state = "value";
      continue;
    }
    if (text[at] === "{" || text[at] === "[") {
      open.push(text[at] as "{" | "[");
      at++;
      state = "first";
      continue;
    }
    if (text[at] === '"') {
      at = take(string, text, at);
      if (text[at] !== '"') return stringFault(text, at);
      at++;
    } else {
      const from = at;
      at = take(number, text, at);
      if (at === from) at = literalEnd(text, at);
      if (at === from) return fault(text, at, "a value");
    }
    state = "end";
  }
}

function literalEnd(text: string, at: number): number {
  for (const literal of ["null", "true", "false"]) if (text.startsWith(literal, at)) return at + literal.length;
  return at;
}

function stringFault(text: string, at: number): Fault {
  if (at >= text.length) return fault(text, at, 'a closing "');
  if (text[at] === "\\")
    return fault(text, at, "an escape such as \\n or \\u0041 in a string", "write \\\\ for a backslash");
  return fault(text, at, "no control characters in a string", "write them as escapes, for example \\n or \\u0000");
}

function fault(text: string, at: number, expected: string, hint?: string): Fault {
  const position = at + 1;
  if (at >= text.length) {
    const whole = "one rollout is one line; was the file cut off, or is it one JSON document over several lines?";
    return { position, expected, got: "the end of the line", hint: hint ?? whole };
  }
  const found = take(word, text, at);
  const got = JSON.stringify(
    found > at ? text.slice(at, Math.min(found, at + 20)) : String.fromCodePoint(text.codePointAt(at) as number),
  );
  const name = text.slice(at, found).toLowerCase().replace(/^[+-]/, "");
  const known = wordHints[name] ?? (text[at] === "'" ? "JSON strings stand in double quotes" : undefined);
  return { position, expected, got, hint: hint ?? known ?? "mend the line, or leave it out with --on-error skip" };
}

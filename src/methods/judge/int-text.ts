/** A correction that a model proposed for its own failed attempt: the step to put in, and the 1-based step it replaces. */
export interface Intervention {
  content: string;
  location: number;
}

const opening = "<intervention>";
const closing = "</intervention>";

/** Text inside the last block that is closed; null without one. */
function lastBlock(text: string): string | null {
  for (let open = text.lastIndexOf(opening); open >= 0; open = open === 0 ? -1 : text.lastIndexOf(opening, open - 1)) {
    const close = text.indexOf(closing, open);
    if (close >= 0) return text.slice(open + opening.length, close);
  }
  return null;
}

/** Undoes the escapes \n, \", \' and \\; any other backslash stays, so that LaTeX survives. */
function unescaped(text: string): string {
  return text.replace(/\\([n"'\\])/g, (_, c: string) => (c === "n" ? "\n" : c));
}

/**
 * The last intervention block of a reply, read leniently: content reaches from the quote after its key to the last such
 * quote before the key `location`, whatever quotes stand between; location is the first whole number after its key.
 */
export function interventionIn(text: string): Intervention | null {
  const block = lastBlock(text);
  if (block === null) return null;
  const key = /["']?content["']?\s*:\s*(["'])/.exec(block);
  const places = [...block.matchAll(/["']?location["']?\s*:/g)];
  const place = places.at(-1);
  if (key === null || place === undefined) return null;
  const from = key.index + key[0].length;
  const to = block.lastIndexOf(key[1], place.index - 1);
  const number = /(?:(?<!\w)-)?\d+/.exec(block.slice(place.index + place[0].length));
  if (to < from || number === null) return null;
  return { content: unescaped(block.slice(from, to)), location: Number(number[0]) };
}

/** Steps of an attempt: what stands between blank lines. */
export function stepsOf(attempt: string): string[] {
  return attempt.split("\n\n");
}

/** Training text: the steps before the location and the content, whose single line breaks become blank lines. */
export function targetOf(attempt: string, { content, location }: Intervention): string {
  return [...stepsOf(attempt).slice(0, location - 1), content.replaceAll("\n", "\n\n")].join("\n\n");
}

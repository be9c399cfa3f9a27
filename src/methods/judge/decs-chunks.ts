export interface ChunkSpec {
  ids: readonly number[];
  /** Tokens that open a new segment. */
  split: ReadonlySet<number>;
  newline: ReadonlySet<number>;
  thinkEnd: number;
  /** Where the end of thinking is looked for: in the last segment (as released), or in the whole response first. */
  cut: "last_segment" | "first";
}

/** Whether a line break follows other tokens, and other tokens follow a line break. */
function isMultiLine(ids: readonly number[], from: number, to: number, newline: ReadonlySet<number>): boolean {
  let firstText = -1;
  let lastText = -1;
  let firstBreak = -1;
  let lastBreak = -1;
  for (let t = from; t < to; t++) {
    if (newline.has(ids[t])) {
      if (firstBreak < 0) firstBreak = t;
      lastBreak = t;
    } else {
      if (firstText < 0) firstText = t;
      lastText = t;
    }
  }
  return firstText >= 0 && firstBreak >= 0 && lastBreak > firstText && firstBreak < lastText;
}

/**
 * Cuts a chain of thought into chunks: a segment starts at every split token, the last one ends where thinking ends, and a
 * segment that is not several lines long joins the next one. Linear in tokens.
 * @returns exclusive ends.
 */
export function chunkEnds({ ids: all, split, newline, thinkEnd, cut }: ChunkSpec): number[] {
  const stop = cut === "first" ? all.indexOf(thinkEnd) : -1;
  const ids = stop < 0 ? all : all.slice(0, stop);
  const starts = ids.flatMap((id, t) => (t > 0 && split.has(id) ? [t] : []));
  const lastStart = starts.at(-1) ?? 0;
  const thought = ids.indexOf(thinkEnd, lastStart);
  const length = thought < 0 ? ids.length : thought;
  const ends: number[] = [];
  let from = 0;
  for (const end of starts) {
    if (!isMultiLine(ids, from, end, newline)) continue;
    ends.push(end);
    from = end;
  }
  if (length > from) ends.push(length);
  return ends;
}

/** Letters of the two responses of a pair. */
export type Letter = "A" | "B";

const answerTag = /<answer>\s*([AB])\s*<\/answer>/gi;
const rubricTag = /<rubric>\s*(helpful|misleading)\s*<\/rubric>/gi;
const anyTag = /<\/?(?:analyze|answer|rubric)>/i;
const answerEnd = "\\s*<answer>\\s*[AB]\\s*</answer>\\s*$";
const rubricFree = new RegExp(`^${answerEnd}`, "i");
const rubricTask = new RegExp(`^\\s*<rubric>\\s*(?:helpful|misleading)\\s*</rubric>${answerEnd}`, "i");

/** The letter in the last answer tag, or the whole text where it is nothing but a letter; null when there is none. */
export function answerOf(text: string): Letter | null {
  const last = [...text.matchAll(answerTag)].at(-1)?.[1] ?? text.trim();
  const letter = last.toUpperCase();
  return letter === "A" || letter === "B" ? letter : null;
}

/** What the last rubric tag says about the rubric; null when there is none. */
export function rubricLabelOf(text: string): "helpful" | "misleading" | null {
  const last = [...text.matchAll(rubricTag)].at(-1)?.[1].toLowerCase();
  return last === "helpful" || last === "misleading" ? last : null;
}

/**
 * Whether the whole text is an analysis (not blank, without tags inside) followed by the answer, and in a rubric task by
 * the label and the answer; white space may stand between the tags.
 */
export function isWellFormed(text: string, isRubricTask: boolean): boolean {
  const opening = /^\s*<analyze>/i.exec(text);
  if (opening === null) return false;
  const rest = text.slice(opening[0].length);
  const close = rest.search(/<\/analyze>/i);
  if (close < 0) return false;
  const body = rest.slice(0, close);
  const tail = rest.slice(close + "</analyze>".length);
  if (body.trim() === "" || anyTag.test(body)) return false;
  return (isRubricTask ? rubricTask : rubricFree).test(tail);
}

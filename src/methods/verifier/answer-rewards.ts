import { lastBetween } from "../../operators/text.ts";
import { cosine } from "../../operators/vectors.ts";

const openThink = "<think>";
const closeAnswer = "</answer>";
const between = /<\/think>\s*<answer>/g;

/** Whether the whole text is `<think>…</think><answer>…</answer>`, white space around and between allowed. */
export function isThinkAnswer(text: string): boolean {
  const whole = text.trim();
  if (!whole.startsWith(openThink) || !whole.endsWith(closeAnswer)) return false;
  // The first place where thinking may end leaves most room for the rest.
  between.lastIndex = openThink.length;
  const middle = between.exec(whole);
  return middle !== null && middle.index + middle[0].length <= whole.length - closeAnswer.length;
}

/** Content of the last answer tag, without tags the whole text; trimmed. */
export function answerText(text: string): string {
  return (lastBetween(text, "<answer>", closeAnswer) ?? text).trim();
}

/** The answer in lower case, white space runs as one blank, full stops at the end taken off. */
export function normalAnswer(text: string): string {
  const flat = answerText(text).toLowerCase().replace(/\s+/g, " ");
  let end = flat.length;
  while (flat[end - 1] === ".") end--;
  return flat.slice(0, end).trim();
}

const option = /^\(?([a-z])\)?$/;
const leadingOption = /^\(?([a-z])\)?(?=[\s.:,)]|$)/;

/** Whether an answer chooses the reference: by option letter where the reference is one, else as the same text. */
export function matches(prediction: string, reference: string): boolean {
  const given = normalAnswer(prediction);
  const wanted = normalAnswer(reference);
  const letter = option.exec(wanted)?.[1];
  if (letter !== undefined) return leadingOption.exec(given)?.[1] === letter;
  return given !== "" && given === wanted;
}

/** The number that an answer is, thousands separators, dollar signs and per cent understood; null when it is none. */
function numberOf(text: string): number | null {
  const bare = normalAnswer(text).replace(/[,$]/g, "").trim();
  const percent = bare.endsWith("%");
  const digits = percent ? bare.slice(0, -1).trim() : bare;
  if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/.test(digits)) return null;
  const value = Number(digits) / (percent ? 100 : 1);
  return Number.isFinite(value) ? value : null;
}

const slack = 1e-12;

/** Whether an answer is the reference number within a relative tolerance; a reference that is no number must be equal as text. */
export function isNearNumber(prediction: string, reference: string, tolerance: number): boolean {
  const wanted = numberOf(reference);
  if (wanted === null) {
    const text = normalAnswer(reference);
    return text !== "" && normalAnswer(prediction) === text;
  }
  const given = numberOf(prediction);
  if (given === null) return false;
  return wanted === 0 ? given === 0 : Math.abs(given - wanted) / Math.abs(wanted) <= tolerance + slack;
}

function isBox(value: unknown): value is [number, number, number, number] {
  return Array.isArray(value) && value.length === 4 && value.every((x) => Number.isFinite(x));
}

const side = (from: number, to: number) => Math.max(0, to - from);

/** Intersection over union of two boxes [x1, y1, x2, y2]; 0 for anything that is no box, and where the union is empty. */
export function intersectionOverUnion(prediction: unknown, reference: unknown): number {
  if (!isBox(prediction) || !isBox(reference)) return 0;
  // The ratio does not depend on the unit: halves of the largest coordinate keep areas within range.
  const most = Math.max(...prediction.map(Math.abs), ...reference.map(Math.abs));
  const unit = most > 1e100 || most < 1e-100 ? 2 ** Math.floor(Math.log2(most || 1)) : 1;
  const [a, b] = [prediction.map((x) => x / unit), reference.map((x) => x / unit)];
  const area = (box: readonly number[]) => side(box[0], box[2]) * side(box[1], box[3]);
  const width = side(Math.max(a[0], b[0]), Math.min(a[2], b[2]));
  const height = side(Math.max(a[1], b[1]), Math.min(a[3], b[3]));
  const union = area(a) + area(b) - width * height;
  return union === 0 ? 0 : (width * height) / union;
}

/** Which averages of the best matches count. */
export type MatchDirection = "both" | "precision" | "recall";

/**
 * Bidirectional maximum average similarity of two lists of embeddings: the mean over one list of the best cosine in the
 * other (precision: over the prediction; recall: over the reference), and their mean. 0 when a list is empty.
 */
export function averageBestMatch(
  prediction: readonly (readonly number[])[],
  reference: readonly (readonly number[])[],
  direction: MatchDirection,
): number {
  if (prediction.length === 0 || reference.length === 0) return 0;
  const bestOfReference = new Float64Array(reference.length).fill(-1);
  let precision = 0;
  for (const p of prediction) {
    let best = -1;
    reference.forEach((r, j) => {
      const similarity = cosine(p, r);
      best = Math.max(best, similarity);
      bestOfReference[j] = Math.max(bestOfReference[j], similarity);
    });
    precision += best / prediction.length;
  }
  if (direction === "precision") return precision;
  const recall = bestOfReference.reduce((a, b) => a + b, 0) / reference.length;
  return direction === "recall" ? recall : (precision + recall) / 2;
}

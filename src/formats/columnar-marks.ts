import { type Batch, type Column, InputError, type JaggedLevel, jaggedKeys } from "../rollouts/index.ts";

/**
 * What null alone cannot say about one rollout; JSON in the column `apportion.marks`, null where there is nothing to say.
 */
export interface Marks {
  /** Columns of the rollout that are there and null. */
  null?: string[];
  /** Levels that the rollout has although no list says so, and how many rows. */
  rows?: Partial<Record<string, number>>;
}

function isNull(column: Column, row: number): boolean {
  if (column.kind === "number") return column.valid !== null && column.valid[row] === 0;
  return column.kind === "string" && column.values[row] === null;
}

/** Marks of each rollout of a batch, as text; null where a rollout needs none. */
export function marksOf(batch: Batch): (string | null)[] {
  const marks: (Marks | null)[] = new Array(batch.size).fill(null);
  const at = (i: number): Marks => {
    marks[i] ??= {};
    return marks[i];
  };
  for (const [path, column] of batch.parts.columns) {
    const { present } = column;
    if (column.level !== "rollout" || (column.kind === "number" && column.valid === null)) continue;
    for (let i = 0; i < batch.size; i++) {
      if ((present !== null && present[i] === 0) || !isNull(column, i)) continue;
      const mark = at(i);
      mark.null = [...(mark.null ?? []), path];
    }
  }
  for (const [key, level] of Object.entries(jaggedKeys)) markLevel(batch, key, level, at);
  return marks.map((mark) => mark && JSON.stringify(mark));
}

function markLevel(batch: Batch, key: string, level: JaggedLevel, at: (i: number) => Marks): void {
  if (!batch.hasLevel(level, "any")) return;
  const columns = [...batch.parts.columns.values()].filter((column) => column.level === level);
  if (columns.some((column) => column.present === null)) return;
  const { offsets, present } = batch.rows(level);
  for (let i = 0; i < batch.size; i++) {
    if (present !== null && present[i] === 0) continue;
    if (columns.some((column) => column.present?.[i] === 1)) continue;
    const mark = at(i);
    mark.rows = { ...mark.rows, [key]: offsets[i + 1] - offsets[i] };
  }
}

function isStrings(value: unknown): boolean {
  return value === undefined || (Array.isArray(value) && value.every((name) => typeof name === "string"));
}

function isCounts(value: unknown): boolean {
  if (value === undefined) return true;
  if (value === null || typeof value !== "object") return false;
  return Object.values(value).every((n) => typeof n === "number" && Number.isInteger(n) && n >= 0 && n < 2 ** 31);
}

/**
 * Reads the marks of one rollout.
 * @throws InputError when the text is not what `marksOf` writes.
 */
export function parseMarks(text: string): Marks {
  let marks: unknown;
  try {
    marks = JSON.parse(text);
  } catch {
    marks = null;
  }
  const { null: nulls, rows } = (marks ?? { null: 0 }) as Record<string, unknown>;
  if (isStrings(nulls) && isCounts(rows)) return marks as Marks;
  throw new InputError("wrong marks", { expected: "what Apportion wrote there", hint: "leave this column as it was" });
}

import { type Batch, levelOf, type NumbersOptions, type NumericArray } from "../rollouts/index.ts";

/**
 * Numbers of a column as `Batch.numbers` gives them, except that a rollout without rows of the level needs no column:
 * an empty response has nothing to score.
 */
export function rowNumbers(batch: Batch, path: string, options: NumbersOptions = {}): NumericArray {
  if (options.absent !== undefined) return batch.numbers(path, options);
  const offsets = batch.offsets(levelOf(path));
  for (let i = 0; i < batch.size; i++) {
    if (offsets[i + 1] > offsets[i] && !batch.hasIn(path, i)) throw batch.missing(path, i);
  }
  return batch.numbers(path, { ...options, absent: 0 });
}

/**
 * Numbers of a column that all have to lie in a range, read as `rowNumbers` does; what is filled in for null and for
 * absence is not looked at.
 * @throws InputError naming the first row outside.
 */
export function numbersWithin(
  batch: Batch,
  path: string,
  [low, high]: readonly [number, number],
  options: NumbersOptions = {},
): NumericArray {
  return refuse(batch, path, options, (x) => x < low || x > high, `a number from ${low} to ${high}`);
}

/** Numbers of a column that are 0 or 1; see `numbersWithin`. */
export function bits(batch: Batch, path: string, options: NumbersOptions = {}): NumericArray {
  return refuse(batch, path, options, (x) => x !== 0 && x !== 1, "0 or 1");
}

/** Numbers of a column that are whole; see `numbersWithin`. */
export function wholeNumbers(batch: Batch, path: string, options: NumbersOptions = {}): NumericArray {
  return refuse(batch, path, options, (x) => !Number.isInteger(x), "a whole number");
}

function refuse(
  batch: Batch,
  path: string,
  options: NumbersOptions,
  wrong: (x: number) => boolean,
  expected: string,
): NumericArray {
  const values = rowNumbers(batch, path, options);
  if (!batch.has(path)) return values;
  const valid = batch.validity(path);
  for (let row = 0; row < values.length; row++) {
    if (wrong(values[row]) && (valid === null || valid[row] === 1))
      throw batch.wrongValue(path, row, expected, `${values[row]}`);
  }
  return values;
}

import { InputError } from "../rollouts/errors.ts";

const units: Readonly<Record<string, number>> = {
  "": 1,
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  k: 2 ** 10,
  m: 2 ** 20,
  g: 2 ** 30,
};

/** Bytes of a size such as `512MB`, `1.5GiB` or `2g`. */
export function parseSize(option: string, text: string): number {
  const match = /^\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*$/i.exec(text);
  const unit = match === null ? undefined : units[match[2].toLowerCase()];
  const bytes = match === null || unit === undefined ? 0 : Math.floor(Number(match[1]) * unit);
  if (bytes > 0) return bytes;
  throw new InputError(`${option} is not a size`, {
    expected: "a number with a unit, such as 512MB or 2GB",
    got: text,
  });
}

/** Bytes in the unit a person would choose: 1.5 GB. */
export function formatSize(bytes: number): string {
  const [unit, name] = bytes >= 1e9 ? [1e9, "GB"] : bytes >= 1e6 ? [1e6, "MB"] : [1e3, "kB"];
  const value = bytes / unit;
  return `${value.toFixed(value < 10 ? 1 : 0)} ${name}`;
}

/** A whole number of an option, within a range. */
export function parseWhole(option: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (text.trim() !== "" && Number.isInteger(value) && value >= least && value <= most) return value;
  throw new InputError(`${option} is not valid`, { expected: `a whole number from ${least} to ${most}`, got: text });
}

/** For options that may be given more than once: collects their values in order. */
export function collect(value: string, before: readonly string[] | undefined): string[] {
  return [...(before ?? []), value];
}

/** For options that take a list: `a,b` and repeated options alike. */
export function collectList(value: string, before: readonly string[] | undefined): string[] {
  const names = value
    .split(",")
    .map((name) => name.trim())
    .filter((name) => name !== "");
  return [...(before ?? []), ...names];
}

/** One of a few words. */
export function parseChoice<T extends string>(option: string, text: string, choices: readonly T[]): T {
  const found = choices.find((choice) => choice === text);
  if (found !== undefined) return found;
  throw new InputError(`${option} is not valid`, { expected: `one of ${choices.join(", ")}`, got: text });
}

/** A count with separators: 1,234,567. */
export function formatCount(count: number): string {
  return count.toLocaleString("en-US");
}

/** "1 rollout", "2 rollouts". */
export function plural(count: number, noun: string): string {
  return `${formatCount(count)} ${noun}${count === 1 ? "" : "s"}`;
}

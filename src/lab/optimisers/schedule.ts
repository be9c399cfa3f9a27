import { InputError } from "../../rollouts/index.ts";

/** Learning rate of update `step`, counted from 0. */
export type Schedule = (step: number) => number;

export interface ScheduleOptions {
  /** How the rate falls after the warm-up: not at all, in a straight line, or along half a cosine. Default constant. */
  kind?: "constant" | "linear" | "cosine";
  /** The highest rate. */
  rate: number;
  /** Updates over which the rate rises in a straight line: rate · (step + 1) / warmup. Default 0. */
  warmup?: number;
  /**
   * Updates in all; needed unless constant. Update `total − 1` is the last with a rate above the end, later ones stay
   * there.
   */
  total?: number;
  /** Share of the rate that is left at the end. Default 0. */
  end?: number;
}

/**
 * Learning rate over updates. With u = (step − warmup) / (total − warmup), cut to [0, 1]: linear 1 − u, cosine
 * (1 + cos πu) / 2; the rate is end + (1 − end) of that, times `rate`.
 * @throws InputError when an option is out of range or `total` is missing.
 */
export function schedule({ kind = "constant", rate, warmup = 0, total, end = 0 }: ScheduleOptions): Schedule {
  require(Number.isFinite(rate) && rate >= 0, "rate", "a number from 0", rate);
  require(Number.isInteger(warmup) && warmup >= 0, "warmup", "a whole number from 0", warmup);
  require(end >= 0 && end <= 1, "end", "a number from 0 to 1", end);
  if (kind !== "constant") {
    require(total !== undefined && Number.isInteger(total) && total > warmup, "total", `more than ${warmup}`, total);
  }
  const falling = (total ?? 0) - warmup;
  return (step) => {
    if (step < warmup) return (rate * (step + 1)) / warmup;
    if (kind === "constant") return rate;
    const u = Math.min(1, (step - warmup) / falling);
    const share = kind === "linear" ? 1 - u : (1 + Math.cos(Math.PI * u)) / 2;
    return rate * (end + (1 - end) * share);
  };
}

function require(isRight: boolean, column: string, expected: string, got: number | undefined): void {
  if (!isRight)
    throw new InputError("a setting of the learning rate is out of range", { column, expected, got: `${got}` });
}

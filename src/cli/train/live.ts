import { byArm, curveOf, type MetricsRow } from "../../lab/training/summary.ts";
import type { Style } from "../render/style.ts";
import { terminal } from "../render/terminal.ts";
import { chartLines } from "./chart.ts";

/** Shortest time between two pictures, in milliseconds. */
const patience = 250;
const chartHeight = 12;

/** What a chart of a run shows. */
export interface RunView {
  rows: readonly MetricsRow[];
  /** Updates of the whole run. */
  updates: number;
  /** Expected true reward of the best policy, where it is known. */
  best: number | null;
}

/** Curves of the true reward over updates, one per method. */
export function rewardChart(view: RunView, { width, style }: { width: number; style: Style }): string[] {
  const columns = Math.min(width - 4, 100);
  const curves = [...byArm(view.rows)].map(([name, seeds]) => ({
    name,
    curve: curveOf(seeds, "true_reward", Math.max(10, Math.floor(columns / 2))),
  }));
  const values = curves.flatMap(({ curve }) => curve.y);
  const least = Math.min(0, ...values);
  const greatest = Math.max(1, view.best ?? 1, ...values);
  const mark = view.best === null ? {} : { mark: view.best };
  const title = `true reward over updates${view.best === null ? "" : ", the dots are the best policy"}`;
  return chartLines(curves, {
    title,
    width: columns,
    height: chartHeight,
    style,
    x: [0, view.updates],
    y: [least, greatest],
    ...mark,
  });
}

/** A clock: 0:07, 12:30. */
function clock(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

export interface Live {
  /** Shows how far a run is. */
  show(view: RunView, done: number, total: number): void;
  /** Takes the picture away; may be called more than once. */
  stop(): void;
}

const nothing: Live = { show() {}, stop() {} };

/** A chart on standard error that is drawn over and over in the same place; only on a terminal. */
export function startLive(
  options: { color?: boolean; width?: string },
  stream: NodeJS.WriteStream = process.stderr,
): Live {
  if (!stream.isTTY) return nothing;
  const begun = Date.now();
  let first: number | null = null;
  let height = 0;
  let latest = 0;
  const clear = () => {
    if (height > 0) stream.write(`\x1b[${height}A\x1b[J`);
    height = 0;
  };
  const stop = () => {
    clear();
    stream.write("\x1b[?25h");
    process.off("exit", stop);
  };
  stream.write("\x1b[?25l");
  process.once("exit", stop); // the cursor must come back
  return {
    show(view, done, total) {
      first ??= done;
      const now = Date.now();
      if (now - latest < patience) return;
      latest = now;
      const { width, style } = terminal(options, stream);
      const spent = (now - begun) / 1000;
      const speed = (done - first) / Math.max(spent, 1e-3);
      const left = speed > 0 ? `, ${clock((total - done) / speed)} left` : "";
      const share = Math.floor((100 * done) / total);
      const text = ` ${share}% of ${total} updates, ${clock(spent)} gone${left}; Ctrl-C stops with a checkpoint`;
      const lines = ["", ...rewardChart(view, { width, style }), "", style.dim(text.slice(0, width - 1))];
      clear();
      stream.write(`${lines.join("\n")}\n`);
      height = lines.length;
    },
    stop,
  };
}

import { WriteStream } from "node:tty";
import { parseWhole } from "../options.ts";
import { type ColorDepth, createStyle, type Style, type Theme } from "./style.ts";

/** Where output goes: how wide it is and how it is coloured. */
export interface Terminal {
  width: number;
  style: Style;
}

export interface TerminalOptions {
  /** False for `--no-color`. */
  color?: boolean;
  /** The text of `--width`. */
  width?: string;
}

const narrowest = 40;
const widest = 160;
const widthOfPipe = 100;

/**
 * Colours of a stream: none when it is not a terminal, unless FORCE_COLOR asks for them; NO_COLOR and TERM=dumb forbid
 * them, COLORTERM and TERM say how many.
 */
export function colorDepth(isTerminal: boolean, env: NodeJS.ProcessEnv): ColorDepth {
  const forced = env.FORCE_COLOR !== undefined && env.FORCE_COLOR !== "0" && env.FORCE_COLOR !== "false";
  if (!forced && (!isTerminal || (env.NO_COLOR !== undefined && env.NO_COLOR !== ""))) return 0;
  const asked = forced && ["1", "2", "3"].includes(env.FORCE_COLOR ?? "");
  const depth = asked ? ({ "1": 4, "2": 8, "3": 24 } as const)[env.FORCE_COLOR as "1"] : depthByTerm(env);
  return depth === 0 && forced ? 4 : depth;
}

function depthByTerm(env: NodeJS.ProcessEnv): ColorDepth {
  const { FORCE_COLOR, NO_COLOR, ...rest } = env;
  const depth = WriteStream.prototype.getColorDepth(rest);
  if (depth >= 24) return 24;
  if (depth >= 8) return 8;
  return depth >= 4 ? 4 : 0;
}

/** Light when the terminal says that its background is (COLORFGBG), else dark. */
export function themeOf(env: NodeJS.ProcessEnv): Theme {
  const ground = Number(env.COLORFGBG?.split(";").at(-1));
  return ground === 7 || ground === 15 ? "light" : "dark";
}

/** The terminal of standard output, as options and environment have it. */
export function terminal(options: TerminalOptions, stream: NodeJS.WriteStream = process.stdout): Terminal {
  const { env } = process;
  const isTerminal = stream.isTTY === true;
  const depth = options.color === false ? 0 : colorDepth(isTerminal, env);
  const columns = isTerminal ? stream.columns : Number(env.COLUMNS) || widthOfPipe;
  const given = options.width === undefined ? null : parseWhole("--width", options.width, narrowest, 1000);
  const width = given ?? Math.min(widest, Math.max(narrowest, columns));
  return { width, style: createStyle(depth, themeOf(env)) };
}

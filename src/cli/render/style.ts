/** Colours of a terminal: none, the 16 of old, 256, or all. */
export type ColorDepth = 0 | 4 | 8 | 24;

/** Background that colours have to be read on. */
export type Theme = "dark" | "light";

/** A colour for terminals that have all of them, and the number of its like among the 256. */
type Ink = readonly [red: number, green: number, blue: number, index: number];

/**
 * How text is set. Every function takes plain text and gives it back with escape codes, or unchanged without colour.
 * Credit is blue above zero and orange below, a pair that colour-blind eyes tell apart.
 */
export interface Style {
  readonly depth: ColorDepth;
  bold(text: string): string;
  dim(text: string): string;
  /** The one accent, for names and headings. */
  accent(text: string): string;
  /** Text in the colour of a credit from -1 to 1. */
  credit(amount: number, text: string): string;
  /** Text on the colour of a credit from -1 to 1: the closer to 0, the closer to the plain background. */
  heat(amount: number, text: string): string;
}

/** Colours of text on each background. */
const inks: Readonly<Record<Theme, Readonly<Record<"up" | "down" | "accent" | "dim", Ink>>>> = {
  dark: { up: [104, 171, 240, 75], down: [240, 150, 70, 208], accent: [150, 190, 220, 110], dim: [135, 140, 148, 245] },
  light: { up: [16, 97, 184, 25], down: [190, 88, 8, 130], accent: [20, 90, 140, 24], dim: [110, 114, 120, 242] },
};

/** Backgrounds of heat, faint to strong, and the text that is read on them. */
const grounds: Readonly<Record<Theme, { up: readonly Ink[]; down: readonly Ink[]; text: Ink }>> = {
  dark: {
    up: [
      [28, 44, 64, 17],
      [28, 62, 100, 24],
      [30, 84, 140, 25],
      [38, 108, 182, 32],
    ],
    down: [
      [62, 42, 26, 52],
      [96, 58, 24, 94],
      [134, 76, 22, 130],
      [176, 96, 18, 172],
    ],
    text: [240, 242, 245, 255],
  },
  light: {
    up: [
      [226, 238, 251, 189],
      [195, 220, 246, 153],
      [156, 198, 240, 117],
      [112, 172, 232, 75],
    ],
    down: [
      [252, 236, 220, 230],
      [250, 218, 188, 223],
      [246, 194, 146, 216],
      [240, 166, 100, 209],
    ],
    text: [20, 24, 30, 234],
  },
};

function paint(depth: ColorDepth, layer: 38 | 48, [red, green, blue, index]: Ink): string {
  return depth === 24 ? `${layer};2;${red};${green};${blue}` : `${layer};5;${index}`;
}

const plain: Style = {
  depth: 0,
  bold: (text) => text,
  dim: (text) => text,
  accent: (text) => text,
  credit: (_, text) => text,
  heat: (_, text) => text,
};

const coded = (codes: string, text: string, off: string) => (text === "" ? "" : `\x1b[${codes}m${text}\x1b[${off}m`);

/** 16 colours: the terminal's own blue and yellow, and reverse video for heat. */
function styleOf16(): Style {
  const ink = (amount: number) => (amount > 0 ? "34" : amount < 0 ? "33" : "90");
  return {
    depth: 4,
    bold: (text) => coded("1", text, "22"),
    dim: (text) => coded("90", text, "39"),
    accent: (text) => coded("36", text, "39"),
    credit: (amount, text) => coded(ink(amount), text, "39"),
    heat: (amount, text) => (Math.abs(amount) < 0.125 ? text : coded(`${ink(amount)};7`, text, "27;39")),
  };
}

/** The style of a terminal. */
export function createStyle(depth: ColorDepth, theme: Theme = "dark"): Style {
  if (depth === 0) return plain;
  if (depth === 4) return styleOf16();
  const ink = inks[theme];
  const ground = grounds[theme];
  const tinted = (color: Ink, text: string) => coded(paint(depth, 38, color), text, "39");
  return {
    depth,
    bold: (text) => coded("1", text, "22"),
    dim: (text) => tinted(ink.dim, text),
    accent: (text) => tinted(ink.accent, text),
    credit: (amount, text) => tinted(amount > 0 ? ink.up : amount < 0 ? ink.down : ink.dim, text),
    heat: (amount, text) => {
      const strength = Math.ceil(Math.min(1, Math.abs(amount)) * 4 - 0.5);
      if (strength < 1) return text;
      const back = (amount > 0 ? ground.up : ground.down)[strength - 1];
      return coded(`${paint(depth, 38, ground.text)};${paint(depth, 48, back)}`, text, "49;39");
    },
  };
}

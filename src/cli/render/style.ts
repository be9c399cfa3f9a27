/** Colours of a terminal: none, the 16 of old, 256, or all. */
export type ColorDepth = 0 | 4 | 8 | 24;

/** Background that colours have to be read on. */
export type Theme = "dark" | "light";

type Rgb = readonly [number, number, number];

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

/** Fully coloured ends of the scale, for text on each background. */
const inks: Readonly<Record<Theme, Readonly<Record<"up" | "down" | "accent" | "dim", Rgb>>>> = {
  dark: { up: [104, 171, 240], down: [240, 150, 70], accent: [150, 190, 220], dim: [135, 140, 148] },
  light: { up: [16, 97, 184], down: [190, 88, 8], accent: [20, 90, 140], dim: [110, 114, 120] },
};

/** Backgrounds of heat, faint to strong, and the text that is read on them. */
const grounds: Readonly<Record<Theme, { up: readonly Rgb[]; down: readonly Rgb[]; text: Rgb }>> = {
  dark: {
    up: [
      [28, 44, 64],
      [28, 62, 100],
      [30, 84, 140],
      [38, 108, 182],
    ],
    down: [
      [62, 42, 26],
      [96, 58, 24],
      [134, 76, 22],
      [176, 96, 18],
    ],
    text: [240, 242, 245],
  },
  light: {
    up: [
      [226, 238, 251],
      [195, 220, 246],
      [156, 198, 240],
      [112, 172, 232],
    ],
    down: [
      [252, 236, 220],
      [250, 218, 188],
      [246, 194, 146],
      [240, 166, 100],
    ],
    text: [20, 24, 30],
  },
};

const cube = (part: number) => (part < 48 ? 0 : part < 115 ? 1 : Math.floor((part - 35) / 40));
const cubeLevels = [0, 95, 135, 175, 215, 255];

/** The closest of the 256 colours: of the 6×6×6 cube or the greys. */
export function nearest256([r, g, b]: Rgb): number {
  const [i, j, k] = [cube(r), cube(g), cube(b)];
  const grey = Math.min(23, Math.max(0, Math.round((r + g + b) / 3 / 10 - 0.8)));
  const level = 8 + grey * 10;
  const distance = (x: number, y: number, z: number) => (x - r) ** 2 + (y - g) ** 2 + (z - b) ** 2;
  const fromCube = distance(cubeLevels[i], cubeLevels[j], cubeLevels[k]);
  return distance(level, level, level) < fromCube ? 232 + grey : 16 + 36 * i + 6 * j + k;
}

function paint(depth: ColorDepth, layer: 38 | 48, color: Rgb): string {
  return depth === 24 ? `${layer};2;${color.join(";")}` : `${layer};5;${nearest256(color)}`;
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
  const tinted = (color: Rgb, text: string) => coded(paint(depth, 38, color), text, "39");
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

// Draws what a command prints in a terminal as a PNG, for the README.
//   node scripts/terminal-picture.mjs OUT.png [--columns 100] [--lines 60] [--theme dark|light] [--show "TEXT"] -- COMMAND
// Runs the command with full colour, turns its output into HTML and takes a picture of it with Chromium. --show is the
// command line to draw above the output (default: the command itself); --lines keeps the first lines only.
// The picture of the README: docs/images/demo.png --lines 72 --show "npm run demo" -- node dist/cli/main.js demo
import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { parseArgs } from "node:util";
import { chromium } from "playwright-core";
import { findChromium } from "./find.mjs";

const themes = {
  dark: { page: "#0d1117", text: "#d5dae1", edge: "#262d37", prompt: "#8b949e" },
  light: { page: "#ffffff", text: "#1f2328", edge: "#d5dae1", prompt: "#6e7781" },
};

/** The 256 colours as CSS. */
function indexed(n) {
  const basic = ["#484f58", "#ff7b72", "#3fb950", "#d29922", "#58a6ff", "#bc8cff", "#39c5cf", "#b1bac4"];
  if (n < 16) return basic[n % 8];
  if (n >= 232) return `rgb(${Array(3).fill(8 + (n - 232) * 10)})`;
  const level = (x) => (x === 0 ? 0 : 55 + 40 * x);
  return `rgb(${[Math.floor((n - 16) / 36), Math.floor((n - 16) / 6) % 6, (n - 16) % 6].map(level)})`;
}

/** Applies the codes of one escape sequence to a style. */
function apply(style, codes) {
  const next = { ...style };
  for (let k = 0; k < codes.length; k++) {
    const code = codes[k];
    if (code === 0) return {};
    if (code === 1) next.bold = true;
    else if (code === 22) next.bold = false;
    else if (code === 7) next.reverse = true;
    else if (code === 27) next.reverse = false;
    else if (code === 39) next.ink = undefined;
    else if (code === 49) next.ground = undefined;
    else if (code === 38 || code === 48) {
      const full = codes[k + 1] === 2;
      const color = full ? `rgb(${codes.slice(k + 2, k + 5)})` : indexed(codes[k + 2]);
      next[code === 38 ? "ink" : "ground"] = color;
      k += full ? 4 : 2;
    } else if (code >= 30 && code <= 37) next.ink = indexed(code - 30);
    else if (code >= 90 && code <= 97) next.ink = code === 90 ? "#8b949e" : indexed(code - 90);
  }
  return next;
}

const entities = { "&": "&amp;", "<": "&lt;", ">": "&gt;" };

function span(text, style) {
  if (text === "") return "";
  const css = [
    style.ink === undefined ? "" : `color:${style.ink}`,
    style.ground === undefined ? "" : `background:${style.ground}`,
    style.bold ? "font-weight:600" : "",
  ].filter(Boolean);
  return `<span style="${css.join(";")}">${text.replace(/[&<>]/g, (c) => entities[c])}</span>`;
}

/** Terminal output as HTML. */
function htmlOf(output) {
  let style = {};
  let html = "";
  // Odd parts are the codes of an escape sequence, even ones the text between them.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences start with one
  output.split(/\x1b\[([\d;]*)m/).forEach((part, k) => {
    if (k % 2 === 0) html += span(part, style);
    else style = apply(style, part.split(";").map(Number));
  });
  return html;
}

function pageOf(command, output, theme) {
  const { page, text, edge, prompt } = themes[theme];
  return `<!doctype html><meta charset="utf-8"><style>
    body { margin: 0; background: transparent; }
    pre { display: inline-block; margin: 0; padding: 22px 26px; border: 1px solid ${edge}; border-radius: 10px;
      background: ${page}; color: ${text}; font: 14px/1.32 "JetBrains Mono", "DejaVu Sans Mono", Menlo, monospace; }
    .prompt { color: ${prompt}; }
  </style><pre><span class="prompt">$ </span><b>${htmlOf(command)}</b>\n${htmlOf(output)}</pre>`;
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    columns: { type: "string", default: "100" },
    lines: { type: "string" },
    theme: { type: "string", default: "dark" },
    show: { type: "string" },
  },
});
const [file, ...command] = positionals;
if (file === undefined || command.length === 0 || !(values.theme in themes)) {
  console.error(
    "usage: node scripts/terminal-picture.mjs OUT.png [--columns N] [--lines N] [--theme dark|light] -- COMMAND ARG…",
  );
  process.exit(2);
}
const executablePath = findChromium();
if (executablePath === undefined) {
  console.error("no Chromium found; install one or set CHROMIUM_PATH");
  process.exit(1);
}
const result = spawnSync(command[0], command.slice(1), {
  encoding: "utf8",
  maxBuffer: 1 << 28,
  env: {
    ...process.env,
    FORCE_COLOR: "3",
    COLUMNS: values.columns,
    COLORFGBG: values.theme === "light" ? "0;15" : "15;0",
  },
});
if (result.status !== 0) {
  console.error(result.error?.message ?? result.stderr);
  process.exit(1);
}
const lines = result.stdout.replace(/\n+$/, "").split("\n");
const shown = values.lines === undefined ? lines : lines.slice(0, Number(values.lines));
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu"] });
const page = await browser.newPage({ deviceScaleFactor: 2, viewport: { width: 2000, height: 1000 } });
await page.setContent(pageOf(values.show ?? command.join(" "), shown.join("\n"), values.theme));
mkdirSync(dirname(resolve(file)), { recursive: true });
await page.locator("pre").screenshot({ path: file, omitBackground: true });
await browser.close();

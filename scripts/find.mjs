// Finds what may already be on this machine: a Chromium for the browser tests, a Python with torch for the benchmarks.
// Imported by scripts, tests and benchmarks alike, so that all of them look in the same places.
import { spawnSync } from "node:child_process";
import { accessSync, constants, statSync } from "node:fs";
import { delimiter, isAbsolute, join } from "node:path";

function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

function onPath(name) {
  if (isAbsolute(name)) return isExecutable(name) ? name : undefined;
  const folders = (process.env.PATH ?? "").split(delimiter).filter(Boolean);
  const endings = process.platform === "win32" ? [".exe", ""] : [""];
  for (const folder of folders) {
    for (const ending of endings) {
      const path = join(folder, name + ending);
      if (isExecutable(path)) return path;
    }
  }
  return undefined;
}

const CHROMIUMS = [
  "chromium",
  "chromium-browser",
  "google-chrome",
  "google-chrome-stable",
  "chrome",
  "msedge",
  "/usr/bin/chromium",
  "/usr/bin/google-chrome",
  "/snap/bin/chromium",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
  "/Applications/Chromium.app/Contents/MacOS/Chromium",
  "C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe",
  "C:\\Program Files (x86)\\Microsoft\\Edge\\Application\\msedge.exe",
];

/** The path of a Chromium (CHROMIUM_PATH first), or undefined. */
export function findChromium() {
  const named = process.env.CHROMIUM_PATH;
  if (named) return onPath(named);
  for (const name of CHROMIUMS) {
    const path = onPath(name);
    if (path) return path;
  }
  return undefined;
}

/** A Python that can import torch (PYTHON first), or undefined. Takes a second or two: it does import it. */
export function findTorch() {
  const names = process.env.PYTHON
    ? [process.env.PYTHON]
    : ["python3", "/usr/bin/python3", "/usr/local/bin/python3", "python"];
  const tried = new Set();
  for (const name of names) {
    const python = onPath(name);
    if (!python || tried.has(python)) continue;
    tried.add(python);
    const probe = "import sys, torch; print(sys.executable); print(torch.__version__)";
    const result = spawnSync(python, ["-c", probe], { encoding: "utf8", timeout: 120_000 });
    if (result.status !== 0) continue;
    const [executable, version] = result.stdout.trim().split(/\r?\n/).slice(-2);
    return { python: executable, version };
  }
  return undefined;
}

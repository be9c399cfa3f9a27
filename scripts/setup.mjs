// Makes a fresh clone ready: installs packages, builds dist/. One line per thing it does, nothing when all is ready.
//   --build    build even when dist/ is current
//   --browser  also see to a Chromium (browser tests)
//   --python   also see to a Python with torch (benchmarks)
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { findChromium, findTorch } from "./find.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const flags = new Set(process.argv.slice(2));
const say = (line) => console.log(`setup: ${line}`);

function fail(line, output = "") {
  if (output.trim()) console.error(output.trim());
  console.error(`setup: ${line}`);
  process.exit(1);
}

/** Runs a command quietly; the caller shows its output when it failed. */
function run(command, args, env = {}) {
  const result = spawnSync(command, args, {
    cwd: root,
    encoding: "utf8",
    env: { ...process.env, ...env },
    maxBuffer: 1 << 28,
    shell: process.platform === "win32" && command === "npm",
  });
  if (result.error) return { ok: false, output: result.error.message };
  return { ok: result.status === 0, output: `${result.stdout}${result.stderr}` };
}

const modified = (path) => (existsSync(path) ? statSync(path).mtimeMs : 0);

function checkNode() {
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major < 20 || (major === 20 && minor < 19)) {
    fail(`this is Node ${process.versions.node}; Apportion needs 20.19 or newer.`);
  }
}

function installPackages() {
  const lock = join(root, "package-lock.json");
  const installed = join(root, "node_modules", ".package-lock.json");
  if (existsSync(installed) && modified(installed) >= modified(lock)) return;
  say("installing packages (npm ci)");
  const result = run("npm", ["ci", "--no-audit", "--no-fund"]);
  if (!result.ok) fail("npm ci failed; its output is above.", result.output);
  const now = new Date();
  utimesSync(installed, now, now);
}

/** What the build reads, sorted: the list itself is in the stamp, so that a deleted file is noticed too. */
function buildInputs() {
  const src = join(root, "src");
  const names = existsSync(src) ? readdirSync(src, { recursive: true }) : [];
  return names
    .map((name) => join(src, name))
    .filter((path) => !path.endsWith(".test.ts") && statSync(path).isFile())
    .concat(["tsconfig.json", "package-lock.json"].map((name) => join(root, name)))
    .sort();
}

function build() {
  const inputs = buildInputs();
  if (inputs.length === 2) fail("nothing to build: src/ is missing or empty.");
  const dist = join(root, "dist");
  const stamp = join(dist, ".built.json");
  const list = JSON.stringify(inputs.map((path) => relative(root, path).split(sep).join("/")));
  const sameFiles = existsSync(stamp) && readFileSync(stamp, "utf8") === list;
  if (sameFiles && !flags.has("--build") && inputs.every((path) => modified(path) <= modified(stamp))) return;

  say("building dist/ (tsc)");
  const started = new Date();
  rmSync(sameFiles ? stamp : dist, { recursive: true, force: true });
  const tsc = join(root, "node_modules", "typescript", "bin", "tsc");
  const result = run(process.execPath, [tsc, "-p", "tsconfig.json"]);
  if (!result.ok) fail("the build failed; the compiler's output is above.", result.output);
  mkdirSync(dist, { recursive: true });
  writeFileSync(stamp, list);
  utimesSync(stamp, started, started); // a file saved while the compiler ran is newer than this build
}

/** Installs a Debian package where that can be done without asking; false when it cannot or did not work. */
function installDebianPackage(name, namedByUser) {
  if (namedByUser) return false; // a path was given: its absence is for the user to mend
  if (process.getuid?.() !== 0 || !run("apt-get", ["--version"]).ok) return false;
  say(`installing ${name} (apt-get; this can take minutes)`);
  const quiet = { DEBIAN_FRONTEND: "noninteractive" };
  run("apt-get", ["update"], quiet); // a source that is away need not matter
  const result = run("apt-get", ["install", "-y", "--no-install-recommends", name], quiet);
  if (!result.ok) console.error(result.output.trim().split("\n").slice(-5).join("\n"));
  return result.ok;
}

checkNode();
installPackages();
build();
if (
  flags.has("--browser") &&
  !findChromium() &&
  !(installDebianPackage("chromium", process.env.CHROMIUM_PATH) && findChromium())
) {
  say("no Chromium found, so the browser tests will be skipped; install one or set CHROMIUM_PATH.");
}
if (
  flags.has("--python") &&
  !findTorch() &&
  !(installDebianPackage("python3-torch", process.env.PYTHON) && findTorch())
) {
  say("no Python with torch found, so comparisons with torch will be skipped; install it or set PYTHON.");
}

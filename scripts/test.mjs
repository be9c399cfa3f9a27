// Lint, types, documentation, then the tests. The last line is always `N passed, N failed` (and `, N skipped` where some
// were); lint, types and documentation count as one test each. --quick leaves out what is slow. Other arguments go to Vitest.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const quick = process.argv.includes("--quick");
const forVitest = process.argv.slice(2).filter((argument) => argument !== "--quick");
const total = { passed: 0, failed: 0, skipped: 0 };

/** What takes long: browsers, fuzzing, training, and everything that starts the binary many times. */
const slow = [
  "tests/browser/**",
  "tests/fuzz/**",
  "tests/cli/{advise,assign,bad-input,bench,certify,commands,import-export,memory,reproduce,runs,serve,signals,starc,train,vectors,views}*.test.ts",
  "tests/lab/{certificates,experiments,training}.test.ts",
  "tests/pipeline/threads.test.ts",
  "**/*.slow.test.ts",
];

/** Runs a package's command with this Node, its output going straight through. */
function run(script, args) {
  const result = spawnSync(process.execPath, [join(root, "node_modules", script), ...args], {
    cwd: root,
    stdio: "inherit",
  });
  if (result.error) console.error(result.error.message);
  return result.status === 0;
}

function check(name, passes) {
  const started = performance.now();
  const ok = passes();
  console.log(`${ok ? "ok" : "FAILED"}: ${name} (${((performance.now() - started) / 1000).toFixed(1)} s)`);
  total[ok ? "passed" : "failed"]++;
}

/** Adds what Vitest counted. Whatever it could not count (a crash, a file that would not load) is a failure. */
function vitest() {
  const folder = mkdtempSync(join(tmpdir(), "apportion-test-"));
  const report = join(folder, "report.json");
  const skips = quick ? slow : [];
  const ok = run("vitest/vitest.mjs", [
    "run",
    "--reporter=default",
    "--reporter=json",
    `--outputFile.json=${report}`,
    ...skips.map((pattern) => `--exclude=${pattern}`),
    ...forVitest,
  ]);
  let failed = 0;
  try {
    for (const file of JSON.parse(readFileSync(report, "utf8")).testResults) {
      const states = file.assertionResults.map((result) => result.status);
      const failures = states.filter((state) => state === "failed").length;
      total.passed += states.filter((state) => state === "passed").length;
      total.skipped += states.filter((state) => state !== "passed" && state !== "failed").length;
      failed += failures === 0 && file.status === "failed" ? 1 : failures;
    }
  } catch {
    console.error("FAILED: Vitest ended without a report.");
  }
  total.failed += !ok && failed === 0 ? 1 : failed;
  rmSync(folder, { recursive: true, force: true });
}

const compiler = "typescript/bin/tsc";
check("lint", () => run("@biomejs/biome/bin/biome", ["check"]));
check("types", () => {
  const source = run(compiler, ["-p", "tsconfig.json", "--noEmit"]);
  return run(compiler, ["-p", "tsconfig.test.json"]) && source;
});
check("docs", () => run("../scripts/docs.mjs", ["--check"]));
vitest();
const skipped = total.skipped > 0 ? `, ${total.skipped} skipped` : "";
process.exitCode = total.failed > 0 ? 1 : 0;
console.log(`${total.passed} passed, ${total.failed} failed${skipped}`);

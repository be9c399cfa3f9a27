// npm run bench [-- SECTION… --json FILE]: every claim of speed, measured here and now, side by side where there is another side.
import { writeFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { parseArgs } from "node:util";

const sections = {
  estimators: async () => (await import("./estimators.mjs")).estimators(),
  tree: async () => (await import("./tree.mjs")).tree(),
  process: async () => (await import("./process.mjs")).processes(),
  methods: async () => (await import("./methods.mjs")).everyMethod(),
  lab: async () => (await import("./lab.mjs")).lab(),
  server: async () => (await import("./server.mjs")).server(),
};

const { values, positionals } = parseArgs({ allowPositionals: true, options: { json: { type: "string" } } });
const chosen = positionals.length > 0 ? positionals : Object.keys(sections);
const unknown = chosen.find((name) => !(name in sections));
if (unknown !== undefined) {
  console.error(`unknown section ${unknown}: expected ${Object.keys(sections).join(", ")}`);
  process.exit(2);
}
const machine = `${cpus()[0]?.model ?? "unknown processor"}, ${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.version}`;
console.log(machine);
console.log("Other work on the machine spoils these figures: run them alone.");
const report = { machine };
for (const name of chosen) report[name] = await sections[name]();
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(report, null, 2)}\n`);

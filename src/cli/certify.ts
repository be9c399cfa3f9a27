import type { Command } from "commander";
import type { Certificate, LawId } from "../lab/certificates/certificate.ts";
import type { Subject } from "../lab/certificates/subjects.ts";
import { InputError } from "../rollouts/errors.ts";
import type { Certified } from "./certify/table.ts";
import { collect, parseChoice } from "./options.ts";
import { paramsByMethod, parseParam } from "./params.ts";

interface Flags {
  law?: string[];
  param?: string[];
  replay?: boolean;
  save?: string;
  out?: string;
  json?: boolean;
  color?: boolean;
  width?: string;
}

/** What is to be certified: methods with their variants, or with the parameters of the command line alone. */
async function subjectsOf(ids: readonly string[], params: readonly string[]): Promise<Subject[]> {
  const { allSubjects } = await import("../lab/certificates/subjects.ts");
  if (params.length === 0) return allSubjects(ids.length === 0 ? undefined : ids);
  if (ids.length === 0) throw new InputError("--param needs a method", { hint: "apportion certify ID --param k=v" });
  const { findMethod } = await import("../methods/registry.ts");
  const methods = ids.map(findMethod);
  const given = paramsByMethod(methods, params.map(parseParam));
  return methods.map((method) => ({ method, params: given.get(method.id) ?? {} }));
}

/** Certifies one subject after another, saying on a terminal which one it is at. */
async function certifyAll(subjects: readonly Subject[], laws: readonly LawId[]): Promise<Certified[]> {
  const { certify } = await import("../lab/certificates/certify.ts");
  const { stderr } = process;
  const certified: Certified[] = [];
  for (const [k, subject] of subjects.entries()) {
    if (stderr.isTTY) stderr.write(`\r\x1b[K${k + 1} of ${subjects.length}: ${subject.method.id}`);
    certified.push({ subject, certificates: certify(subject.method, subject.params, laws) });
    await new Promise((resolve) => setImmediate(resolve)); // an interrupt must be heard
  }
  if (stderr.isTTY) stderr.write("\r\x1b[K");
  return certified;
}

/** The one certificate that `--replay` and `--save` are about. */
async function onlyOne(ids: readonly string[], laws: readonly LawId[], flags: Flags): Promise<Certificate> {
  if (new Set(ids).size !== 1 || laws.length !== 1) {
    throw new InputError(`${flags.save === undefined ? "--replay" : "--save"} needs one method and one law`, {
      hint: "apportion certify grpo --law length-neutral --replay",
    });
  }
  const [subject] = await subjectsOf(ids, flags.param ?? []);
  const [{ certificates }] = await certifyAll([subject], laws);
  return certificates[0];
}

/** A certificate as a line of JSON; the rollouts of counterexamples only where they are asked for. */
function jsonLine(certificate: Certificate, withRollouts: boolean): string {
  if (withRollouts || certificate.counterexample === null) return `${JSON.stringify(certificate)}\n`;
  const { rollouts, changed, ...rest } = certificate.counterexample;
  const counts = { rollouts: rollouts.length, changed: changed?.length ?? null };
  return `${JSON.stringify({ ...certificate, counterexample: { ...rest, ...counts } })}\n`;
}

async function replay(certificate: Certificate, flags: Flags): Promise<void> {
  const { assignCommands, replayLines, saveExample } = await import("./certify/replay.ts");
  if (flags.save !== undefined) {
    const files = await saveExample(certificate, flags.save);
    process.stderr.write(`${assignCommands(certificate, files).join("\n")}\n`);
  }
  if (flags.json === true) process.stdout.write(jsonLine(certificate, true));
  else if (flags.replay === true) {
    const { terminal } = await import("./render/terminal.ts");
    process.stdout.write(`\n${replayLines(certificate, terminal(flags)).join("\n")}\n\n`);
  }
}

async function run(ids: readonly string[], flags: Flags): Promise<void> {
  const { lawIds } = await import("../lab/certificates/certificate.ts");
  const laws = flags.law === undefined ? lawIds : flags.law.map((law) => parseChoice("--law", law, lawIds));
  if (flags.out !== undefined && (ids.length > 0 || flags.law !== undefined)) {
    throw new InputError("--out writes the page of all methods and laws", { hint: "apportion certify --out docs" });
  }
  if (flags.replay === true || flags.save !== undefined) return replay(await onlyOne(ids, laws, flags), flags);
  const certified = await certifyAll(await subjectsOf(ids, flags.param ?? []), laws);
  if (flags.out !== undefined) {
    const { mkdir, writeFile } = await import("node:fs/promises");
    const { join } = await import("node:path");
    const { certificatePage } = await import("./certify/page.ts");
    await mkdir(flags.out, { recursive: true });
    await writeFile(join(flags.out, "certificates.md"), certificatePage(certified));
  }
  if (flags.json === true) {
    for (const { certificates } of certified)
      for (const one of certificates) process.stdout.write(jsonLine(one, false));
    return;
  }
  const { terminal } = await import("./render/terminal.ts");
  const screen = terminal(flags);
  const { certificateTable } = await import("./certify/table.ts");
  const { explanation } = await import("./certify/explain.ts");
  const [first, ...variants] = certified;
  const lines = new Set(ids).size === 1 ? explanation(first, screen) : certificateTable(certified, laws, screen);
  if (new Set(ids).size === 1 && variants.length > 0) lines.push(...certificateTable(certified, laws, screen), "");
  process.stdout.write(`\n${lines.join("\n").trimEnd()}\n\n`);
}

const examples = `
Examples:
  apportion certify                                       every method and law, in a minute or two
  apportion certify rloo grpo dr-grpo                     some of them
  apportion certify grpo                                  in words, with the smallest counterexample to each law
  apportion certify gae --param whiten_advantage=false    with other parameters
  apportion certify grpo --law length-neutral --replay    the rollouts of a counterexample and the numbers side by side
  apportion certify grpo --law length-neutral --save rollouts.jsonl
  apportion certify --out docs                            writes docs/certificates.md

Laws: unbiased-fixed, unbiased-stop, zero-mean, split, exchangeable, length-neutral, shaping, scale, shift. They are checked
on every group of rollouts of small tasks, with exact probabilities; docs/certificates.md says how.`;

/** Adds the `certify` command. */
export function register(program: Command): void {
  program
    .command("certify")
    .summary("which laws a credit method keeps, or a counterexample")
    .description(
      "Checks laws of credit methods (no bias, zero mean, neutral to length, shaping, scale, …) on every group of small tasks.",
    )
    .argument("[id...]", "methods (default: all)")
    .option("--law <name>", "law to check (may be repeated)", collect)
    .option("-p, --param <name=value>", "parameter of the method (may be repeated)", collect)
    .option("--replay", "print the rollouts of the counterexample, credited again")
    .option("--save <file>", "write the rollouts of the counterexample as JSONL for apportion assign")
    .option("--out <folder>", "write certificates.md for all methods")
    .option("--width <columns>", "width of the output (default: of the terminal)")
    .option("--json", "print a line of JSON per method and law")
    .option("--no-color", "no colours")
    .addHelpText("after", examples)
    .action(run);
}

import type { Certificate, Counterexample } from "../../lab/certificates/certificate.ts";
import { lawTexts } from "../../lab/certificates/laws.ts";
import { paramsText } from "../../lab/certificates/subjects.ts";
import { tableLines } from "../render/table.ts";
import type { Terminal } from "../render/terminal.ts";
import { wrap } from "../render/text.ts";
import type { Certified } from "./table.ts";
import { comparedRows, policyName, verdictWord } from "./words.ts";

/** Parameters as flags of a command line. */
export function paramFlags(params: Certificate["params"]): string {
  const flags = Object.entries(params).map(([name, value]) => {
    const text = typeof value === "string" ? value : JSON.stringify(value);
    return ` --param ${name}=${/^[\w.,-]*$/.test(text) ? text : `'${text}'`}`;
  });
  return flags.join("");
}

/** Command line that shows a counterexample again. */
export function replayCommand({ method, params, law }: Certificate): string {
  return `apportion certify ${method}${paramFlags(params)} --law ${law} --replay`;
}

/** The numbers of a counterexample side by side. */
export function comparedLines(example: Counterexample, { style, width }: Terminal, indent: number, most = 8): string[] {
  const { rows, left } = comparedRows(example, most);
  const columns = [
    { title: "", shrinkTo: 16 },
    ...[...example.titles, "difference"].map((title) => ({ title, align: "right" as const })),
  ];
  const more = left > 0 ? [`${" ".repeat(indent)}${style.dim(`and ${left} more`)}`] : [];
  return [...tableLines(columns, rows, { style, width, indent }), ...more];
}

function lawLines(certificate: Certificate, screen: Terminal): string[] {
  const { style, width } = screen;
  const { law, verdict, reason, cases, notes, counterexample } = certificate;
  const text = lawTexts[law];
  const set = verdict === "none" ? style.dim : style.bold;
  const head = ` ${set(verdictWord(certificate).padEnd(6))} ${style.accent(text.title)} ${style.dim(`(${law})`)}`;
  const body: string[] = [];
  const say = (line: string) => body.push(...wrap(line, width - 8).map((part) => `        ${part}`));
  if (verdict === "none") say(`Does not apply: ${reason}.`);
  if (verdict === "yes") say(`${sentence(text.meaning)}: so in all ${cases} groups that were gone through.`);
  for (const note of notes) say(`${sentence(note)}.`);
  if (counterexample !== null) {
    const { what, task, policy, rollouts } = counterexample;
    say(`${sentence(what)}. Task: ${task}; ${policyName(policy)}; ${rollouts.length} rollouts.`);
    body.push(...comparedLines(counterexample, screen, 8));
    body.push(`        ${style.dim(replayCommand(certificate))}`);
  }
  return [head, ...body];
}

export const sentence = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);

/** Every law about one method, in words, with its counterexample where there is one. */
export function explanation({ subject, certificates }: Certified, screen: Terminal): string[] {
  const { method, params } = subject;
  const given = paramsText(params);
  return [
    ` ${screen.style.bold(method.id)}${given === "" ? "" : ` ${given}`}  ${method.title}`,
    "",
    ...certificates.flatMap((certificate) => [...lawLines(certificate, screen), ""]),
  ];
}

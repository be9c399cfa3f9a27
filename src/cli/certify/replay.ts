import { writeFile } from "node:fs/promises";
import { extname } from "node:path";
import type { Certificate } from "../../lab/certificates/certificate.ts";
import { lawTexts } from "../../lab/certificates/laws.ts";
import { paramsText } from "../../lab/certificates/subjects.ts";
import { InputError } from "../../rollouts/errors.ts";
import type { RolloutObject } from "../../rollouts/index.ts";
import type { Terminal } from "../render/terminal.ts";
import { wrap } from "../render/text.ts";
import { comparedLines, paramFlags, sentence } from "./explain.ts";
import { policyName } from "./words.ts";

const jsonLines = (rollouts: readonly RolloutObject[]) =>
  rollouts.map((rollout) => `${JSON.stringify(rollout)}\n`).join("");

/** The counterexample of a certificate. */
function exampleOf({ method, law, verdict, reason, counterexample }: Certificate) {
  if (counterexample !== null) return counterexample;
  throw new InputError("there is no counterexample", {
    method,
    got: verdict === "none" ? `${law} does not apply: ${reason}` : `${law} holds in every case`,
  });
}

/** Name of the file for the rollouts after the change: `a.jsonl` becomes `a.changed.jsonl`. */
function changedName(file: string): string {
  const end = extname(file);
  return `${file.slice(0, file.length - end.length)}.changed${end}`;
}

/**
 * Writes the rollouts of a counterexample as JSONL.
 * @returns the names of the files.
 */
export async function saveExample(certificate: Certificate, file: string): Promise<string[]> {
  const { rollouts, changed } = exampleOf(certificate);
  await writeFile(file, jsonLines(rollouts));
  if (changed === null) return [file];
  const second = changedName(file);
  await writeFile(second, jsonLines(changed));
  return [file, second];
}

/** How the files are credited by hand. */
export function assignCommands({ method, params }: Certificate, files: readonly string[]): string[] {
  return files.map((file) => `apportion assign ${file} --method ${method}${paramFlags(params)}`);
}

/** The counterexample with its rollouts and the numbers side by side. */
export function replayLines(certificate: Certificate, screen: Terminal, most = 12): string[] {
  const example = exampleOf(certificate);
  const { rollouts, changed, callPerGroup, what, task, policy, difference } = example;
  const { style, width } = screen;
  const list = (title: string, all: readonly RolloutObject[]) => [
    ` ${style.bold(title)}`,
    ...all.slice(0, most).map((rollout) => JSON.stringify(rollout)),
    ...(all.length > most ? [style.dim(` and ${all.length - most} more: --save FILE writes them all`)] : []),
    "",
  ];
  const isMean = rollouts[0].meta !== undefined;
  const notes = [
    ...(isMean
      ? ["meta.group_probability says how likely each group is; the gradients are means over all of them."]
      : []),
    ...(callPerGroup && rollouts.length > 1
      ? ["The method looks at the whole call: every group (the name up to the dot) was a call of its own."]
      : []),
  ];
  const given = paramsText(certificate.params);
  return [
    ` ${style.bold(certificate.method)}${given === "" ? "" : ` ${given}`}: ${lawTexts[certificate.law].title}`,
    ...wrap(`${sentence(what)}. Task: ${task}; ${policyName(policy)}.`, width - 1).map((line) => ` ${line}`),
    "",
    ...list(changed === null ? "Rollouts" : "Rollouts before", rollouts),
    ...(changed === null ? [] : list("Rollouts after", changed)),
    ...comparedLines(example, screen, 1, Number.POSITIVE_INFINITY),
    "",
    ` Largest difference ${difference.toPrecision(6)}`,
    ...notes.flatMap((note) => wrap(note, width - 1).map((line) => ` ${style.dim(line)}`)),
  ];
}

import { InputError } from "../../rollouts/index.ts";
import { atif } from "./atif.ts";
import { isObject } from "./fields.ts";
import { gsm8k } from "./gsm8k.ts";
import type { Importer, Sample } from "./importer.ts";
import { openai } from "./openai.ts";
import { tauBench } from "./tau-bench.ts";
import { tau2 } from "./tau2.ts";
import { trl } from "./trl.ts";
import { verifiers } from "./verifiers.ts";
import { verlDump } from "./verl.ts";
import { whoAndWhen } from "./who-and-when.ts";

/** Every importer by id, in alphabetical order. */
export const importers: ReadonlyMap<string, Importer> = new Map(
  [atif, gsm8k, openai, tau2, tauBench, trl, verifiers, verlDump, whoAndWhen]
    .sort((a, b) => (a.id < b.id ? -1 : 1))
    .map((importer) => [importer.id, importer]),
);

/**
 * The importer with this id.
 * @throws InputError listing all of them.
 */
export function findImporter(id: string): Importer {
  const importer = importers.get(id);
  if (importer !== undefined) return importer;
  throw new InputError(`unknown importer ${JSON.stringify(id)}`, {
    expected: `auto or one of ${[...importers.keys()].join(", ")}`,
  });
}

/** A file is taken for an importer's kind from this confidence on. */
const sure = 0.5;

/** Whether a record is a rollout already: it has an id and at least one level of its own. */
function isRollout(record: unknown): boolean {
  return isObject(record) && "id" in record && ["tokens", "turns", "steps"].some((level) => isObject(record[level]));
}

/** The importer that recognises a file best, or null. */
export function recognise(sample: Sample): Importer | null {
  if (isRollout(sample.record)) return null;
  let best: Importer | null = null;
  let confidence = sure;
  for (const importer of importers.values()) {
    const own = importer.recognises(sample);
    if (own < confidence || (own === confidence && best !== null)) continue;
    best = importer;
    confidence = own;
  }
  return best;
}

/** The error for a file of no known kind; says what each importer looks for. */
export function unrecognised(sample: Sample): InputError {
  const { name, record } = sample;
  if (isRollout(record)) {
    return new InputError("this is the rollout format already", {
      file: name,
      hint: "use the file as it is, without import",
    });
  }
  const known = [...importers.values()].map((importer) => `${importer.id}: ${importer.looksFor}`).join("; ");
  const keys = isObject(record) ? Object.keys(record).slice(0, 12).join(", ") : "";
  return new InputError("no importer knows this kind of file", {
    file: name,
    expected: known,
    got: keys === "" ? "something else" : `a record with ${keys}`,
    hint: "name the importer to use, or convert the records to one of these",
  });
}

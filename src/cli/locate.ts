import { InputError } from "../rollouts/errors.ts";

/** File and line of the rollout with an id, as far as the inputs are text files; Parquet and Arrow have no lines. */
async function findRollout(inputs: readonly string[], id: string): Promise<{ file: string; line?: number } | null> {
  const { resolveInputs } = await import("../formats/inputs.ts");
  const { openInput } = await import("../formats/open-input.ts");
  const { LineCutter } = await import("../formats/jsonl-lines.ts");
  const sources = await resolveInputs(inputs);
  const needle = JSON.stringify(id);
  for (const source of sources) {
    if (source.path === null) continue;
    const input = await openInput(source);
    try {
      if (input.format !== "jsonl") {
        if (sources.length === 1) return { file: source.name };
        continue;
      }
      const cutter = new LineCutter(source.name);
      const isIt = ({ bytes, from, to }: { bytes: Buffer; from: number; to: number }) => {
        const line = bytes.subarray(from, to);
        return line.includes(needle) && (JSON.parse(line.toString()) as { id?: unknown }).id === id;
      };
      for await (const chunk of input.chunks) {
        for (const line of cutter.lines(chunk)) if (isIt(line)) return { file: source.name, line: cutter.number };
      }
      for (const line of cutter.rest()) if (isIt(line)) return { file: source.name, line: cutter.number };
    } finally {
      await input.close();
    }
  }
  return null;
}

/**
 * A fault that a method found, with the file and the line of the rollout added. Batches do not carry them; the inputs are
 * searched for the rollout once there is a fault.
 */
export async function locateFault(error: unknown, inputs: readonly string[]): Promise<unknown> {
  if (!(error instanceof InputError) || error.at.file !== undefined || error.at.rollout === undefined) return error;
  try {
    const place = await findRollout(inputs, error.at.rollout);
    return place === null ? error : error.located(place);
  } catch {
    return error; // what is wrong is known; where it stands is a courtesy
  }
}

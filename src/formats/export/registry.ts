import { InputError } from "../../rollouts/index.ts";
import type { Exporter } from "./exporter.ts";
import { kto } from "./kto.ts";
import { otlp } from "./otlp.ts";
import { preference } from "./preference.ts";
import { sft } from "./sft.ts";
import { trl } from "./trl.ts";
import { verl } from "./verl.ts";

/** Every exporter by id, in alphabetical order. */
export const exporters: ReadonlyMap<string, Exporter> = new Map(
  [kto, otlp, preference, sft, trl, verl].map((exporter) => [exporter.id, exporter]),
);

/**
 * The exporter with this id.
 * @throws InputError listing all of them.
 */
export function findExporter(id: string): Exporter {
  const exporter = exporters.get(id);
  if (exporter !== undefined) return exporter;
  throw new InputError(`unknown exporter ${JSON.stringify(id)}`, {
    expected: `one of ${[...exporters.keys()].join(", ")}`,
  });
}

import type { Certificate, LawId } from "../../lab/certificates/certificate.ts";
import { lawTexts } from "../../lab/certificates/laws.ts";
import { paramsText, type Subject } from "../../lab/certificates/subjects.ts";
import type { Style } from "../render/style.ts";
import { type Cell, tableLines } from "../render/table.ts";
import type { Terminal } from "../render/terminal.ts";
import { legend, verdictWord } from "./words.ts";

/** The certificates of one row of the table. */
export interface Certified {
  subject: Subject;
  certificates: readonly Certificate[];
}

function set(style: Style, { verdict }: Certificate): (text: string) => string {
  if (verdict === "none") return style.dim;
  return (text) => style.credit(verdict === "yes" ? 1 : verdict === "no" ? -1 : -0.4, text);
}

/** Why no law applies to a method; null where one does. */
export function reasonForNone(certificates: readonly Certificate[]): string | null {
  return certificates.every(({ verdict }) => verdict === "none") ? certificates[0].reason : null;
}

/** The table of laws, a row per method and one more for each of its variants; those to which no law applies at the end. */
export function certificateTable(
  certified: readonly Certified[],
  laws: readonly LawId[],
  { width, style }: Terminal,
): string[] {
  const rows = certified.filter(({ certificates }) => laws.length === 1 || reasonForNone(certificates) === null);
  const columns = [
    { title: "method", shrinkTo: 12, wraps: true },
    ...laws.map((law) => ({ title: lawTexts[law].column })),
  ];
  let last = "";
  const cells = rows.map(({ subject: { method, params }, certificates }) => {
    const variant = paramsText(params);
    const label = method.id === last ? `  ${variant}` : variant === "" ? method.id : `${method.id} ${variant}`;
    last = method.id;
    return [label, ...certificates.map((one): Cell => ({ text: verdictWord(one), set: set(style, one) }))];
  });
  const none = certified.filter((one) => !rows.includes(one));
  return [
    ...tableLines(columns, cells, { style, width }),
    "",
    ...legend.map((line) => ` ${style.dim(line)}`),
    ...(none.length === 0 ? [] : ["", " No law applies to"]),
    ...none.flatMap(({ subject, certificates }) =>
      tableLines(
        [{ title: "" }, { title: "", wraps: true, shrinkTo: 20 }],
        [[subject.method.id.padEnd(22), certificates[0].reason ?? ""]],
        { style, width, indent: 3 },
      ),
    ),
  ];
}

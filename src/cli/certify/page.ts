import { type LawId, lawIds } from "../../lab/certificates/certificate.ts";
import { lawTexts } from "../../lab/certificates/laws.ts";
import { paramsText } from "../../lab/certificates/subjects.ts";
import { tasks } from "../../lab/certificates/tasks.ts";
import { sentence } from "./explain.ts";
import { type Certified, reasonForNone } from "./table.ts";
import { comparedRows, legend, policyName, verdictWord } from "./words.ts";

const intro = `# Certificates

What holds for a credit method whatever it is trained on, and what does not: laws that are checked by going through every
group of every tiny task, with exact probabilities. A *yes* is no proof, but there is no case among those below in which
the law fails; behind every *no* stands a counterexample with a handful of rollouts that anyone can credit again:

\`\`\`sh
apportion certify grpo                                   # every law, with the smallest counterexample found
apportion certify grpo --law length-neutral --replay     # its rollouts and the numbers side by side
apportion certify grpo --law length-neutral --save a.jsonl && apportion assign a.jsonl --method grpo
apportion certify gae --param whiten_advantage=false     # other parameters
\`\`\`

A *no* is not a verdict on a method. Several rules give up a law on purpose (dividing by a spread buys equal step sizes for
easy and hard prompts); it is good to know which.`;

const reading = `## How it is checked

- **Tasks.** Trees of choices; the policy sees everything that came before.
TASKS
  Outcomes are 0 or 1, or graded; methods that read step rewards get some as well. No chance but the policy's own.
- **Policies.** Tabular softmax: the uniform one and two fixed ones that lean this way and that.
- **Groups.** All groups of two, three and four rollouts on the first shape, of two and three on the next two, of two on the
  last; single rollouts where a method compares nothing.
- **Scope.** A method that looks at the whole call gets each group as a call of its own; the two laws of bias also try calls
  of two groups of two. Statistics over a call or a group that a rollout itself belongs to leave a bias that shrinks as calls
  grow: the notes of \`apportion certify ID\` say how large it is at each size.
- **Columns.** One token, one step and one turn per choice. Values, process rewards and Monte Carlo estimates hold what is
  exactly expected; likelihoods of the answer grow linearly with it; the reference policy is the policy itself. Columns of a
  learned critic or a potential are tried wrong too: *exact* says that a law needs them right.
- **Credit.** The finest advantage that the method writes, else a return, else a reward of which what is still to come is
  summed up; times \`tokens.weight\` where the method writes one.
- **What is sought.** The outcome, or the sum of the step rewards, or both where a method reads both; never discounted. A
  method whose default discount is below 1 is therefore biased here, which is what a discount does.
- **Rounding.** Numbers count as equal up to a thousandth of the largest (a hundredth where rewards are scaled), because of
  the small constant that most normalisations add to a spread; the notes say where it made a difference.`;

function definitions(): string {
  const rows = lawIds.map((law) => {
    const { column, title, definition } = lawTexts[law];
    return `### ${column}: ${title}\n\n\`--law ${law}\`. ${definition}`;
  });
  return ["## The laws", ...rows].join("\n\n");
}

const cell = (text: string) => text.replaceAll("|", "\\|");

/** Rows of a Markdown table, one per method and variant. */
function table(certified: readonly Certified[]): string {
  const head = ["method", "parameters", ...lawIds.map((law) => lawTexts[law].column)];
  const rows = certified.map(({ subject: { method, params }, certificates }) => {
    const given = paramsText(params);
    const link = `[${method.id}](methods/${method.id}.md)`;
    return [link, given === "" ? "" : `\`${given}\``, ...certificates.map(verdictWord)];
  });
  const line = (cells: readonly string[]) => `| ${cells.map(cell).join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

/** Methods whose counterexample to a law is worth reading, with the parameters they have there. */
const showcase: Readonly<Record<LawId, [id: string, params: string]>> = {
  "unbiased-fixed": ["grpo", ""],
  "unbiased-stop": ["mt-grpo", "baseline=turn_index_sum norm_by_std=false"],
  "zero-mean": ["opo", ""],
  split: ["gigpo", ""],
  exchangeable: ["sotopia-rl", "agent=ann"],
  "length-neutral": ["grpo", ""],
  shaping: ["mt-grpo", ""],
  scale: ["pure", ""],
  shift: ["dr-mas", ""],
};

/** One counterexample per law. */
function examples(certified: readonly Certified[]): string {
  const parts = lawIds.flatMap((law, k) => {
    const [id, given] = showcase[law];
    const found = certified.find(({ subject: { method, params } }) => method.id === id && paramsText(params) === given);
    const example = found?.certificates[k].counterexample;
    if (example == null) return [`**${lawTexts[law].column}**: none was found in any method.`];
    const { rows, left } = comparedRows(example, 6);
    const head = ["", ...example.titles, "difference"];
    const text = [head, head.map(() => "---"), ...rows].map((row) => `| ${row.map(cell).join(" | ")} |`).join("\n");
    const name = given === "" ? id : `${id} (\`${given}\`)`;
    const where = `${example.task}; ${policyName(example.policy)}`;
    const more = left > 0 ? `\n\nand ${left} more.` : "";
    return [`**${lawTexts[law].column}**, ${name}. ${sentence(example.what)} (${where}).\n\n${text}${more}`];
  });
  return ["## A counterexample to each law", ...parts].join("\n\n");
}

function withoutLaw(certified: readonly Certified[]): string {
  const rows = certified.map(
    ({ subject, certificates }) =>
      `| [${subject.method.id}](methods/${subject.method.id}.md) | ${cell(certificates[0].reason ?? "")} |`,
  );
  return ["## Where no law applies", "", "| method | why |", "| --- | --- |", ...rows].join("\n");
}

/** The page of certificates: definitions, the table of all methods, and why some have none. */
export function certificatePage(certified: readonly Certified[]): string {
  const applies = certified.filter(({ certificates }) => reasonForNone(certificates) === null);
  const shapes = [...new Map(tasks.map(({ shape }) => [shape.id, shape])).values()];
  const list = shapes.map(({ title, stops }) => `  - ${title} (${stops ? "the policy stops" : "fixed length"})`);
  const table_ = ["## The table", "", ...legend.map((line) => `- ${line}`), "", table(applies)].join("\n");
  return `${[
    intro,
    table_,
    reading.replace("TASKS", list.join("\n")),
    definitions(),
    examples(applies),
    withoutLaw(certified.filter((one) => !applies.includes(one))),
    "This page is written by `apportion certify --out docs`.",
  ].join("\n\n")}\n`;
}

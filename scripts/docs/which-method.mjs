// docs/which-method.md: the decision tree of `apportion advise`, with the columns by which it sees the answers.
import { tellingColumns } from "../../dist/analysis/features.js";
import { placeOf, questions, selectionTree } from "../../dist/methods/survey/selection.js";

const code = (text) => `\`${text}\``;

/** A method of the tree: a link to its page where it is in the catalogue, else its name. */
function named(name, methods) {
  const { id, params } = placeOf(name);
  if (!methods.has(id)) return `${name} (not in the catalogue)`;
  const settings = Object.entries(params).map(([key, value]) => code(`${key}=${value}`));
  const link = `[${id}](methods/${id}.md)`;
  if (id === name) return link;
  return `${link} (${[name, ...settings].join(", ")})`;
}

const leafText = ({ recommend, reason }, methods) =>
  `${recommend.map((name) => named(name, methods)).join(", ")}: ${reason}`;

/** A tree as nested lists, in the order in which it asks. */
function treeLines({ branches, otherwise }, methods, depth = 0) {
  const pad = "  ".repeat(depth);
  const lines = branches.flatMap(({ ask, yes }) =>
    "recommend" in yes
      ? [`${pad}- ${questions[ask]} **Yes** → ${leafText(yes, methods)}`]
      : [`${pad}- ${questions[ask]} **Yes** ↓`, ...treeLines(yes, methods, depth + 1)],
  );
  const rest = otherwise === null ? "go on with the next question" : leafText(otherwise, methods);
  return [...lines, `${pad}- **None of these** → ${rest}`];
}

/** Questions that are seen in something other than one column. */
const seenOtherwise = {
  multi_agent: "`turns.agent` names two agents in one rollout",
  dynamic_team: "rollouts differ in the agents of `turns.agent`",
  single_turn: "no rollout has two `turns`",
  shared_prefixes: "rollouts of a group begin with the same 8 `tokens.id`",
  states_recur: "rollouts of a group share a `turns.state`",
  preference_pairs: "rewards of a group differ",
};

/** The page. */
export function whichMethod(methods) {
  const rows = Object.entries(questions).map(([feature, question]) => {
    const columns = (tellingColumns[feature] ?? []).map(code);
    const signs = [...(feature in seenOtherwise ? [seenOtherwise[feature]] : []), ...columns];
    return `| ${code(feature)} | ${question} | ${signs.length > 0 ? signs.join(", ") : "is asked"} |`;
  });
  return [
    "# Which method for me",
    "",
    "`apportion advise rollouts.jsonl` answers this for a file: it looks at the columns, asks on a terminal what it cannot",
    "see, and gives a ranked short list with reasons, what the file lacks for each method, and the command to run.",
    "In scripts, `--answer KEY=yes` answers beforehand; what nobody answers counts as no.",
    "",
    "The tree was put together from the taxonomy of the survey",
    "[From Reasoning to Agentic](https://arxiv.org/abs/2604.09459); the survey's own tree was not available. Go from top to",
    "bottom and stop at the first **Yes**:",
    "",
    ...treeLines(selectionTree, methods),
    "",
    "Whatever you take, compare it with an episode-level baseline such as [rloo](methods/rloo.md), given the same compute.",
    "`apportion check` holds the report of such a study to a checklist.",
    "",
    "## What the file tells",
    "",
    "| question | in words | seen in |",
    "|---|---|---|",
    ...rows,
    "",
    "Methods by what they need and give: [overview](methods/README.md).",
    "",
  ].join("\n");
}

import { canonicalJson, digest } from "./digest.ts";
import type { ChatMessage, IssuedCall } from "./messages.ts";

/**
 * State before each turn of a conversation with tools, in a form in which two runs of one task can meet.
 *
 * A simulated user words everything anew in every run, so chat text would make every state unique. What the agent knows
 * for certain is what its tools told it: a fact is (tool, arguments, result). The state is the set of facts so far plus
 * the number of user messages since the last new fact. Equal calls with equal results give equal states in whatever
 * order and wording; asking the user once more gives another state; a call that only repeats a known fact, one whose
 * result is empty, and calls to `pureTools` (which look nothing up) teach nothing and leave the state as it was.
 *
 * Written as `FACTSfREPLIESu-DIGEST`, for example `3f1u-9f2ab04c11de`; without facts `0f1u`.
 * @param at numbers of the assistant messages that are turns.
 */
export function toolStates(
  messages: readonly ChatMessage[],
  at: readonly number[],
  pureTools: ReadonlySet<string>,
): string[] {
  const turns = new Set(at);
  const facts = new Set<string>();
  const states: string[] = [];
  let pending: IssuedCall[] = [];
  let replies = 0;
  messages.forEach((message, k) => {
    if (turns.has(k)) states.push(stateName(facts, replies));
    if (message.role === "assistant") pending = [...message.calls];
    else if (message.role === "user" && message.text !== "") replies++;
    else if ((message.role === "tool" || message.role === "function") && !message.hidden) {
      const call = takeAnswered(pending, message);
      const name = call?.name ?? message.name ?? "";
      if (message.text.trim() === "" || pureTools.has(name)) return;
      const fact = canonicalJson([name, call?.arguments ?? null, message.text]);
      if (facts.has(fact)) return;
      facts.add(fact);
      replies = 0;
    }
  });
  return states;
}

/** The call that a tool message answers: by id within the last assistant message, else the first one still open. */
function takeAnswered(pending: IssuedCall[], message: ChatMessage): IssuedCall | undefined {
  const named = message.answers === null ? -1 : pending.findIndex((call) => call.id === message.answers);
  return pending.splice(Math.max(named, 0), 1)[0];
}

function stateName(facts: ReadonlySet<string>, replies: number): string {
  const counts = `${facts.size}f${replies}u`;
  return facts.size === 0 ? counts : `${counts}-${digest([...facts].sort().join("\n"))}`;
}

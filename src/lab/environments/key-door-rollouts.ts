import type { RolloutObject } from "../../rollouts/index.ts";
import { Random } from "../random.ts";
import { callText } from "./calls.ts";
import type { ToolCall } from "./environment.ts";
import {
  KeyDoor,
  type KeyDoorState,
  type KeyDoorTask,
  type KeyDoorVerb,
  keyDoorCall,
  keyDoorVerbs,
} from "./key-door.ts";
import { type KeyDoorPolicy, lockerProbabilities, scaledPolicy, verbProbabilities } from "./key-door-policy.ts";
import { type KeyDoorValues, keyDoorValues } from "./key-door-values.ts";
import { splitWords, Vocabulary } from "./vocabulary.ts";

/** Columns of one level while they grow. */
type Columns = Record<string, unknown[]>;

const push = (columns: Columns, row: Record<string, unknown>) => {
  for (const [name, cell] of Object.entries(row)) {
    const column = columns[name];
    if (column === undefined) columns[name] = [cell];
    else column.push(cell);
  }
};

/** A rollout of the key-door task in the wire format. */
export interface KeyDoorRollout extends RolloutObject {
  reward: number;
  signals: Record<string, number>;
  turns: Columns;
  tokens: Columns;
}

interface Choice {
  call: ToolCall;
  verb: KeyDoorVerb;
  locker: number;
}

function choose(policy: KeyDoorPolicy, task: KeyDoorTask, state: KeyDoorState, random: Random): Choice {
  const verb = keyDoorVerbs[random.choose(verbProbabilities(policy, task, state))];
  const locker = verb === "open" ? 1 + random.choose(lockerProbabilities(policy, task, state)) : 0;
  return { call: keyDoorCall(verb, locker), verb, locker };
}

/** Log-probabilities of the two decisions in a call: the verb and the locker (0 where nothing is left to choose). */
function decisions(policy: KeyDoorPolicy, task: KeyDoorTask, state: KeyDoorState, { verb, locker }: Choice) {
  const verbLogprob = Math.log(verbProbabilities(policy, task, state)[keyDoorVerbs.indexOf(verb)]);
  const lockerLogprob = locker === 0 ? 0 : Math.log(lockerProbabilities(policy, task, state)[locker - 1]);
  return { verb: verbLogprob, locker: lockerLogprob };
}

/** Mean log-probability that the policy would name the right locker if it had to open one now. */
function belief(policy: KeyDoorPolicy, task: KeyDoorTask, state: KeyDoorState): number {
  return Math.log(lockerProbabilities(policy, task, state)[state.parcel - 1]);
}

/** Calls that always find the parcel. */
const goldCalls = (parcel: number) => [keyDoorCall("take"), keyDoorCall("read"), keyDoorCall("open", parcel)];

interface Sampling {
  task: KeyDoorTask;
  policy: KeyDoorPolicy;
  reference: KeyDoorPolicy;
  values: KeyDoorValues;
  vocabulary: Vocabulary;
}

/**
 * Token rows of one turn. `value` is the exact value before the token, `true_advantage` what choosing it changed:
 * only the verb and the locker are choices, so all other tokens have 0.
 */
function pushTokens(tokens: Columns, s: Sampling, state: KeyDoorState, choice: Choice, observation: string): void {
  const { task, values, vocabulary } = s;
  const policy = decisions(s.policy, task, state, choice);
  const reference = decisions(s.reference, task, state, choice);
  const v = values.state(state);
  const afterVerb = values.verb(state, choice.verb);
  const afterCall = choice.locker === 0 ? afterVerb : values.open(state, choice.locker);
  const pieces = splitWords(callText(choice.call));
  pieces.forEach((text, k) => {
    const isVerb = k === 0;
    const isLocker = k === 2 && choice.locker !== 0;
    push(tokens, {
      id: vocabulary.id(text),
      text,
      mask: 1,
      logprob: isVerb ? policy.verb : isLocker ? policy.locker : 0,
      ref_logprob: isVerb ? reference.verb : isLocker ? reference.locker : 0,
      value: isVerb ? v : k <= 2 ? afterVerb : afterCall,
      true_advantage: isVerb ? afterVerb - v : isLocker ? afterCall - afterVerb : 0,
    });
  });
  for (const text of splitWords(` ${observation}`)) {
    const row = { id: vocabulary.id(text), text, mask: 0, logprob: 0, ref_logprob: 0 };
    push(tokens, { ...row, value: afterCall, true_advantage: 0 });
  }
}

function sampleRollout(s: Sampling, place: { id: string; group: string; seed: number }): KeyDoorRollout {
  const { task, policy, values } = s;
  const environment = new KeyDoor(task);
  environment.reset(place.seed);
  const random = new Random(~place.seed); // the policy draws apart from the environment
  let { state } = environment.snapshot();
  const { parcel } = state;
  const start = { belief: belief(policy, task, state), value: values.state(state) };
  const tokens: Columns = {};
  const turns: Columns = {};
  const messages: unknown[] = [{ role: "user", content: environment.prompt }];
  while (!state.done) {
    const view = environment.view();
    const choice = choose(policy, task, state, random);
    const { call } = choice;
    const { observation, reward } = environment.step(callText(call));
    pushTokens(tokens, s, state, choice, observation);
    const value = values.state(state);
    const q = choice.locker === 0 ? values.verb(state, choice.verb) : values.open(state, choice.locker);
    ({ state } = environment.snapshot());
    push(turns, {
      end: tokens.id.length,
      state: view,
      text: callText(call),
      observation,
      tool_calls: [call],
      reward,
      gt_logprob: belief(policy, task, state),
      value,
      true_advantage: q - value,
      luck: (state.done ? reward : values.state(state)) - q,
    });
    const id = `call_${turns.end.length}`;
    const issued = { id, type: "function", function: { name: call.name, arguments: JSON.stringify(call.arguments) } };
    messages.push({ role: "assistant", content: null, tool_calls: [issued] });
    messages.push({ role: "tool", tool_call_id: id, content: observation });
  }
  return {
    id: place.id,
    group: place.group,
    reward: environment.verify(),
    signals: { gt_logprob_0: start.belief, value_0: start.value },
    turns,
    tokens,
    messages,
    meta: { environment: "key-door", task, seed: place.seed, parcel, gold_calls: goldCalls(parcel) },
  };
}

export interface KeyDoorSampleOptions {
  tasks: readonly KeyDoorTask[];
  /** Rollouts per task: one group each. */
  size: number;
  policy: KeyDoorPolicy;
  seed: number;
}

/**
 * Groups of rollouts of a policy in the key-door task, one group per task, in the wire format. Each carries
 * `tokens.{id,text,mask,logprob,ref_logprob,value}`,
 * `turns.{state,text,observation,tool_calls,reward,gt_logprob,value}`, `signals.{gt_logprob_0,value_0}`,
 * `meta.gold_calls`, `messages`, and the exact truth: `turns.true_advantage` = Q − V, `turns.luck` = what chance
 * added, `tokens.true_advantage`. reward = value_0 + Σ true_advantage + Σ luck. The reference policy is the same with
 * half its logits. Equal seeds give equal rollouts.
 */
export function* sampleKeyDoor(options: KeyDoorSampleOptions): Generator<KeyDoorRollout> {
  const { tasks, size, policy, seed } = options;
  const reference = scaledPolicy(policy, 0.5);
  const vocabulary = new Vocabulary();
  const seeds = new Random(seed);
  for (const task of tasks) {
    const sampling = { task, policy, reference, values: keyDoorValues(task, policy), vocabulary };
    const group = `${task.lockers}-lockers-${task.turns}-turns`;
    for (let k = 0; k < size; k++) {
      const id = `${group}-${String(k + 1).padStart(String(size).length, "0")}`;
      yield sampleRollout(sampling, { id, group, seed: seeds.bits() });
    }
  }
}

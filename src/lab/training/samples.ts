import type { Environment } from "../environments/environment.ts";
import type { Policy } from "../policies/policy.ts";
import { Random } from "../random.ts";
import type { Episode, Stage, Start } from "./episodes.ts";
import { play } from "./episodes.ts";

/**
 * One more episode from each start, played by a policy: its reward, and the turns that took. Starts that are alike are played
 * once when the likeliest actions are taken.
 */
export function replayed(
  stage: Stage,
  policy: Policy,
  episodes: readonly Episode[],
  temperature: number,
): { rewards: Float64Array; turns: number } {
  const byStart = new Map<string, number>();
  const starts: Start[] = [];
  const places = episodes.map(({ start }) => {
    const key = temperature === 0 ? `${start.seed} ${start.task}` : `${start.seed} ${start.task} ${start.draw}`;
    const place = byStart.get(key) ?? starts.push({ ...start, draw: ~start.draw }) - 1;
    byStart.set(key, place);
    return place;
  });
  const played = play(stage, policy, starts, { sampling: { temperature } });
  return {
    rewards: Float64Array.from(places, (place) => played[place].reward),
    turns: played.reduce((sum, { turns }) => sum + turns.length, 0),
  };
}

/** Mean rewards of continuations. */
export interface Continued {
  /** Reward so far plus the mean of what came after each action, [episode][action]; after the last one the reward itself. */
  after: number[][];
  /** The same before the first action. */
  before: Float64Array;
  /** How many of the continuations after each action ended with more than half of the reward, [episode][action]. */
  right: number[][];
  /** Turns that were played for it. */
  turns: number;
}

/** Plays on from a state with a policy that goes by the view alone. */
function playOn(environment: Environment, policy: Policy, random: Random): { reward: number; turns: number } {
  const session = policy.session();
  const slot = session.open(environment.prompt);
  let reward = 0;
  let turns = 0;
  for (let done = false; !done; turns++) {
    const [{ action }] = session.choose([{ slot, view: environment.view(), actions: environment.actions(), random }]);
    const result = environment.step(action);
    reward += result.reward;
    done = result.done;
  }
  session.close(slot);
  return { reward, turns };
}

/**
 * Monte Carlo values after every action: `samples` continuations from each snapshot. For policies that choose by what they
 * know now; the chance of the environment goes on from where the snapshot left it, each continuation with actions of its own.
 */
export function continuations(
  stage: Stage,
  policy: Policy,
  episodes: readonly Episode[],
  samples: number,
  random: Random,
): Continued {
  const environment = stage.first;
  const out: Continued = { after: [], before: new Float64Array(episodes.length), right: [], turns: 0 };
  const run = (soFar: number, begin: () => void) => {
    let sum = 0;
    let right = 0;
    for (let k = 0; k < samples; k++) {
      begin();
      const { reward, turns } = playOn(environment, policy, new Random(random.bits()));
      sum += reward;
      right += soFar + reward > 0.5 ? 1 : 0;
      out.turns += turns;
    }
    return { value: soFar + sum / samples, right };
  };
  episodes.forEach((episode, i) => {
    const { start, actions, snapshots } = episode;
    const task = (environment.tasks ?? 1) > 1 ? start.task : undefined;
    out.before[i] = run(0, () => environment.reset(start.seed, task)).value;
    let soFar = 0;
    const found = actions.map(({ reward }, t) => {
      soFar += reward;
      if (t === actions.length - 1) return { value: soFar, right: soFar > 0.5 ? samples : 0 };
      return run(soFar, () => environment.restore(snapshots[t]));
    });
    out.after.push(found.map(({ value }) => value));
    out.right.push(found.map(({ right }) => right));
  });
  return out;
}

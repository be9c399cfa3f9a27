import type { Choice, Solved, Trajectory } from "./tasks.ts";

/** A token of the policy; those that decide nothing follow with certainty. */
export interface EpisodeToken {
  id: number;
  choice: Choice | null;
  /** E[total] with everything up to and with this token known. */
  after: number;
  /** What is paid for this token. */
  reward: number;
}

/** A turn of an episode (it is a step and a state too), and the tokens that it is made of. */
export interface EpisodeTurn {
  choice: Choice;
  agent: string;
  /** What the policy has seen before it, and a name for what it leads to. */
  state: string;
  node: string;
  tokens: readonly EpisodeToken[];
}

export interface Episode {
  solved: Solved;
  trajectory: Trajectory;
  turns: readonly EpisodeTurn[];
}

export const agents = ["ann", "bob"] as const;

/** Numbers of tokens that decide nothing: not those of letters. */
const idle = 7;

const known = new WeakMap<Solved, readonly Episode[]>();

/** All trajectories of a solved task as episodes: the same objects every time. */
export function episodesOf(solved: Solved): readonly Episode[] {
  let episodes = known.get(solved);
  if (episodes === undefined) {
    episodes = solved.trajectories.map((trajectory) => episodeOf(solved, trajectory));
    known.set(solved, episodes);
  }
  return episodes;
}

/** Changes of an episode by name, so that equal changes give the same object. */
const variants = new WeakMap<Episode, Map<string, Episode>>();

function variant(episode: Episode, name: string, make: () => Episode): Episode {
  let made = variants.get(episode);
  if (made === undefined) {
    made = new Map();
    variants.set(episode, made);
  }
  let found = made.get(name);
  if (found === undefined) {
    found = make();
    made.set(name, found);
  }
  return found;
}

/** A trajectory as an episode with one token per choice; the agents take turns. */
function episodeOf(solved: Solved, trajectory: Trajectory): Episode {
  const turns = trajectory.choices.map((choice, t) => ({
    choice,
    agent: agents[t % agents.length],
    state: choice.state,
    node: choice.node,
    tokens: [
      {
        id: choice.action.charCodeAt(0),
        choice,
        after: solved.expected(choice.node),
        reward: choice.reward,
      },
    ],
  }));
  return { solved, trajectory, turns };
}

/** Where the token that says nothing stands in a turn that is to be cut: before the choice, or after it. */
export type Idle = "before" | "after";

/** The turn with one more token that decides nothing; what is paid is paid for the last token. */
function withIdle(turn: EpisodeTurn, place: Idle): EpisodeTurn {
  const [decides] = turn.tokens;
  if (place === "before") {
    const silent = { id: idle, choice: null, after: turn.choice.expected, reward: 0 };
    return { ...turn, tokens: [silent, decides] };
  }
  const silent = { id: idle, choice: null, after: decides.after, reward: decides.reward };
  return { ...turn, tokens: [{ ...decides, reward: 0 }, silent] };
}

const replaced = (episode: Episode, at: number, ...turns: EpisodeTurn[]): Episode => ({
  ...episode,
  turns: [...episode.turns.slice(0, at), ...turns, ...episode.turns.slice(at + 1)],
});

/** The episode with two tokens in turn `at`, one of which decides nothing. */
export function widened(episode: Episode, at: number, place: Idle): Episode {
  return variant(episode, `wide ${at} ${place}`, () => replaced(episode, at, withIdle(episode.turns[at], place)));
}

/** The same tokens, with turn `at` cut in two between them; both parts are the same agent's. */
export function cut(episode: Episode, at: number, place: Idle): Episode {
  const turn = withIdle(episode.turns[at], place);
  const [first, second] = turn.tokens;
  const between = place === "before" ? `${turn.state}~` : turn.node;
  const end = place === "before" ? turn.node : `${turn.node}~`;
  return variant(episode, `cut ${at} ${place}`, () =>
    replaced(
      episode,
      at,
      { ...turn, node: between, tokens: [first] },
      { ...turn, state: between, node: end, tokens: [second] },
    ),
  );
}

/** The episode with tokens that decide nothing at its end, in its last turn; what was paid last is paid for the last. */
export function lengthened(episode: Episode, count: number): Episode {
  const at = episode.turns.length - 1;
  const turn = episode.turns[at];
  const last = turn.tokens[turn.tokens.length - 1];
  const more = Array.from({ length: count }, (_, k) => ({
    id: idle,
    choice: null,
    after: last.after,
    reward: k === count - 1 ? last.reward : 0,
  }));
  const tokens = [...turn.tokens.slice(0, -1), { ...last, reward: 0 }, ...more];
  return variant(episode, `longer ${count}`, () => replaced(episode, at, { ...turn, tokens }));
}

/** The episode with the names of its agents exchanged. */
export function renamed(episode: Episode): Episode {
  const other = (agent: string) => (agent === agents[0] ? agents[1] : agents[0]);
  const turns = episode.turns.map((turn) => ({ ...turn, agent: other(turn.agent) }));
  return variant(episode, "renamed", () => ({ ...episode, turns }));
}

/** The episode with its turns in the opposite order, each with all that belongs to it. */
export function reversed(episode: Episode): Episode {
  return variant(episode, "reversed", () => ({ ...episode, turns: [...episode.turns].reverse() }));
}

import { z } from "zod";
import { ticTacToeOptimalMoves } from "../../methods/verifier/tic-tac-toe.ts";
import { callText } from "./calls.ts";
import { cellList, cellName, cellNames } from "./cells.ts";
import { defineEnvironment } from "./entry.ts";
import type { EnvironmentFacts, ToolCall } from "./environment.ts";
import { type Clock, type Rules, RulesEnvironment } from "./rules.ts";

export interface TicTacToeState extends Clock {
  /** Nine characters X (the agent), O and . (empty). */
  board: string;
  /** Outcome so far: 1 won, 0.5 drawn, 0 lost or open. */
  score: number;
}

const facts: EnvironmentFacts = {
  id: "tic-tac-toe",
  title: "Tic-tac-toe",
  task: "Three in a row against an opponent who plays at random, perfectly, or in between. A win counts 1, a draw 0.5.",
  horizon: "5 turns at most (4 when the opponent begins)",
  branching: "9; empty cells at a time",
  observability: "full",
  decisive: "where a threat has to be answered or a fork can be made; luck is in the replies",
  level: "turn",
  agents: ["agent"],
};

const params = z.object({
  skill: z.number().min(0).max(1).default(0).describe("chance that a reply is a best one; else it is random"),
  first: z.boolean().default(true).describe("whether the agent begins"),
  reward: z
    .enum(["outcome", "oracle"])
    .default("outcome")
    .describe("outcome: 1 for a win, 0.5 for a draw; oracle: 1 for every best move"),
});
type Params = z.output<typeof params>;

const other = { X: "O", O: "X" } as const;
const bestMoves = new Map<string, readonly number[]>();

/** Best moves, remembered: minimax from an empty board takes its time. */
function best(board: string, player: "X" | "O"): readonly number[] {
  const key = board + player;
  let moves = bestMoves.get(key);
  if (moves === undefined) {
    ({ moves } = ticTacToeOptimalMoves({ board, player }));
    bestMoves.set(key, moves);
  }
  return moves;
}

const put = (board: string, at: number, mark: string) => board.slice(0, at) + mark + board.slice(at + 1);
const free = (board: string) => [...board].flatMap((mark, at) => (mark === "." ? [at] : []));
const lines = ["012", "345", "678", "036", "147", "258", "048", "246"].map((line) => [...line].map(Number));
const hasLine = (board: string, mark: string) => lines.some((line) => line.every((at) => board[at] === mark));

/** 1 won, 0.5 drawn, 0 lost by the agent; null while the game is open. */
function scoreOf(board: string): number | null {
  if (hasLine(board, "X")) return 1;
  if (hasLine(board, "O")) return 0;
  return board.includes(".") ? null : 0.5;
}

/** Replies of the opponent with their probabilities. */
function replies(board: string, skill: number): { at: number; probability: number }[] {
  const cells = free(board);
  const good = skill > 0 ? best(board, other.X) : [];
  return cells.map((at) => {
    const chosen = good.includes(at) ? skill / good.length : 0;
    return { at, probability: chosen + (1 - skill) / cells.length };
  });
}

const calls: ToolCall[] = Array.from({ length: 9 }, (_, at) => ({
  name: "play",
  arguments: { cell: cellName(at, 3) },
}));
const allActions = calls.map(callText);
const show = (board: string) =>
  [board.slice(0, 3), board.slice(3, 6), board.slice(6)].map((row) => [...row].join(" ")).join(" / ");

/** Rules of the game; the agent is X. */
export function ticTacToeRules({ skill, first, reward }: Params): Rules<TicTacToeState> {
  const judge = ({ board }: TicTacToeState, action: string) =>
    best(board, "X").includes(allActions.indexOf(action)) ? 1 : 0;
  const empty = ".".repeat(9);
  const about = "You are X. Three in a row win. Tool: play(CELL); cells are a1, a2, ... row by row.";
  const endings = new Map([
    [1, "You win."],
    [0.5, "A draw."],
    [0, "You lose."],
  ]);
  return {
    facts,
    horizon: first ? 5 : 4,
    // The opponent's first move is random for any skill: against best play all nine openings are a draw.
    starts: () => ({
      count: first ? 1 : 9,
      state: (k) => ({ turn: 0, done: false, board: first ? empty : put(empty, k, other.X), score: 0 }),
    }),
    prompt: () => about,
    calls,
    allActions,
    actions: ({ board }) => free(board).map((at) => allActions[at]),
    view: ({ board }) =>
      cellList(
        [...board].map((mark) => (mark === "." ? null : mark)),
        3,
      ),
    moves: (state, action) => {
      const played = put(state.board, allActions.indexOf(action), "X");
      const ends = (board: string, probability: number) => {
        const score = scoreOf(board);
        const done = score !== null;
        const next = { ...state, board, done, score: score ?? 0 };
        const observation = done ? `${show(board)} ${endings.get(next.score)}` : show(board);
        return {
          probability,
          state: next,
          observation,
          reward: reward === "oracle" ? judge(state, action) : next.score,
        };
      };
      if (scoreOf(played) !== null) return [ends(played, 1)];
      return replies(played, skill).map(({ at, probability }) => ends(put(played, at, other.X), probability));
    },
    wasted: "There is no such empty cell.",
    late: "Time is up.",
    texts: () => [`${about} You win. A draw. You lose.`, "X / O . ,", "O", ".", "empty", ...cellNames(9, 3)],
    verify: ({ score }) => score,
    judge,
  };
}

/**
 * Tic-tac-toe as X; `play(CELL)`, cells by names such as `b3`. The opponent replies with a best move with probability
 * `skill`, else at random.
 *
 * Horizon: at most 5 turns, 4 when the opponent begins. Branching: empty cells. Observability: full. The decisive
 * choices are the threats and forks; luck is in the replies, so all outcomes are known exactly. Verdicts: 1 for every move
 * that exact minimax finds best.
 */
export const ticTacToe = defineEnvironment({
  facts,
  params,
  make: (given) => new RulesEnvironment(ticTacToeRules(given)),
});

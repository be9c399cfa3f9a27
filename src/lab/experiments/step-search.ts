import { mctsStarBackup, mctsStarSimulate, mctsStarUct, weightedReward } from "../../methods/tree/rest-mcts.ts";
import { gaussian } from "../gaussian.ts";
import type { Random } from "../random.ts";

export const stepsPerTask = 5;
const rightChance = 0.4;
const noise = 0.15;
const branch = 3;
const forwardSteps = 2;
const alpha = 0.5;
const constant = 0.7;
const endGate = 0.9;
const mostRounds = 1000;

/** A prefix of a solution. */
interface Prefix {
  depth: number;
  /** Steps before the first wrong one. */
  sound: number;
  /** Inferred value. */
  inferred: number;
  /** What the value model says. */
  seen: number;
}

interface Node {
  prefix: Prefix;
  value: number;
  visits: number;
  children: Node[];
}

const root: Prefix = { depth: 0, sound: 0, inferred: 0, seen: 0 };

/** One proposed step after a prefix, and the noisy value of the longer prefix. */
function propose({ depth, sound, inferred }: Prefix, random: Random): Prefix {
  const right = sound === depth && random.uniform() < rightChance;
  const { value } = weightedReward({
    prev_value: inferred,
    distance: right ? stepsPerTask - sound - 1 : stepsPerTask - sound,
    error: right ? 0 : 1,
  });
  const seen = Math.min(1, Math.max(0, value + noise * gaussian(random)));
  return { depth: depth + 1, sound: right ? sound + 1 : sound, inferred: value, seen };
}

const isSolved = ({ sound }: Prefix) => sound === stepsPerTask;

function bestBy<T>(items: readonly T[], score: (item: T) => number): T | undefined {
  return items.reduce<T | undefined>(
    (best, item) => (best === undefined || score(item) > score(best) ? item : best),
    undefined,
  );
}

/** Whether the best of some complete chains by the value model is right. */
export function bestOf(chains: number, random: Random): boolean {
  const ends = Array.from({ length: chains }, () => {
    let prefix = root;
    while (prefix.depth < stepsPerTask) prefix = propose(prefix, random);
    return prefix;
  });
  const best = bestBy(ends, ({ seen }) => seen);
  return best !== undefined && isSolved(best);
}

/** The child with the largest selection score. */
function choose(node: Node): Node {
  const scores = mctsStarUct({
    values: node.children.map(({ value }) => value),
    visits: node.children.map(({ visits }) => visits),
    parent_visits: Math.max(1, node.visits),
    exploration_constant: constant,
  });
  return node.children[scores.indexOf(Math.max(...scores))];
}

/** Whether MCTS* answers rightly within a budget of proposed steps. */
export function search(budget: number, random: Random): boolean {
  const top: Node = { prefix: root, value: 0, visits: 1, children: [] };
  const ends: { prefix: Prefix; value: number }[] = [];
  let left = budget;
  for (let round = 0; round < mostRounds && left > 0; round++) {
    const way = [top];
    let node = top;
    while (node.children.length > 0) {
      node = choose(node);
      way.push(node);
    }
    if (node.prefix.depth === stepsPerTask) {
      if (node.value >= endGate) return isSolved(node.prefix);
      node.visits++;
    } else {
      for (let k = 0; k < branch && left > 0; k++, left--) {
        const prefix = propose(node.prefix, random);
        node.children.push({ prefix, value: prefix.seen, visits: 0, children: [] });
        if (prefix.depth === stepsPerTask) ends.push({ prefix, value: prefix.seen });
      }
      left -= simulate(choose(node), left, ends, random);
    }
    for (const above of way.reverse()) {
      if (above.children.length === 0) continue;
      above.visits++;
      above.value = mctsStarBackup({
        values: above.children.map(({ value }) => value),
        visits: above.children.map(({ visits }) => visits),
        current: above.value,
      });
    }
  }
  const best = bestBy(ends, ({ value }) => value);
  return best !== undefined && isSolved(best.prefix);
}

/** Steps ahead of a new child, one proposal each; its value takes in what they show. Returns the proposals used. */
function simulate(node: Node, left: number, ends: { prefix: Prefix; value: number }[], random: Random): number {
  node.visits++;
  if (node.prefix.depth === stepsPerTask) return 0;
  const simulated: number[] = [];
  let prefix = node.prefix;
  for (let k = 0; k < forwardSteps && k < left && prefix.depth < stepsPerTask; k++) {
    prefix = propose(prefix, random);
    simulated.push(prefix.seen);
    if (prefix.depth === stepsPerTask) ends.push({ prefix, value: prefix.seen });
  }
  node.value = mctsStarSimulate({ value: node.value, simulated, alpha });
  return simulated.length;
}

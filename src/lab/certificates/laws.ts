import type { LawId } from "./certificate.ts";

/** A law in words. */
export interface LawText {
  /** Head of its column in the table. */
  column: string;
  title: string;
  /** What a yes says. */
  meaning: string;
  /** How it is checked, exactly. */
  definition: string;
}

export const lawTexts: Readonly<Record<LawId, LawText>> = {
  "unbiased-fixed": {
    column: "fixed",
    title: "unbiased where every episode is equally long",
    meaning: "on average the policy gradient is the exact one",
    definition:
      "E[Σ over rollouts and tokens of credit × weight × ∇ log π] / rollouts, summed over all groups with their probabilities, equals c × ∂ E[total] / ∂ θ, where c > 0 is the same for every policy and all rewards (it may depend on the size of the group and on the length of the episodes). `factor`: the direction is right, c is not the same. `no`: the direction is wrong.",
  },
  "unbiased-stop": {
    column: "stop",
    title: "unbiased where the policy decides when to stop",
    meaning: "on average the policy gradient is the exact one, although rollouts differ in length",
    definition: "The same on tasks where an action ends the episode.",
  },
  "zero-mean": {
    column: "mean",
    title: "zero mean in a group",
    meaning: "what one rollout of a group gains, the others lose",
    definition:
      "In every group (for methods without groups: in every call) the credits of the rollouts sum to 0. Where tokens of a rollout differ in credit, either their mean or their sum may stand for the rollout, the same one in all cases.",
  },
  split: {
    column: "split",
    title: "does not care how steps are cut",
    meaning: "cutting a turn in two where nothing happens changes nothing",
    definition:
      "A turn holds two tokens, one of which decides nothing. It is cut between them; values, states and likelihoods of the new boundary are those that are known there, the reward stays with the last part. Either every deciding token of the group keeps its credit × weight, or the sum over the two tokens and all other tokens keep theirs, the same in all cases.",
  },
  exchangeable: {
    column: "agents",
    title: "agents are exchangeable",
    meaning: "an agent's name, or its place in line, earns nothing",
    definition:
      "Two agents exchange their names: every token keeps its credit × weight. Where no column of the method says what came before, two turns change places with all that belongs to them: each takes its credit along.",
  },
  "length-neutral": {
    column: "length",
    title: "length-neutral",
    meaning: "padding a response changes no credit",
    definition:
      "Two tokens that decide nothing (log-probability 0, no reward of their own) are put at the end of one response: credit × weight of every deciding token of the group stays. `factor`: all of the group are multiplied by one factor.",
  },
  shaping: {
    column: "shaping",
    title: "unchanged by potential shaping",
    meaning: "γΦ(s′) − Φ(s) on top of the rewards of steps leaves the expected gradient alone",
    definition:
      "γΦ(after) − Φ(before) is added to the reward of every step, with Φ = 0 at the end and the method's own γ (1 where it has none). The expected gradient over all groups stays; single credits may change.",
  },
  scale: {
    column: "scale",
    title: "unchanged by the scale of rewards",
    meaning: "rewards in cents or in euros give the same credit",
    definition:
      "Every reward, and every exact value of it, is multiplied by 0.5 or by 3: every credit × weight stays. `factor`: each is multiplied by that same number. Chances and likelihoods are no rewards and stay.",
  },
  shift: {
    column: "shift",
    title: "unchanged by a shift of outcomes",
    meaning: "a bonus for everyone changes nothing",
    definition:
      "0.25, −0.5 or 1 is added to the outcome of every rollout (to its last reward where step rewards are read), and to every exact value of it: every credit × weight stays.",
  },
};

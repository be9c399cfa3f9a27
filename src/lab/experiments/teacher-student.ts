import { leaveOneOut } from "../../methods/group/rloo.ts";
import type { Random } from "../random.ts";

/** A kind of question: what it asks for, and how easy it is. Without features it is solved by luck alone. */
export interface QuestionKind {
  features: readonly number[];
  offset: number;
}

export const skills = 5;
const answersPerQuestion = 16;
const studentRate = 1;

/** A student: what it can do. Success at a question is sigmoid(ability · features + offset). */
export type Ability = Float64Array;

export function success(ability: Ability, { features, offset }: QuestionKind): number {
  let logit = offset;
  for (let k = 0; k < features.length; k++) logit += ability[k] * features[k];
  return 1 / (1 + Math.exp(-logit));
}

export function meanSuccess(ability: Ability, questions: readonly QuestionKind[]): number {
  return questions.reduce((sum, question) => sum + success(ability, question), 0) / questions.length;
}

/** Answers to one question: 1 for a right one. */
export function answer(ability: Ability, question: QuestionKind, count: number, random: Random): number[] {
  const p = success(ability, question);
  return Array.from({ length: count }, () => (random.uniform() < p ? 1 : 0));
}

/** A student after some RLOO steps on a set of questions, each answered 16 times a step; gradients are averaged. */
export function practise(from: Ability, questions: readonly QuestionKind[], steps: number, random: Random): Ability {
  const ability = from.slice();
  const gradient = new Float64Array(skills);
  for (let step = 0; step < steps; step++) {
    gradient.fill(0);
    for (const question of questions) {
      if (question.features.length === 0) continue;
      const p = success(ability, question);
      const rewards = answer(ability, question, answersPerQuestion, random);
      if (rewards.every((r) => r === rewards[0])) continue;
      const weight = leaveOneOut({ rewards }).reduce((sum, a, i) => sum + a * (rewards[i] - p), 0);
      const scale = weight / (answersPerQuestion * questions.length);
      for (let k = 0; k < skills; k++) gradient[k] += scale * question.features[k];
    }
    for (let k = 0; k < skills; k++) ability[k] += studentRate * gradient[k];
  }
  return ability;
}

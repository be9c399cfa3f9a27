import { z } from "zod";
import { logSumExp } from "../../operators/scalars.ts";
import { InputError } from "../../rollouts/index.ts";
import { functionArgs } from "../arguments.ts";

/** One matrix per depth d: A^d rows (prefixes of length d in lexicographic order), A columns (symbols). */
const treeOf = (cell: z.ZodNumber) => z.array(z.array(z.array(cell)));

/**
 * Number of symbols of a token tree.
 * @throws InputError when a matrix has not A^d rows of A numbers.
 */
function symbolsOf(tree: readonly (readonly (readonly number[])[])[], name: string): number {
  const symbols = tree[0]?.[0]?.length ?? 0;
  let rows = 1;
  for (let d = 0; d < tree.length; d++, rows *= symbols) {
    const at = `argument ${name} has the wrong shape at depth ${d}`;
    if (tree[d].length !== rows) throw new InputError(at, { expected: `${rows} rows`, got: `${tree[d].length}` });
    const odd = tree[d].find((row) => row.length !== symbols || symbols === 0);
    if (odd !== undefined) {
      throw new InputError(at, { expected: `rows of ${Math.max(symbols, 1)} numbers`, got: `${odd.length}` });
    }
  }
  return symbols;
}

const softQArgs = z.object({
  reward: treeOf(z.number()),
  ref: treeOf(z.number().positive("a probability above 0")),
  beta: z.number().positive().default(0.1),
});

/** β log Σ e^(x / β); the maximum comes off before the division, so that a small β does not overflow. */
function softMax(row: readonly number[], beta: number): number {
  const top = row.reduce((a, b) => Math.max(a, b));
  return top + beta * logSumExp(row.map((x) => (x - top) / beta));
}

interface SoftQ {
  /** V of every prefix, per depth. */
  value: number[][];
  /** Q of every prefix and symbol, per depth. */
  q: number[][][];
  /** The soft-optimal policy exp((Q − V) / β). */
  policy: number[][][];
}

/**
 * Soft-optimal values of a finite token tree of depth D over A symbols, backward from V = 0 after the last token:
 * Q[d] = reward[d] + β log ref[d] + V[d + 1], V[d] = β log Σ_a exp(Q[d] / β) (arXiv 2404.12358).
 * Row Σ_i a_i A^{d−1−i} of depth d is the prefix a_0 … a_{d−1}; rows of `ref` need not sum to 1.
 */
export function softQ(args: z.input<typeof softQArgs>): SoftQ {
  const { reward, ref, beta } = functionArgs(softQArgs, args);
  const symbols = symbolsOf(reward, "reward");
  if (symbolsOf(ref, "ref") !== symbols || ref.length !== reward.length) {
    throw new InputError("argument ref has another shape than reward", {
      expected: `${reward.length} depths of ${symbols} symbols`,
    });
  }
  const out: SoftQ = { value: [], q: [], policy: [] };
  let after: readonly number[] = [];
  for (let d = reward.length - 1; d >= 0; d--) {
    const known = after;
    const worth = (s: number, r: number, a: number) =>
      r + beta * Math.log(ref[d][s][a]) + (known[s * symbols + a] ?? 0);
    const q = reward[d].map((row, s) => row.map((r, a) => worth(s, r, a)));
    const value = q.map((row) => softMax(row, beta));
    out.q.unshift(q);
    out.value.unshift(value);
    out.policy.unshift(q.map((row, s) => row.map((x) => Math.exp((x - value[s]) / beta))));
    after = value;
  }
  return out;
}

const beamArgs = z.object({
  logprob: treeOf(z.number().max(1e-6, "a log-probability of at most 0")),
  width: z.number().int().min(1).default(1),
});

/**
 * Beam search on a token tree: keeps the `width` prefixes of largest summed log-probability per depth (equal sums: the
 * lexicographically smaller prefix first) and returns the best full sequence of symbols with its sum.
 * Among prefixes of equal length this ranks as search guided by the soft value does (arXiv 2404.12358).
 */
export function beamSearch(args: z.input<typeof beamArgs>): { sequence: number[]; score: number } {
  const { logprob, width } = functionArgs(beamArgs, args);
  const symbols = symbolsOf(logprob, "logprob");
  let beams = [{ row: 0, score: 0 }];
  for (const matrix of logprob) {
    beams = beams
      .flatMap(({ row, score }) => matrix[row].map((x, a) => ({ row: row * symbols + a, score: score + x })))
      .sort((a, b) => b.score - a.score || a.row - b.row)
      .slice(0, width);
  }
  const [{ row, score }] = beams;
  const sequence: number[] = [];
  for (let d = 0, rest = row; d < logprob.length; d++, rest = Math.floor(rest / symbols))
    sequence.unshift(rest % symbols);
  return { sequence, score };
}

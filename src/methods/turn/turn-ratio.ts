import { z } from "zod";
import { InputError } from "../../rollouts/index.ts";
import { bit, functionArgs, numberList, sameLength } from "../arguments.ts";

const turnRatioArgs = z.object({
  logprob: numberList,
  old_logprob: numberList,
  end: z.array(z.int().positive()),
  mask: z.array(bit).optional(),
  form: z.enum(["token", "geometric", "product"]).default("geometric"),
});

/**
 * Importance ratio of every token for a loss that is clipped by turns: exp of the log-ratio of the token (`token`), of its
 * mean over the policy tokens of the turn (`geometric`), or of their sum (`product`). 0 on tokens of the environment.
 * @throws InputError when the lengths differ, the ends do not cut the tokens into turns, or a ratio overflows.
 */
export function turnRatio(args: z.input<typeof turnRatioArgs>): number[] {
  const { logprob, old_logprob, end, mask = logprob.map(() => 1), form } = functionArgs(turnRatioArgs, args);
  sameLength({ logprob, old_logprob, mask });
  const ordered = end.every((e, k) => e > (k === 0 ? 0 : end[k - 1]));
  if (!ordered || (end.at(-1) ?? 0) !== logprob.length)
    throw new InputError("argument end not valid", {
      expected: `rising offsets up to ${logprob.length}`,
      got: JSON.stringify(end),
    });
  const out = logprob.map(() => 0);
  let from = 0;
  for (const to of end) {
    let sum = 0;
    let n = 0;
    for (let t = from; t < to; t++) {
      if (mask[t] === 0) continue;
      sum += logprob[t] - old_logprob[t];
      n++;
    }
    const shared = form === "geometric" ? sum / n : sum;
    for (let t = from; t < to; t++) {
      if (mask[t] === 1) out[t] = Math.exp(form === "token" ? logprob[t] - old_logprob[t] : shared);
    }
    from = to;
  }
  if (out.every(Number.isFinite)) return out;
  throw new InputError("a ratio is not a finite number", { hint: "the log-probabilities are too far apart" });
}

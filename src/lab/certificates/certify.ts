import type { Method } from "../../methods/method.ts";
import { type Certificate, type Finding, type LawId, lawIds, notApplicable } from "./certificate.ts";
import { exchangeable, lengthNeutral, scaleLaw, shiftLaw, splitLaw, zeroMean } from "./group-laws.ts";
import { type Setting, settingOf } from "./setting.ts";
import { shapingLaw } from "./shaping.ts";
import { specials } from "./specials.ts";
import { unbiased } from "./unbiased.ts";

const laws: Readonly<Record<LawId, (setting: Setting) => Finding>> = {
  "unbiased-fixed": (setting) => unbiased(setting, false),
  "unbiased-stop": (setting) => unbiased(setting, true),
  "zero-mean": zeroMean,
  split: splitLaw,
  exchangeable,
  "length-neutral": lengthNeutral,
  shaping: shapingLaw,
  scale: scaleLaw,
  shift: shiftLaw,
};

/**
 * Checks laws of a credit method by going through every group of every tiny task.
 * @param given parameters that differ from the method's defaults.
 * @throws InputError for parameters that the method does not have.
 */
export function certify(
  method: Method,
  given: Readonly<Record<string, unknown>> = {},
  wanted: readonly LawId[] = lawIds,
): Certificate[] {
  const setting = settingOf(method, given);
  const params = { ...specials[method.id]?.params, ...given };
  return wanted.map((law) => {
    const found = typeof setting === "string" ? notApplicable(setting) : laws[law](setting);
    return {
      method: method.id,
      params,
      law,
      verdict: found.verdict,
      exactOnly: found.exactOnly ?? false,
      reason: found.reason ?? null,
      cases: found.cases ?? 0,
      largest: found.largest ?? 0,
      notes: found.notes ?? [],
      counterexample: found.counterexample ?? null,
    };
  });
}

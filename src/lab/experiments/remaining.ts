/** Cards whose claim has no experiment yet, each with the reason. Every card is either here or in the registry. */
export const remaining: Readonly<Record<string, string>> = {};

/** Cards whose claim has no experiment yet, each with the reason. Every card is either here or in the registry. */
export const remaining: Readonly<Record<string, string>> = {
  "ctrl-u": "needs a flow model",
  descore: "needs a judge",
  euphonium: "needs a flow model",
  "fl-gfn": "needs a flow model",
  marble: "needs a flow model",
  "regret-preference": "needs a model of preferences or rewards to be trained",
  "soar-diffusion": "needs a flow model",
  vgpo: "needs a flow model",
};

/** The unit that gets credit, and the setting, as the survey sorts its methods. */
export type SurveyGranularity = "token" | "segment" | "step" | "turn" | "agent";
export type SurveyRegime = "reasoning" | "agentic" | "multi-agent";

/** One method of the survey's inventory. */
export interface SurveyMethod {
  name: string;
  arxiv: string;
  granularity: SurveyGranularity;
  regime: SurveyRegime;
  /** False for the six methods that are next to credit assignment rather than about it. */
  core: boolean;
  /** Labels that the paper gives per row and that are not known here. */
  baselineFamily: string | null;
  evidenceLevel: string | null;
}

type Entry = readonly [name: string, arxiv: string];

/** Those of `reasoning` are about single answers. */
const entries: Readonly<Record<SurveyGranularity, { reasoning: readonly Entry[]; others: readonly Entry[] }>> = {
  token: {
    reasoning: [
      ["VinePPO", "2410.01679"],
      ["RED", "2411.08302"],
      ["T-REG", "2412.02685"],
      ["From r to Q*", "2404.12358"],
    ],
    others: [],
  },
  segment: {
    reasoning: [
      ["SPO", "2505.23564"],
      ["SCAR", "2505.20417"],
      ["TEMPO", "2509.18314"],
    ],
    others: [["Adaptive Segment-Level Reward", "2411.00809"]],
  },
  step: {
    reasoning: [
      ["PURE", "2504.08662"],
      ["SPRO", "2507.01551"],
      ["CAPO", "2508.02298"],
      ["ACPO", "2510.08899"],
      ["HICRA", "2509.03646"],
      ["PRL", "2601.10201"],
      ["InT", "2601.14209"],
      ["FinePO", "2601.05688"],
    ],
    others: [
      ["GiGPO", "2505.10978"],
      ["PilotRL", "2508.00344"],
      ["CARL", "2512.04949"],
      ["iStar", "2509.19199"],
      ["StepAgent", "2411.03817"],
      ["LaRe", "2412.16989"],
      ["SPA-RL", "2505.20732"],
      ["Agent Lightning", "2508.03680"],
      ["RAGEN", "2504.20073"],
      ["SCRIBE", "2601.03555"],
      ["PRS", "2512.07478"],
    ],
  },
  turn: {
    reasoning: [],
    others: [
      ["AgentPRM", "2511.08325"],
      ["SWEET-RL", "2503.15478"],
      ["Turn-Level Reward Design", "2505.11821"],
      ["Turn-PPO", "2512.17008"],
      ["SORL", "2511.20718"],
      ["TARL", "2509.14480"],
      ["ITPO", "2603.23550"],
      ["HCAPO", "2603.08754"],
      ["C3", "2603.06859"],
      ["CCPO", "2603.21563"],
      ["CriticSearch", "2511.12159"],
      ["POAD", "2405.15821"],
      ["ArCHer", "2402.19446"],
      ["IGPO", "2510.14967"],
    ],
  },
  agent: {
    reasoning: [],
    others: [
      ["M-GRPO", "2511.13288"],
      ["LLM-MCA", "2502.16863"],
      ["QLLM", "2504.12961"],
      ["SHARP", "2602.08335"],
      ["MAPPA", "2601.23228"],
      ["Dr. MAS", "2602.08847"],
    ],
  },
};

const adjacent = new Set(["Adaptive Segment-Level Reward", "SPA-RL", "Agent Lightning", "RAGEN", "SCRIBE", "PRS"]);

/** The 47 methods of the survey: 41 core ones and 6 next to them. */
export const surveyInventory: readonly SurveyMethod[] = (Object.keys(entries) as SurveyGranularity[]).flatMap(
  (granularity) => {
    const { reasoning, others } = entries[granularity];
    const row = ([name, arxiv]: Entry, regime: SurveyRegime): SurveyMethod => ({
      name,
      arxiv,
      granularity,
      regime,
      core: !adjacent.has(name),
      baselineFamily: null,
      evidenceLevel: null,
    });
    return [
      ...reasoning.map((entry) => row(entry, "reasoning")),
      ...others.map((entry) => row(entry, granularity === "agent" ? "multi-agent" : "agentic")),
    ];
  },
);

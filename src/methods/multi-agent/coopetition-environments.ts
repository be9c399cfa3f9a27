import { InputError } from "../../rollouts/index.ts";

/** How trust and reputation damage move: rates of building, eroding, damage and repair, and two sensitivities. */
export interface TrustRates {
  build: number;
  erode: number;
  damage: number;
  repair: number;
  /** ξ: how much more dependence makes erosion worse. */
  dependence: number;
  /** κ: how sharply a deviation from the baseline is felt. */
  sharpness: number;
}

/** Strength and memory of reciprocity in environments of class 4. */
export interface Reciprocity {
  rho: number;
  eta: number;
  sharpness: number;
  /** Actions remembered. */
  memory: number;
  lambda: number;
  omega: number;
}

/** Why an episode may end before its horizon. */
export type StopRule =
  | { kind: "none" }
  /** Ends when the mean trust over these pairs (i in j; all pairs when null) falls below, or reaches, the level. */
  | { kind: "below" | "reached"; level: number; pairs: readonly (readonly [number, number])[] | null };

export type Extra = "negotiation" | "public-reputation" | "effort" | "loyalty" | "coalition" | "reciprocity" | null;

/** One environment. Lists have one entry per agent; D, trust and damage one row per agent. */
export interface Environment {
  endowments: readonly number[];
  /** Share of the synergy that each agent gets. */
  alpha: readonly number[];
  /** Interdependence: D[i][j] is how much i depends on j. */
  D: readonly (readonly number[])[];
  theta: number;
  /** Strength of the synergy; `null` where every episode has its own. */
  gamma: number | null;
  rates: TrustRates;
  trust: number;
  damage: number;
  /** Actions from which cooperation is measured. */
  baseline: readonly number[];
  horizon: number;
  stop: StopRule;
  extra: Extra;
  reciprocity: Reciprocity | null;
}

function rates(...[build, erode, damage, repair, dependence, sharpness]: number[]): TrustRates {
  return { build, erode, damage, repair, dependence, sharpness };
}

const times = (n: number, x: number) => new Array<number>(n).fill(x);

/** All off-diagonal entries equal. */
function symmetric(n: number, d: number): number[][] {
  return Array.from({ length: n }, (_, i) => Array.from({ length: n }, (_, j) => (i === j ? 0 : d)));
}

type Given = Partial<Environment> & Pick<Environment, "endowments" | "D" | "rates" | "trust" | "baseline" | "horizon">;

/** Fills in what most environments share. */
function environment(given: Given): Environment {
  const n = given.endowments.length;
  return {
    alpha: times(n, 1 / n),
    theta: 20,
    gamma: 0.65,
    damage: 0,
    stop: { kind: "none" },
    extra: null,
    reciprocity: null,
    ...given,
  };
}

function platform(): Environment {
  const D = symmetric(5, 0).map((row, i) =>
    row.map((_, j) => (i === j || (i > 0 && j > 0) ? 0 : i === 0 ? 0.25 : 0.75)),
  );
  const endowments = [150, 80, 80, 80, 80];
  return environment({
    endowments,
    alpha: [0.3, 0.175, 0.175, 0.175, 0.175],
    D,
    theta: 25,
    gamma: 0.75,
    rates: rates(0.08, 0.25, 0.45, 0.02, 0.4, 1),
    trust: 0.6,
    baseline: endowments.map((e) => 0.3 * e),
    horizon: 100,
    stop: { kind: "below", level: 0.15, pairs: [1, 2, 3, 4].map((j) => [j, 0] as const) },
  });
}

/** D01, D10, trust and damage of the phases of the alliance; agents Nissan, Renault. */
const alliancePhases: Readonly<Record<string, readonly [number, number, number, number]>> = {
  formation: [0.78, 0.66, 0.45, 0.05],
  mature: [0.51, 0.66, 0.7, 0.02],
  crisis: [0.35, 0.72, 0.3, 0.45],
  strained: [0.28, 0.65, 0.4, 0.35],
};

const projectPhases: Readonly<Record<string, number>> = { emergence: 8, growth: 15, maturity: 40, evolution: 35 };

function chosen<T>(phases: Readonly<Record<string, T>>, phase: string | null, usual: string): T {
  const name = phase ?? usual;
  if (Object.hasOwn(phases, name)) return phases[name];
  const expected = `one of ${Object.keys(phases).join(", ")}`;
  throw new InputError("unknown phase", { expected, got: JSON.stringify(name) });
}

function alliance(phase: string | null): Environment {
  const [d01, d10, trust, damage] = chosen(alliancePhases, phase, "mature");
  return environment({
    endowments: [90, 100],
    alpha: [0.48, 0.52],
    D: [
      [0, d01],
      [d10, 0],
    ],
    theta: 22,
    gamma: 0.58,
    rates: rates(0.08, 0.25, 0.55, 0.02, 0.5, 1),
    trust,
    damage,
    baseline: [27, 30],
    horizon: 100,
  });
}

/** Teams (class 3). */
function team(n: number, horizon: number, extra: Extra): Environment {
  return environment({
    endowments: times(n, 50),
    D: symmetric(n, 0.55),
    rates: rates(0.1, 0.25, 0.4, 0.02, 0.5, 1),
    trust: 0.5,
    baseline: times(n, 20),
    horizon,
    extra,
  });
}

/** Reciprocity (class 4): ρ0, η, k_r, memory, λ, ω. */
function reciprocal(
  given: Pick<Environment, "endowments" | "D" | "baseline" | "horizon"> & { trust?: number },
  [rho, eta, sharpness, memory, lambda, omega]: readonly number[],
): Environment {
  return environment({
    trust: 0.5,
    ...given,
    rates: rates(0.1, 0.3, 0.6, 0.03, 0.5, 1),
    extra: "reciprocity",
    reciprocity: { rho, eta, sharpness, memory, lambda, omega },
  });
}

/** Two agents with equal endowments of 100 (several environments of classes 1 and 2). */
function pair(
  given: Omit<Partial<Environment>, "D"> & Pick<Environment, "rates" | "trust"> & { d: number; b: number },
) {
  const { d, b, ...rest } = given;
  return environment({ endowments: [100, 100], D: symmetric(2, d), baseline: [b, b], horizon: 100, ...rest });
}

const makers: Readonly<Record<string, (phase: string | null) => Environment>> = {
  PartnerHoldUp: () =>
    environment({
      endowments: [120, 80],
      alpha: [0.6, 0.4],
      D: [
        [0, 0.35],
        [0.85, 0],
      ],
      gamma: 0.6,
      rates: rates(0.1, 0.35, 0.55, 0.025, 0.7, 1.2),
      trust: 0.55,
      baseline: [42, 28],
      horizon: 100,
      stop: { kind: "below", level: 0.1, pairs: [[1, 0]] },
    }),
  PlatformEcosystem: platform,
  DynamicPartnerSelection: () =>
    environment({
      endowments: times(6, 100),
      D: symmetric(6, 0.4),
      theta: 18,
      gamma: 0.55,
      rates: rates(0.12, 0.35, 0.6, 0.015, 0.45, 1.2),
      trust: 0.5,
      baseline: times(6, 35),
      horizon: 50,
    }),
  SynergySearch: () => pair({ d: 0.5, b: 40, gamma: null, rates: rates(0.1, 0.3, 0.6, 0.03, 0.5, 1), trust: 0.55 }),
  RenaultNissan: alliance,
  TrustDilemma: () =>
    pair({
      d: 0.6,
      b: 40,
      gamma: 0.7,
      rates: rates(0.15, 0.45, 0.5, 0.02, 0.6, 1.5),
      trust: 0.5,
      stop: { kind: "below", level: 0.05, pairs: null },
    }),
  RecoveryRace: () =>
    pair({
      d: 0.55,
      b: 35,
      gamma: 0.6,
      rates: rates(0.08, 0.35, 0.7, 0.01, 0.4, 1),
      trust: 0.25,
      damage: 0.5,
      horizon: 150,
      stop: { kind: "reached", level: 0.9, pairs: null },
    }),
  SLCD: () =>
    environment({
      endowments: [100, 100],
      alpha: [0.55, 0.45],
      D: [
        [0, 0.64],
        [0.86, 0],
      ],
      rates: rates(0.08, 0.28, 0.5, 0.02, 0.45, 1),
      trust: 0.65,
      baseline: [30, 30],
      horizon: 100,
    }),
  CooperativeNegotiation: () =>
    pair({
      d: 0.55,
      b: 35,
      gamma: 0.6,
      rates: rates(0.12, 0.4, 0.65, 0.02, 0.55, 1.2),
      trust: 0.5,
      extra: "negotiation",
    }),
  ReputationMarket: () =>
    environment({
      endowments: times(5, 100),
      D: symmetric(5, 0.35),
      theta: 18,
      gamma: 0.5,
      rates: rates(0.1, 0.3, 0.55, 0.015, 0.45, 1),
      trust: 0.5,
      baseline: times(5, 35),
      horizon: 100,
      extra: "public-reputation",
    }),
  TeamProduction: () => team(4, 100, "effort"),
  LoyaltyTeam: () => team(4, 100, "loyalty"),
  CoalitionFormation: () => team(6, 150, "coalition"),
  ApacheProject: (phase) => team(chosen(projectPhases, phase, "maturity"), 60, "loyalty"),
  PublicGoods: () => team(5, 100, "loyalty"),
  ReciprocalDilemma: () =>
    reciprocal(
      { endowments: [100, 100], D: symmetric(2, 0.5), baseline: [30, 30], horizon: 100 },
      [1, 1, 1, 5, 1, 0.6],
    ),
  GiftExchange: () =>
    reciprocal(
      {
        endowments: [100, 80],
        D: [
          [0, 0.4],
          [0.7, 0],
        ],
        baseline: [30, 24],
        horizon: 100,
      },
      [1.2, 1.5, 1, 3, 1.2, 0.8],
    ),
  IndirectReciprocity: () =>
    reciprocal(
      { endowments: times(4, 100), D: symmetric(4, 0.4), baseline: times(4, 30), horizon: 150 },
      [0.8, 1, 1, 7, 1.5, 0.5],
    ),
  GraduatedSanction: () =>
    reciprocal(
      { endowments: times(6, 100), D: symmetric(6, 0.35), baseline: times(6, 40), horizon: 200 },
      [0.6, 1.5, 0.8, 10, 1.8, 1],
    ),
  AppleAppStore: () =>
    reciprocal(
      {
        endowments: [100, 80, 60],
        D: [
          [0, 0.3, 0.2],
          [0.8, 0, 0.15],
          [0.85, 0.1, 0],
        ],
        baseline: [30, 24, 18],
        horizon: 66,
        trust: 0.6,
      },
      [1, 1.2, 0.8, 4, 1, 0.8],
    ),
};

/** Names of all environments. */
export const environmentNames = Object.keys(makers);

const phased: ReadonlySet<string> = new Set(["RenaultNissan", "ApacheProject"]);

/**
 * One of the twenty environments of Coopetition-Gym v1 (arXiv 2605.02063).
 * @param phase of RenaultNissan (default mature) and ApacheProject (default maturity); the others have none.
 * @throws InputError for an unknown environment or phase.
 */
export function coopetitionEnvironment(name: string, phase: string | null = null): Environment {
  if (!Object.hasOwn(makers, name)) {
    const expected = `one of ${environmentNames.join(", ")}`;
    throw new InputError("unknown environment", { expected, got: JSON.stringify(name) });
  }
  if (phase !== null && !phased.has(name)) {
    throw new InputError("unknown phase", { expected: `none (${name} has no phases)`, got: JSON.stringify(phase) });
  }
  return makers[name](phase);
}

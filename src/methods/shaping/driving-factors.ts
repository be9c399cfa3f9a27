import type { Batch, NumericArray } from "../../rollouts/index.ts";

/** Columns of a driving step with what stands in where they are null or absent. */
export interface DrivingColumns {
  completion: NumericArray;
  speed: NumericArray;
  /** −1 where the limit is missing. */
  limit: NumericArray;
  outside: NumericArray;
  ttc: NumericArray;
  comfort: readonly (readonly number[] | null)[];
  distance: NumericArray;
  width: NumericArray;
  side: NumericArray;
  junction: NumericArray;
  offRoad: NumericArray;
  finished: NumericArray;
  /** 1 where a hard event ends the episode; those that also cost the terminal hint; collisions. */
  hard: Uint8Array;
  hinted: Uint8Array;
  collision: Uint8Array;
}

const hardEvents = ["collision", "red_light", "stop_sign", "blocked", "route_deviation", "timeout", "too_close"];
const hintedEvents = new Set(["collision", "red_light", "too_close"]);
const comfortFlags = 6;

function comfortCells(batch: Batch): (readonly number[] | null)[] {
  const path = "steps.comfort_violations";
  if (!batch.has(path)) return new Array(batch.count("step")).fill(null);
  return batch.cells(path).map((cell, row) => {
    if (cell === null || cell === undefined) return null;
    const flags = Array.isArray(cell) ? cell : [];
    if (flags.length !== comfortFlags || flags.some((flag) => flag !== 0 && flag !== 1)) {
      throw batch.wrongValue(path, row, `a list of ${comfortFlags} values 0 or 1`, JSON.stringify(cell));
    }
    return flags as number[];
  });
}

/** Reads the columns of all steps; only `route_completion` is required. */
export function drivingColumns(batch: Batch): DrivingColumns {
  const column = (name: string, neutral: number) =>
    batch.numbers(`steps.${name}`, { absent: neutral, missing: neutral });
  const rows = batch.count("step");
  const hard = new Uint8Array(rows);
  const hinted = new Uint8Array(rows);
  const collision = new Uint8Array(rows);
  for (const name of hardEvents) {
    const event = column(name, 0);
    for (let row = 0; row < rows; row++) {
      if (event[row] === 0) continue;
      hard[row] = 1;
      if (hintedEvents.has(name)) hinted[row] = 1;
      if (name === "collision") collision[row] = 1;
    }
  }
  return {
    completion: batch.numbers("steps.route_completion"),
    speed: column("speed", 0),
    limit: column("speed_limit", -1),
    outside: column("outside_lanes", 0),
    ttc: column("ttc_violation", 0),
    comfort: comfortCells(batch),
    distance: column("lane_distance", 0),
    width: column("lane_width", 3.5),
    side: column("side_distance", 1.75),
    junction: column("junction", 0),
    offRoad: column("off_road_fraction", 0),
    finished: column("finished", 0),
    hard,
    hinted,
    collision,
  };
}

const clamp = (x: number, low: number, high: number) => Math.min(Math.max(x, low), high);

/** 1 up to the limit, then falling to 0 over a band of speeds. */
export function speedFactor(speed: number, limit: number, band: number): number {
  return speed <= limit ? 1 : Math.max(0, 1 - (speed - limit) / band);
}

/** 1 up to `threshold` metres off the centre, falling to 1 − softener at the border of the lane. */
export function laneFactor(distance: number, width: number, threshold: number, softener: number): number {
  return 1 - clamp((distance - threshold) / Math.max(width / 2 - threshold, 1e-6), 0, 1) * softener;
}

export interface FactorParams {
  variant: "carla" | "nuplan";
  lane_mode: "linear" | "grace";
  lane_threshold: number | null;
  lane_softener: number;
  lane_grace_steps: number;
  overspeed_band: number;
  ttc_steps: number;
  comfort_steps: number;
  comfort_factor: number;
}

/** Soft factors of one episode, row after row: the counters of violations live here. */
export class SoftFactors {
  readonly #columns: DrivingColumns;
  readonly #p: FactorParams;
  readonly #threshold: number;
  readonly #comfort = new Float64Array(comfortFlags);
  #ttc = 0;
  #offCentre = 0;

  constructor(columns: DrivingColumns, p: FactorParams) {
    this.#columns = columns;
    this.#p = p;
    this.#threshold = p.lane_threshold ?? (p.variant === "carla" && p.lane_mode === "linear" ? 0 : 0.5);
  }

  /** Product of all factors of the next row; rows must come in order. */
  next(row: number): number {
    const { outside, speed, limit } = this.#columns;
    const carla = this.#p.variant === "carla";
    const known = limit[row] >= 0;
    const pace = known || carla ? speedFactor(speed[row], known ? limit[row] : 6, this.#p.overspeed_band) : 1;
    const lane = carla ? this.#carlaLane(row) : this.#nuplanLane(row);
    return (outside[row] === 0 ? 1 : 0) * pace * this.#timeToCollision(row) * this.#comfortOf(row) * lane;
  }

  #timeToCollision(row: number): number {
    const violated = this.#columns.ttc[row] !== 0;
    if (this.#p.variant === "nuplan") {
      if (violated) this.#ttc = 1;
      return this.#ttc > 0 ? 0.5 : 1;
    }
    if (this.#ttc > 0) this.#ttc -= 1;
    if (violated) this.#ttc = this.#p.ttc_steps;
    return violated || this.#ttc > 0 ? 0.5 : 1;
  }

  #comfortOf(row: number): number {
    const flags = this.#columns.comfort[row];
    if (this.#p.variant === "nuplan") return 1 - (flags?.reduce((sum, flag) => sum + flag, 0) ?? 0) / comfortFlags;
    let active = 0;
    for (let k = 0; k < comfortFlags; k++) {
      this.#comfort[k] = flags?.[k] === 1 ? this.#p.comfort_steps : Math.max(0, this.#comfort[k] - 1);
      if (this.#comfort[k] > 0) active++;
    }
    return 1 - (this.#p.comfort_factor * active) / comfortFlags;
  }

  #carlaLane(row: number): number {
    const { junction, distance, width } = this.#columns;
    const inJunction = junction[row] !== 0;
    if (this.#p.lane_mode === "linear") {
      return inJunction ? 1 : laneFactor(distance[row], width[row], this.#threshold, this.#p.lane_softener);
    }
    if (!inJunction) this.#offCentre = Math.max(0, this.#offCentre + (distance[row] > this.#threshold ? 1 : -1));
    return this.#offCentre > this.#p.lane_grace_steps ? 0.5 : 1;
  }

  #nuplanLane(row: number): number {
    const { junction, distance, side } = this.#columns;
    if (junction[row] !== 0) return 1;
    const off = distance[row] - this.#threshold;
    return 1 - 0.5 * clamp(off / (off + side[row] + 1e-6), 0, 1);
  }
}

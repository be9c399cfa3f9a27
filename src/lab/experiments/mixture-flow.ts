/** A point of the plane. */
export type Point = [number, number];

/** Two bumps of equal weight, at (-2, 0) and (2, 0), with this variance. */
const variance = 0.16;
const centres = [-2, 2] as const;

/** Noise levels of the sampler, from pure noise to nearly none. */
export const steps = 10;
export const sigmas: readonly number[] = Array.from({ length: steps + 1 }, (_, k) => 1 - (k / steps) * 0.98);

/** Mean of the clean sample given x at a noise level, and its slope by x (a symmetric matrix: xx, xy, yy). */
function posterior([x, y]: Point, sigma: number): { mean: Point; slope: [number, number, number] } {
  const keep = 1 - sigma;
  const total = keep * keep * variance + sigma * sigma;
  const gain = (keep * variance) / total;
  const logOdds = (keep * x * (centres[1] - centres[0])) / total;
  const right = 1 / (1 + Math.exp(-logOdds));
  const middle = centres[0] + (centres[1] - centres[0]) * right;
  // The mean of a bump moves by `gain` with x; its share adds the spread between the bumps.
  const rest = 1 - gain * keep;
  const between = right * (1 - right) * (centres[1] - centres[0]) ** 2 * rest * (keep / total);
  return { mean: [middle * rest + gain * x, gain * y], slope: [gain + between, 0, gain] };
}

/** Exact velocity of the flow, towards the noise, with an affine correction W [1, x, y] for every step. */
export class CorrectedFlow {
  readonly #correction = Array.from({ length: steps }, () => new Float64Array(6));

  velocity(step: number, point: Point): Point {
    const sigma = sigmas[step];
    const { mean } = posterior(point, sigma);
    const w = this.#correction[step];
    const [x, y] = point;
    return [(x - mean[0]) / sigma + w[0] + w[1] * x + w[2] * y, (y - mean[1]) / sigma + w[3] + w[4] * x + w[5] * y];
  }

  /** The clean sample that one step over all that is left leads to. */
  clean(step: number, point: Point): Point {
    const v = this.velocity(step, point);
    return [point[0] - sigmas[step] * v[0], point[1] - sigmas[step] * v[1]];
  }

  /** Gradient by x of log rewardOf(clean sample). */
  guidance(step: number, point: Point): Point {
    const sigma = sigmas[step];
    const { slope } = posterior(point, sigma);
    const w = this.#correction[step];
    const [x, y] = this.clean(step, point);
    const [dx, dy] = [goal[0] - x, goal[1] - y];
    return [
      (slope[0] - sigma * w[1]) * dx + (slope[1] - sigma * w[4]) * dy,
      (slope[1] - sigma * w[2]) * dx + (slope[2] - sigma * w[5]) * dy,
    ];
  }

  /** Adds rate times a slope by the velocity at a point to the correction of a step. */
  move(step: number, [x, y]: Point, slope: Point, rate: number): void {
    const w = this.#correction[step];
    slope.forEach((d, row) => {
      w[3 * row] += rate * d;
      w[3 * row + 1] += rate * d * x;
      w[3 * row + 2] += rate * d * y;
    });
  }

  /** End of the deterministic path from a point of pure noise. */
  end(noise: Point): Point {
    let point = noise;
    for (let k = 0; k < steps; k++) {
      const v = this.velocity(k, point);
      const dt = sigmas[k] - sigmas[k + 1];
      point = [point[0] - dt * v[0], point[1] - dt * v[1]];
    }
    return point;
  }
}

const goal: Point = [2, 1];

/** A bump around (2, 1), off the side of the right one. */
export const rewardOf = ([x, y]: Point) => Math.exp(-((x - goal[0]) ** 2 + (y - goal[1]) ** 2) / 2);

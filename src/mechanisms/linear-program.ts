import type { Highs } from "highs";

/** One constraint: lower ≤ Σ_k values[k] x[columns[k]] ≤ upper. */
interface Row {
  columns: readonly number[];
  values: readonly number[];
  lower: number;
  upper: number;
}

export interface Optimum {
  value: number;
  /** The variables, in the order in which they were added. Optima need not be unique; their value is. */
  x: Float64Array;
}

let solver: Promise<Highs> | null = null;

/**
 * HiGHS names modules of Node, which bundlers for browsers refuse, so its name is kept from them: Node finds the package,
 * and a page says in its import map where `highs` is.
 */
async function startSolver(name = "highs"): Promise<Highs> {
  let loaded: { default: unknown };
  try {
    loaded = await import(/* webpackIgnore: true */ /* @vite-ignore */ name);
  } catch (error) {
    solver = null;
    const hint = `in Node install ${name}; in a page give its import map an entry ${name} that leads to highs.mjs`;
    throw new Error(`the solver for linear programs (HiGHS) could not be loaded (${hint})`, { cause: error });
  }
  return (loaded.default as () => Promise<Highs>)();
}

/** The solver, a WebAssembly module, is loaded when the first program is solved and then kept. */
function loadSolver(): Promise<Highs> {
  solver ??= startSolver();
  return solver;
}

/** A linear program over variables x ≥ 0, put together piece by piece. */
export class LinearProgram {
  readonly #sense: 1 | -1;
  readonly #costs: number[] = [];
  readonly #uppers: number[] = [];
  readonly #rows: Row[] = [];

  constructor(sense: "minimise" | "maximise") {
    this.#sense = sense === "minimise" ? 1 : -1;
  }

  /** Number of variables so far. */
  get size(): number {
    return this.#costs.length;
  }

  /** Adds a variable with its coefficient in the objective; gives its number. */
  variable(cost: number, upper = Number.POSITIVE_INFINITY): number {
    this.#uppers.push(upper);
    return this.#costs.push(cost) - 1;
  }

  /** Adds the constraint lower ≤ Σ coefficient · variable ≤ upper. */
  constrain(terms: readonly (readonly [variable: number, coefficient: number])[], lower: number, upper: number): void {
    const sums = new Map<number, number>();
    for (const [variable, coefficient] of terms) sums.set(variable, (sums.get(variable) ?? 0) + coefficient);
    const kept = [...sums].filter(([, coefficient]) => coefficient !== 0);
    this.#rows.push({ columns: kept.map(([j]) => j), values: kept.map(([, a]) => a), lower, upper });
  }

  /** The optimum, or `null` when no x meets the constraints. */
  async solve(): Promise<Optimum | null> {
    const highs = await loadSolver();
    const { modelStatus } = highs.constants;
    const starts = new Int32Array(this.#rows.length + 1);
    this.#rows.forEach(({ columns }, i) => {
      starts[i + 1] = starts[i] + columns.length;
    });
    const data = {
      numCols: this.size,
      numRows: this.#rows.length,
      sense: this.#sense as unknown as typeof highs.constants.objectiveSense.minimize,
      colCost: Float64Array.from(this.#costs),
      colLower: new Float64Array(this.size),
      colUpper: Float64Array.from(this.#uppers),
      rowLower: Float64Array.from(this.#rows, ({ lower }) => lower),
      rowUpper: Float64Array.from(this.#rows, ({ upper }) => upper),
      matrix: {
        format: "csr" as const,
        numRows: this.#rows.length,
        numCols: this.size,
        starts,
        indices: Int32Array.from(this.#rows.flatMap(({ columns }) => columns)),
        values: Float64Array.from(this.#rows.flatMap(({ values }) => values)),
      },
    };
    return highs.withModel((model) => {
      const tolerance = 1e-10;
      model.options.set({
        output_flag: false,
        primal_feasibility_tolerance: tolerance,
        dual_feasibility_tolerance: tolerance,
      });
      model.passModel(data);
      model.run();
      const status = model.getModelStatus();
      if (status === modelStatus.infeasible || status === modelStatus.unboundedOrInfeasible) return null;
      if (status !== modelStatus.optimal) throw new Error(`the linear program was not solved (status ${status})`);
      return { value: model.getObjectiveValue(), x: Float64Array.from(model.getSolution().colValue) };
    });
  }
}

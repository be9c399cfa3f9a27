import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { assign, methodParams } from "../../src/methods/assign.ts";
import type { Method } from "../../src/methods/method.ts";
import { methods } from "../../src/methods/registry.ts";
import {
  type Batch,
  batchFromObjects,
  type Column,
  type RolloutObject,
  rolloutObject,
} from "../../src/rollouts/index.ts";
import { creditCases, type Sample, samples, shuffled, withObservations } from "./samples.ts";

const credit = [...methods.values()].filter(
  (method) => method.assign !== undefined && creditCases(method.id).length > 0,
);

type Exempt = (params: Record<string, unknown>) => boolean;
const never: Exempt = () => false;

/** Where a card makes the number or place of environment tokens count. */
const readsObservations: Readonly<Record<string, Exempt>> = {
  // Lengths count all tokens unless only the policy's are asked for.
  dapo: (params) => typeof params.max_length === "number" && params.length !== "actions",
  // Without loss_scale the longest token list divides, masked tokens included.
  "dr-grpo": (params) => params.loss_scale === undefined,
  // Positions count, whoever wrote them.
  decs: () => true,
  "early-rejection": () => true,
  // Aligned by raw position.
  "optimal-token-baseline": (params) => params.variant === "single_turn",
  // The other gaps spend the discount on observations, or forget at them.
  "reinforce-pp": (params) => params.mask_gap !== undefined && params.mask_gap !== "skip",
  // Without turns.end the runs of policy tokens are the turns.
  r3l: (params) => params.pivotal_credit !== false,
  // Observations are part of the prefix tree.
  tempo: () => true,
  "treeps-rag": () => true,
};

/** Where a card makes the order of rollouts count. */
const readsOrder: Readonly<Record<string, Exempt>> = {
  // Of equally frequent answers the one seen first wins.
  "co-reward": () => true,
  // The first groups are kept, in order of appearance.
  dapo: (params) => typeof params.target_groups === "number",
  // Of equal scores the earlier candidate is kept.
  "early-rejection": () => true,
  // Rollouts of a group are paired in file order.
  scir: () => true,
};

/** What the method writes, per rollout. */
function run(method: Method, params: Sample["params"], rollouts: readonly RolloutObject[]): Record<string, unknown>[] {
  const result = assign(batchFromObjects(rollouts), method, params);
  return rollouts.map((_, i) => written(method, result, i));
}

/** Numbers within a relative and absolute distance, everything else exactly. */
function near(expected: unknown, actual: unknown, tolerance: number, path = ""): void {
  if (typeof expected === "number" && typeof actual === "number") {
    const room = tolerance * Math.max(1, Math.abs(expected));
    if (Math.abs(expected - actual) > room) expect.fail(`${path}: ${expected} became ${actual}`);
  } else if (Array.isArray(expected) && Array.isArray(actual)) {
    expect(actual.length, path).toBe(expected.length);
    for (let k = 0; k < expected.length; k++) near(expected[k], actual[k], tolerance, `${path}[${k}]`);
  } else if (expected !== null && typeof expected === "object" && actual !== null && typeof actual === "object") {
    for (const key of new Set([...Object.keys(expected), ...Object.keys(actual)])) {
      near((expected as never)[key], (actual as never)[key], tolerance, `${path}.${key}`);
    }
  } else expect(actual, path).toEqual(expected);
}

function written(method: Method, batch: Batch, i: number): Record<string, unknown> {
  const rollout = rolloutObject(batch, i);
  const found: Record<string, unknown> = {};
  for (const path of method.writes) {
    const [key, name] = path.split(".");
    const table = key === "rollout" ? rollout : (rollout[key] as Record<string, unknown> | undefined);
    if (table?.[name] !== undefined) found[path] = table[name];
  }
  return found;
}

function inSinglePrecision(batch: Batch): Batch {
  const columns = new Map<string, Column>(batch.parts.columns);
  for (const [path, column] of columns) {
    if (column.kind === "number" && column.values instanceof Float64Array) {
      columns.set(path, { ...column, values: Float32Array.from(column.values) });
    }
  }
  return new (batch.constructor as typeof Batch)({ ...batch.parts, columns });
}

function orderOnlyOrders(method: Method, { params, rollouts, random }: Sample): void {
  const plain = run(method, params, rollouts);
  const order = shuffled(rollouts.length, random);
  const mixed = run(
    method,
    params,
    order.map((i) => rollouts[i]),
  );
  for (const [k, i] of order.entries()) near(plain[i], mixed[k], 1e-9, rollouts[i].id);
}

function observationsAreNeutral(method: Method, { params, rollouts, random }: Sample): void {
  const plain = run(method, params, rollouts);
  const changed = rollouts.map((rollout) => withObservations(rollout, random));
  const result = run(
    method,
    params,
    changed.map(({ rollout }) => rollout),
  );
  for (const [i, { inserted }] of changed.entries()) {
    for (const [path, cells] of Object.entries(result[i])) {
      if (!path.startsWith("tokens.")) continue;
      const list = cells as unknown[];
      result[i][path] = list.filter((_, t) => !inserted.has(t));
      if (path !== "tokens.advantage" && path !== "tokens.weight") continue;
      for (const t of inserted) expect(list[t], `${path} of an observation`).toBe(0);
    }
    near(plain[i], result[i], 1e-9, rollouts[i].id);
  }
}

function singleAgreesWithDouble(method: Method, { params, rollouts }: Sample): void {
  const batch = batchFromObjects(rollouts);
  const plain = assign(batch, method, params);
  const single = assign(inSinglePrecision(batch), method, params);
  for (let i = 0; i < batch.size; i++) near(written(method, plain, i), written(method, single, i), 1e-4, batch.ids[i]);
}

function localIsLocal(method: Method, { params, rollouts }: Sample): void {
  const whole = run(method, params, rollouts);
  const { groupOf, groupCount } = batchFromObjects(rollouts);
  for (let g = 0; g < groupCount; g++) {
    const members = rollouts.flatMap((_, i) => (groupOf[i] === g ? [i] : []));
    const alone = run(
      method,
      params,
      members.map((i) => rollouts[i]),
    );
    for (const [k, i] of members.entries()) near(whole[i], alone[k], 1e-9, rollouts[i].id);
  }
}

describe.each(credit.map((method) => [method.id, method] as const))("%s", (id, method) => {
  const laws: [string, (method: Method, sample: Sample) => void, Exempt][] = [
    ["the order of rollouts only orders the result", orderOnlyOrders, readsOrder[id] ?? never],
    [
      "tokens of the environment change nothing but their own zeros",
      observationsAreNeutral,
      readsObservations[id] ?? never,
    ],
    ["single precision agrees with double", singleAgreesWithDouble, never],
    [
      "a local method gives the same credit group by group",
      localIsLocal,
      (p) => method.scope(methodParams(method, p)) === "batch",
    ],
  ];
  for (const [name, law, exempt] of laws) {
    const cases = creditCases(id).filter(({ params }) => !exempt(params ?? {}));
    test.runIf(cases.length > 0)(name, () => {
      fc.assert(
        fc.property(samples(cases), (sample) => law(method, sample)),
        { numRuns: 25 },
      );
    });
  }
});

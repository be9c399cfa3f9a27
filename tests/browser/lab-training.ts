// A small training run, the same in Node and in a worker of a page.
import { findMethod } from "../../src/core.ts";
import { makeEnvironment } from "../../src/lab/environments/registry.ts";
import { settleTraining, train } from "../../src/lab/training/index.ts";
import { type PolicyKind, policyMaker } from "../../src/lab/training/policies.ts";

/** What is told of one update, times left out. */
export interface Told {
  policy: string;
  update: number;
  reward: number;
  entropy: number;
  gradientNorm: number;
}

/** Trains one policy of each kind for a few updates, and tells of each update as it is done. */
export async function* trainSmall(): AsyncGenerator<Told> {
  const kinds: [PolicyKind, Record<string, unknown>][] = [
    ["tabular", {}],
    ["mlp", { hidden: [16] }],
    ["transformer", { width: 16, heads: 2 }],
  ];
  for (const [kind, params] of kinds) {
    const environment = () => makeEnvironment("key-door");
    const settings = settleTraining({ updates: 3, groups: 2, group_size: 4, kl_coef: 0.01, entropy_coef: 0.01 });
    const options = {
      environment,
      policy: await policyMaker(kind, params, environment()),
      arms: [{ name: "grpo", calls: [{ method: findMethod("grpo"), params: {} }] }],
      seeds: [1],
      settings,
    };
    for await (const event of train(options)) {
      if (event.type !== "metrics") continue;
      const { metrics, update } = event;
      yield {
        policy: kind,
        update,
        reward: metrics.reward as number,
        entropy: metrics.entropy as number,
        gradientNorm: metrics.gradient_norm as number,
      };
    }
  }
}

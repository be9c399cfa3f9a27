import { expect, test } from "vitest";
import { RolloutPicker, type Wanted } from "../../src/analysis/picker.ts";
import { type Batch, batchFromObjects, selectRollouts } from "../../src/rollouts/index.ts";

const batch = batchFromObjects([
  { id: "a", group: "x", reward: 1, turns: { advantage: [1, 2] } },
  { id: "b", group: "x", reward: 0.5, turns: { advantage: [-5, 3] } },
  { id: "c", group: "y", reward: 0, turns: { advantage: [-9, 9] } },
  { id: "d", group: "y", reward: 3, turns: { advantage: [0, 0] } },
  { id: "e", reward: 9, turns: { advantage: [0, 1] } },
]);

function pick(wanted: Partial<Wanted>, pieces: readonly Batch[] = [batch]) {
  const picker = new RolloutPicker({ rollouts: [], pair: false, columns: [], ...wanted });
  for (const piece of pieces) picker.add(piece);
  const { columns, chosen } = picker.finish();
  return { columns, ids: chosen.map(({ batch: own, rollout }) => own.ids[rollout]) };
}

const pieces = Array.from({ length: batch.size }, (_, i) => selectRollouts(batch, [i]));

test("the rollout whose credit differs most is shown, also when the file comes in pieces", () => {
  expect(pick({})).toEqual({ columns: ["turns.advantage"], ids: ["c"] });
  expect(pick({}, pieces)).toEqual({ columns: ["turns.advantage"], ids: ["c"] });
});

test("named rollouts are shown in the order in which they are named", () => {
  expect(pick({ rollouts: ["d", "a"] }, pieces).ids).toEqual(["d", "a"]);
  expect(pick({ rollouts: ["a"], columns: ["rollout.reward"] })).toEqual({ columns: ["rollout.reward"], ids: ["a"] });
});

test("a pair is the best and the worst of the group whose rewards differ most", () => {
  expect(pick({ pair: true }, pieces).ids).toEqual(["d", "c"]);
  expect(pick({ pair: true }, pieces.slice(0, 2)).ids).toEqual(["a", "b"]);
});

test("names that were never seen are errors that say what was meant", () => {
  expect(() => pick({ rollouts: ["aa"] })).toThrow('there is no rollout "aa" (did you mean a?)');
  expect(() => pick({ columns: ["turns.advantag"] })).toThrow("did you mean turns.advantage?");
  expect(() => pick({ columns: ["nonsense"] })).toThrow("not a column path");
  expect(() => pick({ pair: true }, [selectRollouts(batch, [0])])).toThrow("different reward");
});

test("a file without credit still shows a rollout", () => {
  expect(pick({}, [batchFromObjects([{ id: "a", reward: 1 }])])).toEqual({ columns: [], ids: ["a"] });
  expect(pick({}, [])).toEqual({ columns: [], ids: [] });
});

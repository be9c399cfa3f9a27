import { expect, test } from "vitest";
import { credit } from "./credit.ts";

test("an empty value counts 0, as an absent one", () => {
  const drive = { route_completion: [0.5, 1, 1], finished: [0, 1, 0] };
  const of = (value?: (number | null)[]) => {
    const steps = value === undefined ? drive : { ...drive, value };
    return credit("carl-driving", [{ id: "drive", steps }], {}, "steps.advantage");
  };
  expect(of([null, null, null])).toEqual(of());
  expect(of([0.2, null, null])).toEqual(of([0.2, 0, 5]));
});

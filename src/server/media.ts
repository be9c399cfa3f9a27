import { HttpError } from "./problem.ts";

/** How rollouts travel. */
export type Medium = "json" | "jsonl" | "arrow";

export const mediaTypes: Readonly<Record<Medium, string>> = {
  json: "application/json",
  jsonl: "application/x-ndjson",
  arrow: "application/vnd.apache.arrow.stream",
};

const spellings: Readonly<Record<string, Medium>> = {
  "application/json": "json",
  "application/x-ndjson": "jsonl",
  "application/jsonl": "jsonl",
  "application/vnd.apache.arrow.stream": "arrow",
};

/** The medium of a Content-Type. @throws HttpError 415 for any other. */
export function mediumOf(contentType: string | undefined): Medium {
  const name = (contentType ?? "").split(";")[0].trim().toLowerCase();
  if (Object.hasOwn(spellings, name)) return spellings[name];
  throw new HttpError(
    415,
    `content type ${JSON.stringify(name)} is not read; expected ${Object.values(mediaTypes).join(", ")}`,
  );
}

/** What the client wants to get: the first of its Accept that is known, else as it came. */
export function wantedMedium(accept: string | undefined, came: Medium): Medium {
  const names = (accept ?? "*/*").split(",").map((part) => part.split(";")[0].trim().toLowerCase());
  const known = names.find((name) => Object.hasOwn(spellings, name));
  if (known !== undefined) return spellings[known];
  if (names.some((name) => name === "*/*" || name === "application/*" || name === "")) return came;
  throw new HttpError(
    406,
    `nothing in ${JSON.stringify(accept)} can be written; choose of ${Object.values(mediaTypes).join(", ")}`,
  );
}

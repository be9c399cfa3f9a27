import { InputError, levelOf } from "../rollouts/index.ts";
import { isLevelKey, marksName, pathOfName, structKeys } from "./columnar-names.ts";
import type { Cells, FileColumn, FileTable } from "./columnar-table.ts";

/** A column whose path is known. */
export interface PathColumn {
  path: string;
  column: FileColumn;
}

/** Fields of the objects in a column such as `signals` (a map, or JSON) as columns of their own. */
function spread(column: FileColumn, rows: number): PathColumn[] {
  const fields = new Map<string, unknown[]>();
  const cells = column.cells.kind === "number" ? [] : column.cells.values;
  for (let i = 0; i < rows; i++) {
    const cell = cells[i] ?? null;
    const object = typeof cell === "string" ? parseObject(cell) : cell;
    if (object === null) continue;
    if (typeof object !== "object" || Array.isArray(object)) throw notAnObject(column);
    for (const [name, value] of Object.entries(object)) {
      const path = `${column.name}.${name}`;
      levelOf(path);
      const values = fields.get(path) ?? new Array(rows).fill(null);
      values[i] = value;
      fields.set(path, values);
    }
  }
  return Array.from(fields, ([path, values]) => ({ path, column: { ...column, name: path, cells: cellsOf(values) } }));
}

/** Values as the narrowest kind of cells that holds them. */
function cellsOf(values: readonly unknown[]): Cells {
  if (values.every((value) => value === null || typeof value === "number")) {
    const valid = Uint8Array.from(values, (value) => (value === null ? 0 : 1));
    return { kind: "number", values: Float64Array.from(values as number[]), valid };
  }
  const text = values.every((value) => value === null || typeof value === "string");
  return text ? { kind: "string", values: values as (string | null)[] } : { kind: "json", values };
}

/** Text as JSON, or as it is. */
export function parseObject(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function notAnObject(column: FileColumn): InputError {
  const key = column.name;
  return new InputError("column of the wrong type", {
    column: key,
    expected: isLevelKey(key) ? "a struct of lists, or a list of structs" : "a struct",
    got: column.type,
    hint: `or name its columns ${key}.NAME`,
  });
}

/**
 * The columns with their paths; ids, groups and marks are left out.
 * @throws InputError for columns of the wrong type, without a name, or with the same meaning.
 */
export function pathColumns(table: FileTable): PathColumn[] {
  const known = new Map<string, string>([
    ["id", "id"],
    ["group", "group"],
    [marksName, marksName],
  ]);
  const found: PathColumn[] = [];
  const add = (each: PathColumn) => {
    const before = known.get(each.path);
    if (before !== undefined) {
      const hint = "rename or drop one of them";
      throw new InputError(`two columns mean ${each.path}`, { column: before, got: each.column.name, hint });
    }
    known.set(each.path, each.column.name);
    found.push(each);
  };
  const seen = new Set<string>();
  for (const column of table.columns) {
    const { name } = column;
    if (name === "") throw new InputError("column without a name", { hint: "give each column a name" });
    if (seen.has(name)) throw new InputError("two columns have the same name", { column: name });
    seen.add(name);
    if (name === "id" || name === "group" || name === marksName) continue;
    if (structKeys.has(name)) {
      if (isLevelKey(name) || column.offsets !== null || column.cells.kind === "number") {
        if (!isNothing(column)) throw notAnObject(column);
      } else for (const each of spread(column, table.rows)) add(each);
      continue;
    }
    const path = pathOfName(name);
    const jagged = levelOf(path) !== "rollout";
    if (jagged && column.offsets === null && !isNothing(column)) {
      const got = column.type;
      throw new InputError("column of the wrong type", { column: name, expected: "a list in each row", got });
    }
    if (!jagged || column.offsets !== null) add({ path, column });
  }
  return found;
}

/** Whether a column has nothing but null in it, whatever its type. */
function isNothing({ offsets, present, cells }: FileColumn): boolean {
  if (offsets !== null) return present !== null && !present.includes(1);
  if (cells.kind === "number") return cells.valid !== null && !cells.valid.includes(1);
  return cells.values.every((cell) => cell === null);
}

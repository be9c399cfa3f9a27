import { type DataType, type Field, type Schema, type Table, Type } from "@uwdata/flechette";
import { InputError } from "../rollouts/index.ts";
import { type ArrowBatch, BadColumn, checkRows, marksOf, offsetsOf, viewsOf } from "./arrow-buffers.ts";
import { cellsOf, listTypes, typeName } from "./arrow-cells.ts";
import { isLevelKey, structKeys } from "./columnar-names.ts";
import { type Cells, type FileColumn, type FileTable, gatherLists, lackingWhereNull } from "./columnar-table.ts";

/** Lists of a column: where they lie in the column of their elements. */
interface Lists {
  offsets: Int32Array;
  present: Uint8Array | null;
  /** The elements [from, to) of the child, or the lists picked out of it one by one. */
  take(read: (child: ArrowBatch, from: number, to: number) => Cells): Cells;
}

function listsOf(batch: ArrowBatch, rows: number): Lists {
  const { typeId } = batch.type;
  const [child] = batch.children;
  checkRows(batch, rows);
  const present = marksOf(batch, 0, rows);
  if (typeId === Type.ListView || typeId === Type.LargeListView) {
    const { starts, lengths } = viewsOf(batch, rows);
    const offsets = new Int32Array(rows + 1);
    for (let i = 0; i < rows; i++) offsets[i + 1] = offsets[i] + lengths[i];
    return { offsets, present, take: (read) => gatherLists(read(child, 0, child.length), starts, lengths) };
  }
  if (typeId === Type.FixedSizeList) {
    const { stride } = batch.type as { stride: number };
    const offsets = Int32Array.from({ length: rows + 1 }, (_, i) => i * stride);
    return { offsets, present, take: (read) => read(child, 0, rows * stride) };
  }
  const { offsets, base } = offsetsOf(batch, 0, rows, child.length);
  return { offsets, present, take: (read) => read(child, base, base + offsets[rows]) };
}

/** Cells with those marked 0 as null. */
function masked(cells: Cells, marks: Uint8Array | null): Cells {
  if (marks === null) return cells;
  if (cells.kind === "number") {
    const valid = cells.valid === null ? marks : cells.valid.map((mark, k) => mark & marks[k]);
    return { ...cells, valid };
  }
  const values = cells.values.map((cell, k) => (marks[k] === 1 ? cell : null));
  return { kind: cells.kind, values } as Cells;
}

function both(a: Uint8Array | null, b: Uint8Array | null): Uint8Array | null {
  return a === null || b === null ? (a ?? b) : a.map((mark, i) => mark & b[i]);
}

/** Fields of structs in lists, as lists. */
function structLists(name: string, batch: ArrowBatch, rows: number): FileColumn[] {
  const { offsets, present, take } = listsOf(batch, rows);
  const [{ type }] = (batch.type as { children: Field[] }).children;
  const { children } = type as { children: Field[] };
  return children.map((field, k) => {
    const cells = take((structs, from, to) => {
      checkRows(structs, to);
      return masked(cellsOf(structs.children[k], from, to), marksOf(structs, from, to));
    });
    const column = { name: `${name}.${field.name ?? ""}`, type: typeName(field.type), offsets, present, cells };
    return lackingWhereNull(column);
  });
}

function isListOfStructs(type: DataType): boolean {
  const children = (type as { children?: Field[] }).children;
  return listTypes.includes(type.typeId) && children?.[0]?.type.typeId === Type.Struct;
}

/** A column, or the columns that a struct is made of; `marks` is 0 in rows where the struct itself is null. */
function columnsOf(name: string, batch: ArrowBatch, rows: number, marks: Uint8Array | null): FileColumn[] {
  const { type } = batch;
  if (structKeys.has(name) && type.typeId === Type.Struct) {
    checkRows(batch, rows);
    const own = both(marks, marksOf(batch, 0, rows));
    const fields = (type as { children: Field[] }).children;
    return fields.flatMap((field, k) => columnsOf(`${name}.${field.name ?? ""}`, batch.children[k], rows, own));
  }
  if (isLevelKey(name) && isListOfStructs(type)) return structLists(name, batch, rows);
  if (listTypes.includes(type.typeId)) {
    const { offsets, present, take } = listsOf(batch, rows);
    return [{ name, type: typeName(type), offsets, present: both(present, marks), cells: take(cellsOf) }];
  }
  const cells = masked(cellsOf(batch, 0, rows), marks);
  return [{ name, type: typeName(type), offsets: null, present: null, cells }];
}

/**
 * Types that cannot be read, before anything of them is decoded.
 * @throws InputError naming the column.
 */
export function checkTypes({ fields }: Schema, file: string): void {
  const visit = (field: Field, column: string) => {
    const { dictionary, children } = field.type as { dictionary?: DataType; children?: Field[] };
    if (dictionary !== undefined && (dictionary as { children?: Field[] }).children !== undefined) {
      const hint = "write the column without a dictionary";
      throw new InputError("column of the wrong type", { file, column, got: typeName(field.type), hint });
    }
    for (const child of children ?? []) visit(child, column);
  };
  for (const field of fields) visit(field, field.name);
}

/**
 * The rows of one record batch.
 * @throws InputError when a column is damaged or holds what cannot be read.
 */
export function tableOfBatch(table: Table, rows: number, file: string): FileTable {
  const columns = table.schema.fields.flatMap((field, k) => {
    const name = field.name ?? "";
    try {
      const batch = table.children[k].data[0] as ArrowBatch;
      if (batch.length !== rows) throw new BadColumn(`${batch.length} rows where its table has ${rows}`);
      return columnsOf(name, batch, rows, null);
    } catch (error) {
      throw columnError(error, file, name);
    }
  });
  return { rows, columns, metadata: table.schema.metadata ?? new Map() };
}

function columnError(error: unknown, file: string, column: string): InputError {
  if (error instanceof InputError) return error.located({ file, column });
  const got = error instanceof BadColumn ? error.message : "values that do not fit together";
  return new InputError("the Arrow stream is damaged", { file, column, got, hint: "copy or write it again" });
}

import { type DuckDBListType, type DuckDBStructType, type DuckDBType, DuckDBTypeId } from "@duckdb/node-api";
import { isLevelKey, structKeys } from "./columnar-names.ts";

/** Types that values are read as. Everything else in a Parquet file is cast to one of them. */
export type ReadType = "UTINYINT" | "INTEGER" | "BIGINT" | "UBIGINT" | "FLOAT" | "DOUBLE" | "VARCHAR" | "JSON";

/** How a column of the query is read. */
export interface ReadColumn {
  name: string;
  /** Its type in the file. */
  fileType: string;
  sql: string;
  shape: "cell" | "list" | "structs";
  type: ReadType;
  /** Fields of the structs in its lists. */
  fields: readonly { name: string; type: ReadType; fileType: string }[];
}

const Id = DuckDBTypeId;

/** Whole numbers of 64 bits stay as they are until it is known what their column wants. */
const readTypes: ReadonlyMap<DuckDBTypeId, ReadType> = new Map([
  [Id.BOOLEAN, "UTINYINT"],
  [Id.UTINYINT, "UTINYINT"],
  [Id.TINYINT, "INTEGER"],
  [Id.SMALLINT, "INTEGER"],
  [Id.USMALLINT, "INTEGER"],
  [Id.INTEGER, "INTEGER"],
  [Id.UINTEGER, "BIGINT"],
  [Id.BIGINT, "BIGINT"],
  [Id.UBIGINT, "UBIGINT"],
  [Id.FLOAT, "FLOAT"],
  [Id.DOUBLE, "DOUBLE"],
  [Id.DECIMAL, "DOUBLE"],
  [Id.HUGEINT, "DOUBLE"],
  [Id.UHUGEINT, "DOUBLE"],
]);

const nested: ReadonlySet<DuckDBTypeId> = new Set([Id.LIST, Id.STRUCT, Id.MAP, Id.ARRAY, Id.UNION]);

function readTypeOf(type: DuckDBType): ReadType {
  if (nested.has(type.typeId) || type.alias === "JSON") return "JSON";
  return readTypes.get(type.typeId) ?? "VARCHAR";
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** Texts of JSON columns need no cast: they are read as they stand. */
function castTo(sql: string, type: DuckDBType, target: string): string {
  const same = type.alias === undefined ? type.toString() : type.alias;
  return same === target ? sql : `CAST(${sql} AS ${target})`;
}

function structsOf(name: string, sql: string, type: DuckDBType, element: DuckDBStructType): ReadColumn {
  const fields = element.entryNames.map((field, k) => {
    const fileType = element.entryTypes[k];
    return { name: `${name}.${field}`, type: readTypeOf(fileType), fileType: fileType.toString() };
  });
  const target = element.entryNames.map((field, k) => `${quoted(field)} ${fields[k].type}`).join(", ");
  const cast = castTo(sql, type, `STRUCT(${target})[]`);
  return { name, fileType: type.toString(), sql: cast, shape: "structs", type: "JSON", fields };
}

function columnsOf(name: string, sql: string, type: DuckDBType): ReadColumn[] {
  const { typeId } = type;
  if (typeId === Id.STRUCT && structKeys.has(name)) {
    const { entryNames, entryTypes } = type as DuckDBStructType;
    return entryNames.flatMap((field, k) => {
      const part = `struct_extract(${sql}, '${field.replaceAll("'", "''")}')`;
      return columnsOf(`${name}.${field}`, part, entryTypes[k]);
    });
  }
  const fileType = type.toString();
  if (typeId === Id.LIST || typeId === Id.ARRAY) {
    const { valueType } = type as DuckDBListType;
    if (valueType.typeId === Id.STRUCT && isLevelKey(name)) {
      return [structsOf(name, sql, type, valueType as DuckDBStructType)];
    }
    const target = readTypeOf(valueType);
    return [{ name, fileType, sql: castTo(sql, type, `${target}[]`), shape: "list", type: target, fields: [] }];
  }
  const target = readTypeOf(type);
  return [{ name, fileType, sql: castTo(sql, type, target), shape: "cell", type: target, fields: [] }];
}

/** How the columns of a file are read: structs named after a level, `rewards` and `signals` field by field. */
export function readColumns(names: readonly string[], types: readonly DuckDBType[]): ReadColumn[] {
  return names.flatMap((name, k) => columnsOf(name, quoted(name), types[k]));
}

/** The name of a file in SQL; characters that would make it a pattern are taken as they are. */
function fileName(path: string): string {
  return `'${path.replace(/[[*?]/g, "[$&]").replaceAll("'", "''")}'`;
}

/** The table function that reads one file. */
export function fileSql(path: string): string {
  return `read_parquet(${fileName(path)}, binary_as_string = true, hive_partitioning = false)`;
}

/** How many rows a file has. */
export function countSql(path: string): string {
  return `SELECT num_rows FROM parquet_file_metadata(${fileName(path)})`;
}

/** Metadata of one file under the given keys. */
export function metadataSql(path: string, keys: readonly string[]): string {
  const known = keys.map((key) => `'${key}'::BLOB`).join(", ");
  return `SELECT decode(key), decode(value) FROM parquet_kv_metadata(${fileName(path)}) WHERE key IN (${known})`;
}

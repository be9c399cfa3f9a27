/** The bytes are no snappy data. */
export class BadSnappy extends Error {
  override readonly name = "BadSnappy";
}

function cut(): BadSnappy {
  return new BadSnappy("the snappy data is damaged");
}

/**
 * Unpacks snappy data (the raw format of github.com/google/snappy/blob/main/format_description.txt).
 * @param length how many bytes they must be when unpacked.
 * @throws BadSnappy when they are not.
 */
export function unpackSnappy(input: Uint8Array, length: number): Uint8Array {
  const out = new Uint8Array(length);
  let at = 0;
  while (at < input.length && input[at] >= 128) at++;
  at++;
  let filled = 0;
  while (at < input.length) {
    const tag = input[at++];
    let size = (tag >> 2) + 1;
    if ((tag & 3) === 0) {
      if (size > 60) {
        const bytes = size - 60;
        size = 1;
        for (let k = 0; k < bytes; k++) size += (input[at + k] ?? 0) * 256 ** k;
        at += bytes;
      }
      if (size > input.length - at || size > length - filled) throw cut();
      out.set(input.subarray(at, at + size), filled);
      at += size;
      filled += size;
      continue;
    }
    let back = 0;
    if ((tag & 3) === 1) {
      size = ((tag >> 2) & 7) + 4;
      back = ((tag >> 5) << 8) | input[at];
      at += 1;
    } else {
      const bytes = (tag & 3) === 2 ? 2 : 4;
      for (let k = 0; k < bytes; k++) back += (input[at + k] ?? 0) * 256 ** k;
      at += bytes;
    }
    if (back === 0 || back > filled || size > length - filled || at > input.length) throw cut();
    // Copies may overlap what they write: then they repeat it.
    if (back >= size) out.copyWithin(filled, filled - back, filled - back + size);
    else for (let k = 0; k < size; k++) out[filled + k] = out[filled + k - back];
    filled += size;
  }
  if (filled !== length) throw cut();
  return out;
}

/** Texts up to this many characters together are encoded in one go. */
const mostAtOnce = 2 ** 26;

/** Texts as UTF-8, one after another, and where each begins and ends; null takes no bytes. */
export interface TextBytes {
  bytes: Uint8Array;
  offsets: Int32Array;
}

/**
 * Encodes texts. Where all of them are ASCII, which is told from their length, no text is looked at on its own.
 * @throws RangeError when they take more than 2 GB.
 */
export function textBytes(texts: readonly (string | null)[]): TextBytes {
  const offsets = new Int32Array(texts.length + 1);
  let characters = 0;
  for (let k = 0; k < texts.length; k++) characters += texts[k]?.length ?? 0;
  if (characters <= mostAtOnce) {
    const bytes = Buffer.from(texts.join(""));
    if (bytes.length === characters) {
      for (let k = 0; k < texts.length; k++) offsets[k + 1] = offsets[k] + (texts[k]?.length ?? 0);
      return { bytes, offsets };
    }
  }
  let total = 0;
  for (let k = 0; k < texts.length; k++) {
    total += texts[k] === null ? 0 : Buffer.byteLength(texts[k] as string);
    offsets[k + 1] = total;
  }
  if (total > 2 ** 31 - 1) throw new RangeError("more than 2 GB of text in one piece");
  const bytes = Buffer.allocUnsafe(total);
  for (let k = 0; k < texts.length; k++) {
    const text = texts[k];
    if (text !== null) bytes.write(text, offsets[k]);
  }
  return { bytes, offsets };
}

import { type Readable, Transform } from "node:stream";
import { HttpError } from "./problem.ts";

/** A stream that fails once more bytes have come than allowed. */
export function limitBytes(stream: Readable, most: number): Readable {
  let bytes = 0;
  const limiter = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      bytes += chunk.length;
      if (bytes > most) done(new HttpError(413, `the body is larger than ${most} bytes`));
      else done(null, chunk);
    },
  });
  stream.on("error", (error) => limiter.destroy(error));
  stream.once("close", () => {
    if (!stream.readableEnded) limiter.destroy(new HttpError(400, "the body broke off"));
  });
  return stream.pipe(limiter);
}

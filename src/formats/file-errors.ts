import { InputError } from "../rollouts/index.ts";

const problems: Readonly<Record<string, readonly [problem: string, hint: string]>> = {
  ENOENT: ["no such file or directory", "check the path"],
  ENOTDIR: ["part of the path is not a directory", "check the path"],
  EISDIR: ["this is a directory", "name a file"],
  EACCES: ["no permission", "check the owner and mode of the file and its directory"],
  EPERM: ["not permitted", "check the owner and mode of the file and its directory"],
  EROFS: ["the file system is read-only", "choose another place"],
  ENOSPC: ["the disk is full", "make room or choose another place"],
  EDQUOT: ["the disk quota is used up", "make room or choose another place"],
  EFBIG: ["the file is larger than the file system allows", "choose another place or split the output"],
  ENAMETOOLONG: ["the name is too long", "choose a shorter one"],
  ELOOP: ["symbolic links go in circles", "check the path"],
  EMFILE: ["too many files are open", "raise the limit with ulimit -n"],
  EIO: ["the device failed", "check the disk"],
};

/** The code of a system error, such as ENOENT. */
export function errorCode(error: unknown): string | undefined {
  return error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
}

/** A system error about a file as bad input that says what to do; other errors unchanged. */
export function fileError(error: unknown, file: string): unknown {
  const known = problems[errorCode(error) ?? ""];
  if (known === undefined || error instanceof InputError) return error;
  return new InputError(known[0], { file, hint: known[1] });
}

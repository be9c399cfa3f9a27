import { PassThrough } from "node:stream";
import { expect, test } from "vitest";
import { startProgress } from "../../src/cli/progress.ts";

/** A terminal that keeps what is written to it. */
function terminal(isTTY: boolean) {
  const stream = Object.assign(new PassThrough(), { isTTY, columns: 100 });
  let text = "";
  stream.on("data", (chunk) => {
    text += chunk;
  });
  return { stream: stream as unknown as NodeJS.WriteStream, text: () => text };
}

const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

async function work(isTTY: boolean, total: number | null): Promise<string> {
  const { stream, text } = terminal(isTTY);
  const progress = startProgress(stream);
  for (let k = 0; k <= 20; k++) {
    progress.read({ file: "in.jsonl", bytes: 50 * k, total, rollouts: 1234 * k });
    if (k < 8) expect(text()).toBe("");
    await wait(100);
  }
  progress.stop();
  progress.stop();
  await wait(20);
  return text();
}

test.concurrent("a bar for long work on a terminal, gone at the end", async () => {
  const text = await work(true, 1000);
  expect(text).toMatch(/#+-+ \d+% of in\.jsonl, [\d,]+ rollouts/);
  expect(text).toMatch(/100% of in\.jsonl, 24,680 rollouts/);
  const [showCursor, clearLine] = ["\u001b[?25h", "\u001b[2K"];
  expect(text).toContain(showCursor);
  expect(text.endsWith(clearLine)).toBe(true);
});

test.concurrent("a count where the size is not known", async () => {
  const text = await work(true, null);
  expect(text).toMatch(/[\d,]+ rollouts from in\.jsonl/);
  expect(text).not.toContain("%");
});

test.concurrent("nothing where there is no terminal", async () => {
  expect(await work(false, 1000)).toBe("");
});

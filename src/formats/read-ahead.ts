/**
 * Items of a source, the next one asked for before the last one is handed out: it comes in while that is worked on. Who
 * stops early has to end the source.
 * @param small whether an item is small enough for a second one to be held beside it (default always).
 */
export async function* readAhead<T>(
  source: AsyncIterator<T>,
  small: (item: T) => boolean = () => true,
): AsyncGenerator<T> {
  let next = source.next();
  for (;;) {
    const { done, value } = await next;
    if (done) return;
    const ahead = small(value) ? source.next() : null;
    ahead?.catch(() => {}); // reported in its turn
    yield value;
    next = ahead ?? source.next();
  }
}

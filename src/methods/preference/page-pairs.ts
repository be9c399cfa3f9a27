/** Discount of a position of a page, counted from 0. */
export function discount(position: number): number {
  return 1 / Math.log2(position + 2);
}

/** Which of the possible choices to take in each place, modulo how many there are. */
export interface Picks {
  engaged: number;
  pool: number;
  slot: number;
  source: number;
}

export interface LoggedPage {
  page: readonly string[];
  /** Per position whether somebody engaged with the item. */
  engaged: readonly boolean[];
  category: Readonly<Record<string, string>>;
  /** Items that could have been shown. */
  pool: readonly string[];
  pick: Picks;
}

function choose<T>(list: readonly T[], pick: number): T | undefined {
  return list[pick % Math.max(list.length, 1)];
}

function replaced(page: readonly string[], position: number | undefined, item: string | undefined): string[] | null {
  return position === undefined || item === undefined ? null : page.with(position, item);
}

function positionsWhere(page: readonly string[], holds: (position: number) => boolean): number[] {
  return page.flatMap((_, position) => (holds(position) ? [position] : []));
}

/** An engaged item gives way to one from the pool. */
function relevance({ page, engaged, pool, pick }: LoggedPage): string[] | null {
  const positions = positionsWhere(page, (k) => engaged[k]);
  return replaced(page, choose(positions, pick.engaged), choose(pool, pick.pool));
}

/** Engaged items sink below all others. */
function ranking({ page, engaged }: LoggedPage): string[] | null {
  const sunk = [...page.filter((_, k) => !engaged[k]), ...page.filter((_, k) => engaged[k])];
  return sunk.every((item, k) => item === page[k]) ? null : sunk;
}

/** Category of which the page has most items; of equally common ones the first in the alphabet. */
function commonest(page: readonly string[], category: LoggedPage["category"]): string | null {
  const counts = new Map<string, number>();
  for (const item of page) {
    if (Object.hasOwn(category, item)) counts.set(category[item], (counts.get(category[item]) ?? 0) + 1);
  }
  const order = [...counts].sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1));
  return order.length === 0 ? null : order[0][0];
}

/** An un-engaged item of another category gives way to one of the category that the page has most of. */
function diversity({ page, engaged, category, pool, pick }: LoggedPage): string[] | null {
  const common = commonest(page, category);
  if (common === null) return null;
  const has = (item: string) => Object.hasOwn(category, item);
  const slots = positionsWhere(page, (k) => !engaged[k] && has(page[k]) && category[page[k]] !== common);
  const items = pool.filter((item) => has(item) && category[item] === common && !page.includes(item));
  return replaced(page, choose(slots, pick.slot), choose(items, pick.pool));
}

/** An un-engaged position repeats the item of another position. */
function redundancy({ page, engaged, pick }: LoggedPage): string[] | null {
  const slots = positionsWhere(page, (k) => !engaged[k]);
  const slot = choose(slots, pick.slot);
  const others = page.filter((_, k) => k !== slot);
  return replaced(page, slot, choose(others, pick.source));
}

const families = { relevance, ranking, diversity, redundancy };

export interface RejectedPage {
  family: keyof typeof families;
  rejected: string[];
}

/** A worse page per family, in this order; families whose ingredients are missing are left out. */
export function rejectedPages(logged: LoggedPage): RejectedPage[] {
  return Object.entries(families).flatMap(([family, make]) => {
    const rejected = make(logged);
    return rejected === null ? [] : [{ family: family as keyof typeof families, rejected }];
  });
}

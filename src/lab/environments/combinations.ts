/** Number of ways to choose `many` of `count`. */
export function choices(count: number, many: number): number {
  let total = 1;
  for (let k = 1; k <= many; k++) total = (total * (count - many + k)) / k;
  return Math.round(total);
}

/** The k-th way to choose `many` of the numbers below `count`, in order of their largest member. */
export function chosen(count: number, many: number, k: number): number[] {
  const members: number[] = [];
  let rest = k;
  let largest = count - 1;
  for (let left = many; left > 0; left--) {
    while (choices(largest, left) > rest) largest--;
    rest -= choices(largest, left);
    members.unshift(largest);
  }
  return members;
}

/** What the benchmarks share. */

export function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1];
}

/** Microseconds for each of so many tasks. */
export async function microseconds(tasks: number, work: () => void | Promise<void>): Promise<number> {
  const start = performance.now();
  await work();
  return (performance.now() - start) * 1000 / tasks;
}

/**
 * Timers for the broker. Deno loads its own at the first call of `setTimeout()` or `setInterval()`, which takes longer
 * than all that the broker does for a first task.
 *
 * @module
 */

/** Calls a function after some milliseconds; returns what calls that off. */
export function after(ms: number, fn: () => void): () => void {
  const word = new Int32Array(new SharedArrayBuffer(4));
  // To wait for no time is not to wait.
  const { value } = Atomics.waitAsync(word, 0, 0, Math.max(ms, 1));
  void (async () => {
    if (await value === "timed-out") fn();
  })();
  return () => Atomics.notify(word, 0);
}

/** Waits for a promise, and no longer than some milliseconds. */
export async function atMost(ms: number, promise: Promise<unknown>): Promise<void> {
  const { promise: over, resolve } = Promise.withResolvers<void>();
  const callOff = after(ms, resolve);
  await Promise.race([promise, over]);
  callOff();
}

/** Calls a function each time after some milliseconds, until it returns `false`. */
export function every(ms: number, fn: () => boolean): void {
  after(ms, () => fn() && every(ms, fn));
}

/**
 * Timeouts in milliseconds: the call that gets one turns it into a point in time, once.
 *
 * @module
 */

import { timers } from "./builtins.ts";
import { inspect } from "./inspect.ts";

/**
 * The point in time, on the clock of `performance.now()`, at which a timeout ends that begins now. That of `undefined`
 * never ends (`Infinity`), that of zero or less ends now.
 *
 * @throws {TypeError} The timeout is no number.
 * @throws {RangeError} It is `NaN`.
 */
export function deadlineAfter(timeout: number | undefined): number {
  if (timeout === undefined) return Infinity;
  if (typeof timeout !== "number") {
    throw new TypeError(`The timeout must be a number of milliseconds: ${inspect(timeout)}`);
  }
  if (Number.isNaN(timeout)) {
    throw new RangeError("The timeout must be a number of milliseconds: NaN");
  }
  return performance.now() + Math.max(timeout, 0);
}

/** Milliseconds left until the deadline, never negative. */
export function millisecondsUntil(deadline: number): number {
  return deadline === Infinity ? Infinity : Math.max(deadline - performance.now(), 0);
}

/** Gives timers and I/O their turn, which promises alone never do. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => timers.setTimeout(resolve, 0));
}

/** The longest delay that `setTimeout` knows: longer ones fire at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Calls `fn` when the deadline has passed; returns a function that calls it off. */
export function whenPassed(deadline: number, fn: () => void): () => void {
  if (deadline === Infinity) return () => {};
  let timer: ReturnType<typeof setTimeout>;
  const start = () => {
    const left = millisecondsUntil(deadline);
    // A timer may fire a little early, and far deadlines need several.
    timer = left > 0 ? timers.setTimeout(start, Math.min(Math.ceil(left), MAX_TIMER_MS)) : timers.setTimeout(fn, 0);
  };
  start();
  return () => timers.clearTimeout(timer);
}

/**
 * {@linkcode wait} and {@linkcode waitSync}: until some or all of several futures are done.
 *
 * @module
 */

import { deadlineAfter, whenPassed } from "./deadline.ts";
import { inspect } from "./inspect.ts";
import { Future, internals, type Waiter } from "./future.ts";
import { blockUntil, hopeless } from "./wakeup.ts";

/** A value of {@linkcode WaitOptions.returnWhen | returnWhen}: return when any future is done. */
export const FIRST_COMPLETED = "FIRST_COMPLETED";
/**
 * A value of {@linkcode WaitOptions.returnWhen | returnWhen}: return when any task has thrown, or all futures are done.
 *
 * A cancelled future does not count as one whose task has thrown.
 */
export const FIRST_EXCEPTION = "FIRST_EXCEPTION";
/** A value of {@linkcode WaitOptions.returnWhen | returnWhen}: return when all futures are done. */
export const ALL_COMPLETED = "ALL_COMPLETED";

/** The values of {@linkcode WaitOptions.returnWhen | returnWhen}: what {@linkcode wait} waits for. */
export type ReturnWhen =
  | typeof FIRST_COMPLETED
  | typeof FIRST_EXCEPTION
  | typeof ALL_COMPLETED;

/** Options of {@linkcode wait} and {@linkcode waitSync}. */
export interface WaitOptions {
  /**
   * The maximum time to wait, in milliseconds from the call. By default there is no limit; `0` or less does not wait.
   */
  timeout?: number;
  /**
   * What to wait for: {@linkcode FIRST_COMPLETED}, {@linkcode FIRST_EXCEPTION} or {@linkcode ALL_COMPLETED}.
   *
   * @default {"ALL_COMPLETED"}
   */
  returnWhen?: ReturnWhen;
}

/**
 * The result of {@linkcode wait}: two sets, which together hold each future once.
 *
 * @typeParam F The type of the futures.
 */
export interface DoneAndNotDone<F extends Future<unknown> = Future<unknown>> {
  /** The futures that are done: their tasks have returned, have thrown, or were cancelled. */
  done: Set<F>;
  /** The futures that were not done when the wait ended. */
  notDone: Set<F>;
}

/** Counts what happens to the futures it waits for. */
class Wait<F extends Future<unknown>> implements Waiter {
  readonly deadline: number;
  onSatisfied: (() => void) | undefined;
  readonly #futures: Set<F>;
  readonly #returnWhen: ReturnWhen;
  readonly #orphans = new Set<Future<unknown>>();
  #notDone: number;
  #anyFailed = false;

  constructor(fs: Iterable<F>, options: WaitOptions) {
    const { timeout, returnWhen = ALL_COMPLETED } = options;
    this.deadline = deadlineAfter(timeout);
    if (
      returnWhen !== ALL_COMPLETED && returnWhen !== FIRST_COMPLETED &&
      returnWhen !== FIRST_EXCEPTION
    ) {
      throw new RangeError(
        `The option returnWhen must be "FIRST_COMPLETED", "FIRST_EXCEPTION" or "ALL_COMPLETED": ${inspect(returnWhen)}`,
      );
    }
    this.#returnWhen = returnWhen;
    this.#futures = futureSet(fs);
    this.#notDone = this.#futures.size;
    for (const future of this.#futures) {
      if (internals.isDone(future)) this.completed(future);
      else {
        if (!internals.canComplete(future)) this.#orphans.add(future);
        internals.addWaiter(future, this);
      }
    }
  }

  completed(future: Future<unknown>): void {
    this.#notDone--;
    this.#orphans.delete(future);
    if (internals.failed(future)) this.#anyFailed = true;
    if (this.isSatisfied()) this.onSatisfied?.();
  }

  isSatisfied(): boolean {
    if (this.#notDone === 0) return true;
    switch (this.#returnWhen) {
      case FIRST_COMPLETED:
        return this.#notDone < this.#futures.size;
      case FIRST_EXCEPTION:
        return this.#anyFailed;
      default:
        return false;
    }
  }

  /** Whether only futures are left that no executor completes. */
  isHopeless(): boolean {
    return this.#notDone > 0 && this.#notDone === this.#orphans.size;
  }

  end(): DoneAndNotDone<F> {
    const done = new Set<F>(), notDone = new Set<F>();
    for (const future of this.#futures) {
      internals.removeWaiter(future, this);
      (future.done() ? done : notDone).add(future);
    }
    return { done, notDone };
  }
}

/**
 * Waits for several futures without blocking.
 *
 * The futures may belong to different executors; one that is given twice counts once. If the time runs out, `wait` does
 * not reject: the futures that are not done are in `notDone`.
 *
 * @example Wait for the first result
 * ```ts
 * import {
 *   FIRST_COMPLETED,
 *   ThreadPoolExecutor,
 *   wait,
 * } from "@concurrent/futures";
 * import { assert } from "@std/assert";
 *
 * using pool = new ThreadPoolExecutor(2);
 * const square = (n: number) => n * n;
 * const futures = [1, 2, 3].map((n) => pool.submit(square, n));
 * const { done } = await wait(futures, { returnWhen: FIRST_COMPLETED });
 * assert(done.size >= 1);
 * ```
 *
 * @typeParam F The type of the futures.
 * @param fs An iterable of futures.
 * @param options What to wait for, and for how long.
 * @returns A promise of the two sets. It rejects with a `RangeError` if `timeout` is `NaN` or `returnWhen` has none of
 * its three values, and with a `TypeError` if `fs` is not an iterable of futures or `timeout` is not a number.
 * @see {@link https://docs.python.org/3/library/concurrent.futures.html#concurrent.futures.wait | Python's manual}
 */
export async function wait<F extends Future<unknown>>(
  fs: Iterable<F>,
  options: WaitOptions = {},
): Promise<DoneAndNotDone<F>> {
  const waiting = new Wait(fs, options);
  if (!waiting.isSatisfied()) {
    await new Promise<void>((resolve) => {
      const callOff = whenPassed(waiting.deadline, resolve);
      waiting.onSatisfied = () => {
        callOff();
        resolve();
      };
    });
  }
  return waiting.end();
}

/**
 * Waits for several futures, and blocks the calling thread while it waits.
 *
 * Apart from that, it does what {@linkcode wait} does.
 *
 * @example Wait for all, for 10 seconds at most
 * ```ts
 * import { ThreadPoolExecutor, waitSync } from "@concurrent/futures";
 * import { assertEquals } from "@std/assert";
 *
 * using pool = new ThreadPoolExecutor(2);
 * const square = (n: number) => n * n;
 * const futures = [1, 2, 3].map((n) => pool.submit(square, n));
 * const { done, notDone } = waitSync(futures, { timeout: 10_000 });
 * assertEquals([done.size, notDone.size], [3, 0]);
 * ```
 *
 * @typeParam F The type of the futures.
 * @param fs An iterable of futures.
 * @param options What to wait for, and for how long.
 * @returns The two sets.
 * @throws {RangeError} If `timeout` is `NaN`, or `returnWhen` has none of its three values.
 * @throws {TypeError} If `fs` is not an iterable of futures, or `timeout` is not a number.
 * @throws {InvalidStateError} If there is no timeout, and no executor will ever complete the futures that are left.
 * @see {@link https://docs.python.org/3/library/concurrent.futures.html#concurrent.futures.wait | Python's manual}
 */
export function waitSync<F extends Future<unknown>>(
  fs: Iterable<F>,
  options: WaitOptions = {},
): DoneAndNotDone<F> {
  const waiting = new Wait(fs, options);
  const stop = waiting.deadline === Infinity
    ? () => waiting.isSatisfied() || waiting.isHopeless()
    : () => waiting.isSatisfied();
  blockUntil(stop, waiting.deadline);
  const satisfied = waiting.isSatisfied();
  const sets = waiting.end();
  if (!satisfied && waiting.deadline === Infinity) {
    throw hopeless(`${sets.notDone.size} (of ${sets.notDone.size + sets.done.size}) futures`);
  }
  return sets;
}

/**
 * The distinct futures of an iterable.
 *
 * @throws {TypeError} It is not iterable, or holds something else.
 */
export function futureSet<F extends Future<unknown>>(fs: Iterable<F>): Set<F> {
  if (typeof (fs as Iterable<F> | null | undefined)?.[Symbol.iterator] !== "function") {
    throw new TypeError(`Cannot wait for a value that is not an iterable of futures: ${inspect(fs)}`);
  }
  const set = new Set<F>();
  for (const future of fs) {
    if (!(future instanceof Future)) {
      throw new TypeError(`Cannot wait for a value that is not a future: ${inspect(future)}`);
    }
    set.add(future);
  }
  return set;
}

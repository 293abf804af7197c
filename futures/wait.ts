/**
 * {@linkcode wait} and {@linkcode waitSync}: until some or all of several futures are done.
 *
 * @module
 */

import { deadlineAfter, whenPassed } from "./deadline.ts";
import { inspect } from "./inspect.ts";
import { InvalidStateError } from "./errors.ts";
import { Future, internals, type Waiter } from "./future.ts";
import { blockUntil } from "./wakeup.ts";

/** Return when any future is done. */
export const FIRST_COMPLETED = "FIRST_COMPLETED";
/** Return when any future has failed, or all are done. A cancelled future does not count as failed. */
export const FIRST_EXCEPTION = "FIRST_EXCEPTION";
/** Return when all futures are done. */
export const ALL_COMPLETED = "ALL_COMPLETED";

/** When {@linkcode wait} returns. */
export type ReturnWhen =
  | typeof FIRST_COMPLETED
  | typeof FIRST_EXCEPTION
  | typeof ALL_COMPLETED;

/** Options of {@linkcode wait} and {@linkcode waitSync}. */
export interface WaitOptions {
  /** Milliseconds from the call; not given: no limit; zero or less: do not wait. */
  timeout?: number;
  /**
   * When to return.
   *
   * @default {"ALL_COMPLETED"}
   */
  returnWhen?: ReturnWhen;
}

/** What {@linkcode wait} returns: each future once, in one set or the other. */
export interface DoneAndNotDone<F extends Future<unknown> = Future<unknown>> {
  /** Those whose tasks returned, threw or were cancelled. */
  done: Set<F>;
  /** Those whose tasks had not when the wait ended. */
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
        `Cannot wait until ${inspect(returnWhen)}: wanted "FIRST_COMPLETED", "FIRST_EXCEPTION" or "ALL_COMPLETED"`,
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
 * Waits until futures are done, without blocking. They may be of several executors; each counts once. It is no error
 * when the time runs out: look at `notDone`.
 *
 * @example Take the first that is done
 * ```ts
 * import { FIRST_COMPLETED, ThreadPoolExecutor, wait } from "@concurrent/futures";
 * import { assert } from "@std/assert";
 *
 * using pool = new ThreadPoolExecutor(2);
 * const futures = [1, 2, 3].map((n) => pool.submit((n: number) => n * n, n));
 * const { done } = await wait(futures, { returnWhen: FIRST_COMPLETED });
 * assert(done.size >= 1);
 * ```
 *
 * @typeParam F The futures' type.
 * @param fs Any iterable of futures.
 * @param options When to return, and after how many milliseconds at the latest.
 * @returns Two sets that together hold each future once. The promise rejects with a `RangeError` where an option is out
 * of range, and with a `TypeError` where `fs` is not an iterable of futures.
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
 * Waits as {@linkcode wait} does, blocking the calling thread.
 *
 * @example Wait for all, for a second at most
 * ```ts
 * import { ThreadPoolExecutor, waitSync } from "@concurrent/futures";
 * import { assertEquals } from "@std/assert";
 *
 * using pool = new ThreadPoolExecutor(2);
 * const futures = [1, 2, 3].map((n) => pool.submit((n: number) => n * n, n));
 * const { done, notDone } = waitSync(futures, { timeout: 10_000 });
 * assertEquals([done.size, notDone.size], [3, 0]);
 * ```
 *
 * @typeParam F The futures' type.
 * @param fs Any iterable of futures.
 * @param options When to return, and after how many milliseconds at the latest.
 * @returns Two sets that together hold each future once.
 * @throws {RangeError} `timeout` is `NaN`, or `returnWhen` none of the three.
 * @throws {TypeError} `fs` is not an iterable of futures.
 * @throws {InvalidStateError} No timeout, and only futures are left that no executor will ever complete.
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
    throw new InvalidStateError(
      "Cannot block without a timeout when only futures are left that no executor completes: " +
        `${sets.notDone.size} of ${sets.notDone.size + sets.done.size}`,
    );
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
    throw new TypeError(`Cannot wait for what is not an iterable of futures: ${inspect(fs)}`);
  }
  const set = new Set<F>();
  for (const future of fs) {
    if (!(future instanceof Future)) {
      throw new TypeError(`Cannot wait for what is not a future: ${inspect(future)}`);
    }
    set.add(future);
  }
  return set;
}

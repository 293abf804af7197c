/**
 * {@linkcode asCompleted}: futures in the order in which they finish.
 *
 * @module
 */

import { deadlineAfter, whenPassed } from "./deadline.ts";
import { type InvalidStateError, TimeoutError } from "./errors.ts";
import { type Future, internals, type Waiter } from "./future.ts";
import { futureSet } from "./wait.ts";
import { blockUntil, hopeless } from "./wakeup.ts";

/** Options of {@linkcode asCompleted}. */
export interface AsCompletedOptions {
  /**
   * The maximum time for the whole iteration, in milliseconds from the call of {@linkcode asCompleted}. By default
   * there is no limit; `0` or less does not wait.
   */
  timeout?: number;
}

/**
 * The result of {@linkcode asCompleted}: yields each future as soon as it is done.
 *
 * `for` blocks the calling thread while it waits; `for await` does not. Both yield futures, not results.
 *
 * @typeParam F The type of the futures.
 */
export interface CompletedFutures<F extends Future<unknown>> extends IterableIterator<F, undefined> {
  /**
   * Blocks the calling thread until the next future is done, and returns it.
   *
   * @throws {TimeoutError} If the time of the whole iteration runs out.
   * @throws {InvalidStateError} If there is no timeout, and no executor will ever complete the futures that are left.
   */
  next(): IteratorResult<F, undefined>;
  /** Ends the iteration. A loop that you leave early calls it. */
  return(): IteratorResult<F, undefined>;
  /** Returns this object, for `for`. */
  [Symbol.iterator](): CompletedFutures<F>;
  /**
   * Returns the iterator for `for await`, which also yields futures.
   *
   * Its type is `any`, because TypeScript would otherwise give the loop variable the type of the result instead of the
   * future.
   */
  // deno-lint-ignore no-explicit-any -- see above
  [Symbol.asyncIterator](): AsyncIterator<any, undefined>;
}

/**
 * Yields each future as soon as it is done.
 *
 * Each future comes once, even if it is given twice; those that are already done come first. The futures may belong to
 * different executors. Leaving the loop early is safe.
 *
 * The clock of `timeout` starts at the call, as Python's manual says. (CPython starts it at the first item.)
 *
 * @example Blocking and awaited
 * ```ts
 * import { asCompleted, ThreadPoolExecutor } from "@concurrent/futures";
 * import { assertEquals } from "@std/assert";
 *
 * using pool = new ThreadPoolExecutor(2);
 * const square = (n: number) => n * n;
 * const submit = (ns: number[]) => ns.map((n) => pool.submit(square, n));
 * let sum = 0;
 * for (const future of asCompleted(submit([1, 2]))) sum += future.result();
 * for await (const future of asCompleted(submit([3, 4]))) sum += await future;
 * assertEquals(sum, 30);
 * ```
 *
 * @typeParam F The type of the futures.
 * @param fs An iterable of futures.
 * @param options For how long to wait.
 * @returns An object for one iteration. If the time runs out, `for` and `for await` throw a {@linkcode TimeoutError},
 * such as `2 (of 5) futures unfinished`. If there is no timeout and no executor will ever complete the futures that are
 * left, `for` throws an {@linkcode InvalidStateError}.
 * @throws {RangeError} If `timeout` is `NaN`.
 * @throws {TypeError} If `fs` is not an iterable of futures, or `timeout` is not a number.
 * @see
 * {@link https://docs.python.org/3/library/concurrent.futures.html#concurrent.futures.as_completed | Python's manual}
 */
export function asCompleted<F extends Future<unknown>>(
  fs: Iterable<F>,
  options: AsCompletedOptions = {},
): CompletedFutures<F> {
  return new Completed(fs, options);
}

class Completed<F extends Future<unknown>> implements CompletedFutures<F>, Waiter {
  readonly #deadline: number;
  readonly #total: number;
  readonly #unfinished = new Set<F>();
  readonly #orphans = new Set<Future<unknown>>();
  #finished: F[] = [];
  #yielded = 0;
  /** The async calls of next() that wait, in the order in which they came. */
  #takers: (() => void)[] = [];

  constructor(fs: Iterable<F>, options: AsCompletedOptions) {
    this.#deadline = deadlineAfter(options.timeout);
    const futures = futureSet(fs);
    this.#total = futures.size;
    for (const future of futures) {
      if (internals.isDone(future)) {
        this.#finished.push(future);
        continue;
      }
      this.#unfinished.add(future);
      if (!internals.canComplete(future)) this.#orphans.add(future);
      internals.addWaiter(future, this);
    }
  }

  completed(future: Future<unknown>): void {
    this.#unfinished.delete(future as F);
    this.#orphans.delete(future);
    this.#finished.push(future as F);
    this.#takers.shift()?.();
    if (this.#unfinished.size === 0) this.#wakeTakers();
  }

  next(): IteratorResult<F, undefined> {
    const ready = () => this.#hasFinished() || this.#unfinished.size === 0;
    const isHopeless = () => this.#deadline === Infinity && this.#orphans.size === this.#unfinished.size;
    if (!ready()) {
      blockUntil(() => ready() || isHopeless(), this.#deadline);
      if (!ready()) throw isHopeless() ? this.#hopelessError() : this.#timeOut();
    }
    return this.#take();
  }

  return(): IteratorResult<F, undefined> {
    this.#end();
    return { done: true, value: undefined };
  }

  [Symbol.iterator](): CompletedFutures<F> {
    return this;
  }

  // Not an async generator: that would give the value of each future, which is a thenable.
  [Symbol.asyncIterator](): AsyncIterator<F, undefined> {
    return {
      next: () => this.#nextAsync(),
      return: () => Promise.resolve(this.return()),
    };
  }

  async #nextAsync(): Promise<IteratorResult<F, undefined>> {
    // This call may have been woken for a future that another one was quicker to take.
    while (!this.#hasFinished() && this.#unfinished.size > 0) {
      const timedOut = await new Promise<boolean>((resolve) => {
        const taker = () => {
          callOff();
          resolve(false);
        };
        const callOff = whenPassed(this.#deadline, () => {
          this.#takers.splice(this.#takers.indexOf(taker), 1);
          resolve(true);
        });
        this.#takers.push(taker);
      });
      if (timedOut && !this.#hasFinished() && this.#unfinished.size > 0) throw this.#timeOut();
    }
    return this.#take();
  }

  #hasFinished(): boolean {
    return this.#yielded < this.#finished.length;
  }

  #take(): IteratorResult<F, undefined> {
    if (!this.#hasFinished()) return { done: true, value: undefined };
    const future = this.#finished[this.#yielded];
    // So that a long iteration keeps nothing that it has given.
    this.#finished[this.#yielded++] = undefined as unknown as F;
    if (!this.#hasFinished()) {
      this.#finished = [];
      this.#yielded = 0;
    }
    return { done: false, value: future };
  }

  #timeOut(): TimeoutError {
    const message = `${this.#unfinished.size} (of ${this.#total}) futures unfinished`;
    this.#end();
    return new TimeoutError(message);
  }

  #hopelessError(): InvalidStateError {
    const error = hopeless(`${this.#unfinished.size} (of ${this.#total}) futures`);
    this.#end();
    return error;
  }

  #end(): void {
    for (const future of this.#unfinished) {
      internals.removeWaiter(future, this);
    }
    this.#unfinished.clear();
    this.#orphans.clear();
    this.#finished = [];
    this.#yielded = 0;
    this.#wakeTakers();
  }

  #wakeTakers(): void {
    for (const taker of this.#takers.splice(0)) taker();
  }
}

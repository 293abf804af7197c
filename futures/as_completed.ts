/**
 * {@linkcode asCompleted}: futures in the order in which they finish.
 *
 * @module
 */

import { deadlineAfter, whenPassed } from "./deadline.ts";
import { InvalidStateError, TimeoutError } from "./errors.ts";
import { type Future, internals, type Waiter } from "./future.ts";
import { futureSet } from "./wait.ts";
import { blockUntil } from "./wakeup.ts";

/** Options of {@linkcode asCompleted}. */
export interface AsCompletedOptions {
  /** Milliseconds for the whole iteration, from the call of `asCompleted`; not given: no limit. */
  timeout?: number;
}

/** Futures in the order in which they finish: `for` blocks, `for await` does not; both yield futures, never their values. */
export interface CompletedFutures<F extends Future<unknown>> extends IterableIterator<F, undefined> {
  /** Blocks until the next future is done. */
  next(): IteratorResult<F, undefined>;
  /** Ends the iteration and removes all listeners. */
  return(): IteratorResult<F, undefined>;
  /** The blocking iterator: this object itself. */
  [Symbol.iterator](): CompletedFutures<F>;
  /**
   * The iterator of `for await`. It gives futures, as the blocking one does. Their type is `any`, because TypeScript awaits the
   * type of what `for await` gives where an object can be iterated over in both ways, and would call a future by the type of its value.
   */
  // deno-lint-ignore no-explicit-any -- see above
  [Symbol.asyncIterator](): AsyncIterator<any, undefined>;
}

/**
 * Yields futures as they finish: first those that are finished already, each once. The futures may be of any executors,
 * mixed. A cancelled future counts as finished. What was yielded is not kept, and leaving the loop early removes all listeners.
 *
 * The clock of the timeout starts at the call, as Python's manual says (its code starts it at the first item).
 *
 * @example Blocking and awaited
 * ```ts
 * import { asCompleted, ThreadPoolExecutor } from "@concurrent/futures";
 * import { assertEquals } from "@std/assert";
 *
 * using pool = new ThreadPoolExecutor(2);
 * const square = (n: number) => n * n;
 * let sum = 0;
 * for (const future of asCompleted([1, 2].map((n) => pool.submit(square, n)))) {
 *   sum += future.result();
 * }
 * for await (const future of asCompleted([3, 4].map((n) => pool.submit(square, n)))) {
 *   sum += await future;
 * }
 * assertEquals(sum, 30);
 * ```
 *
 * @typeParam F The futures' type.
 * @param fs Any iterable of futures.
 * @param options The timeout.
 * @returns An object for one iteration. Its `next()` throws, and the promise of its async `next()` rejects with, a
 * {@linkcode TimeoutError} (`N (of M) futures unfinished`) when the time is over, and an {@linkcode InvalidStateError} when a
 * blocking `next()` without a timeout is left with futures that no executor will ever complete.
 * @throws {RangeError} The timeout is `NaN`.
 * @throws {TypeError} `fs` is not an iterable of futures.
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
  /** Async calls of next() that wait for their turn, first come first served. */
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

  // Written by hand: an async generator would unwrap each future, which is a thenable, into its value.
  [Symbol.asyncIterator](): AsyncIterator<F, undefined> {
    return {
      next: () => this.#nextAsync(),
      return: () => Promise.resolve(this.return()),
    };
  }

  async #nextAsync(): Promise<IteratorResult<F, undefined>> {
    // Another reader may be quicker to take what this one was woken for.
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
    // Not kept, so that a long iteration frees what was seen.
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
    const message =
      `Cannot block without a timeout when only futures are left that no executor completes: ${this.#unfinished.size} of ${this.#total}`;
    this.#end();
    return new InvalidStateError(message);
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

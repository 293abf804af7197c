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

/**
 * Futures in the order in which they finish: `for` blocks, `for await` does not. Both give futures, never their values.
 */
export interface CompletedFutures<F extends Future<unknown>> extends IterableIterator<F, undefined> {
  /** Blocks until the next future is done. */
  next(): IteratorResult<F, undefined>;
  /** Ends the iteration and removes all listeners. */
  return(): IteratorResult<F, undefined>;
  /** The blocking iterator: this object itself. */
  [Symbol.iterator](): CompletedFutures<F>;
  /**
   * The iterator of `for await`. It gives futures, as the blocking one does. Their type is `any`: where an object has
   * both kinds of iterator, TypeScript awaits the type of what `for await` gives, and would take a future for its
   * value.
   */
  // deno-lint-ignore no-explicit-any -- see above
  [Symbol.asyncIterator](): AsyncIterator<any, undefined>;
}

/**
 * Gives futures as they finish, each once: first those that are finished already. They may be of several executors. A
 * cancelled future counts as finished. The iteration keeps no future that it has given, and removes all its listeners
 * when you leave the loop early.
 *
 * The clock of the timeout starts at the call, as Python's manual says (Python's code starts it at the first item).
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
 * @returns An object for one iteration. When the time is over, its `next()` throws a {@linkcode TimeoutError} (`N (of
 * M) futures unfinished`), and the promise of its async `next()` rejects with one. A blocking `next()` without a
 * timeout throws an {@linkcode InvalidStateError} when only futures are left that no executor will ever complete.
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
    const message = "Cannot block without a timeout when only futures are left that no executor completes: " +
      `${this.#unfinished.size} of ${this.#total}`;
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

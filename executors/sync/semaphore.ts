/**
 * Semaphores.
 *
 * @module
 */

import { deadlineAfter } from "../../futures/deadline.ts";
import { inspect } from "../../futures/inspect.ts";
import { Hold, notInTime } from "./lock.ts";
import { isGiven, place, sharedClass } from "./_object.ts";
import { awaited, block } from "./_pause.ts";
import { NO_LIMIT, SEMAPHORE_WORDS, SemaphoreCore } from "./_semaphore_core.ts";

/**
 * A number of permits: `acquire` takes one, and waits while there is none; `release` gives one back, from any thread.
 * Waiters get permits in the order in which they came.
 *
 * A thread that dies counts as the holder of the permits that it has taken and nobody has given back. If no permit is
 * free then, whoever waits or comes next gets a {@linkcode BrokenLockError} instead of waiting forever. A worker that
 * ends because its pool is shut down has not died; and where there are no permits at first, nobody holds any.
 *
 * @example At most two downloads at once
 * ```ts
 * import { ThreadPoolExecutor } from "@concurrent/futures";
 * import { Semaphore } from "@concurrent/futures/sync";
 * import { assertEquals } from "@std/assert";
 *
 * const permits = new Semaphore(2);
 * const download = async (permits: Semaphore, n: number): Promise<number> => {
 *   using _ = await permits.holdAsync();
 *   await new Promise((resolve) => setTimeout(resolve, 5));
 *   return n;
 * };
 *
 * await using pool = new ThreadPoolExecutor(4);
 * const results = await Promise.all([1, 2, 3, 4].map((n) => pool.submit(download, permits, n)));
 * assertEquals(results, [1, 2, 3, 4]);
 * ```
 *
 * @see {@link https://docs.python.org/3/library/threading.html#semaphore-objects | Python's manual}
 */
export class Semaphore {
  readonly #kind: string;
  readonly #core: SemaphoreCore;

  /**
   * Makes a semaphore.
   *
   * @param value How many permits there are, an integer of at least 0.
   * @throws {TypeError} If `value` is not a number.
   * @throws {RangeError} If `value` is not such an integer.
   */
  constructor(value = 1) {
    const kind = this.#kind = this instanceof BoundedSemaphore ? "BoundedSemaphore" : "Semaphore";
    if (!isGiven()) checkValue(kind, value);
    const { words, isNew } = place(this, kind, SEMAPHORE_WORDS * 4);
    this.#core = new SemaphoreCore(words, kind);
    if (isNew) this.#core.init(value);
  }

  /**
   * Takes a permit, and blocks the calling thread until there is one.
   *
   * @param timeout The maximum time to wait, in milliseconds; 0 does not wait. By default there is no limit.
   * @returns Whether a permit was taken; `false` after the timeout.
   * @throws {BrokenLockError} If there is no permit, and a thread that holds some has died.
   */
  acquire(timeout?: number): boolean {
    return block(this.#core.take(deadlineAfter(timeout)));
  }

  /**
   * Takes a permit, and waits for it without blocking the thread.
   *
   * @param timeout The maximum time to wait, in milliseconds; 0 does not wait. By default there is no limit.
   * @returns Whether a permit was taken. Rejects as {@linkcode Semaphore.prototype.acquire | acquire} throws.
   */
  async acquireAsync(timeout?: number): Promise<boolean> {
    return await awaited(this.#core.take(deadlineAfter(timeout)));
  }

  /**
   * Gives permits back.
   *
   * @param n How many, an integer of at least 1.
   * @throws {TypeError} If `n` is not a number.
   * @throws {RangeError} If `n` is not such an integer, or if a {@linkcode BoundedSemaphore} would have more permits
   * than at first.
   */
  release(n = 1): void {
    checkCount(n);
    block(this.#core.give(n));
  }

  /**
   * Takes a permit for a block: `using _ = semaphore.hold()` gives it back at the end of the block.
   *
   * @param timeout The maximum time to wait, in milliseconds. By default there is no limit.
   * @returns What gives the permit back when it is disposed of.
   * @throws {TimeoutError} If there is no permit within the timeout.
   * @throws {BrokenLockError} If there is no permit, and a thread that holds some has died.
   */
  hold(timeout?: number): Disposable {
    if (!this.acquire(timeout)) throw notInTime(this.#kind, timeout!);
    return new Hold(this);
  }

  /**
   * Takes a permit for a block, and waits for it without blocking the thread.
   *
   * @param timeout The maximum time to wait, in milliseconds. By default there is no limit.
   * @returns What gives the permit back when it is disposed of. Rejects as {@linkcode Semaphore.prototype.hold | hold}
   * throws.
   */
  async holdAsync(timeout?: number): Promise<Disposable> {
    if (!await this.acquireAsync(timeout)) throw notInTime(this.#kind, timeout!);
    return new Hold(this);
  }
}

sharedClass("Semaphore", Semaphore);

/**
 * A {@linkcode Semaphore} that never has more permits than at first: a `release` too many throws a `RangeError`.
 *
 * @example A release too many
 * ```ts
 * import { BoundedSemaphore } from "@concurrent/futures/sync";
 * import { assertThrows } from "@std/assert";
 *
 * const permits = new BoundedSemaphore(1);
 * assertThrows(() => permits.release(), RangeError);
 * ```
 *
 * @see {@link https://docs.python.org/3/library/threading.html#semaphore-objects | Python's manual}
 */
export class BoundedSemaphore extends Semaphore {}

sharedClass("BoundedSemaphore", BoundedSemaphore);

function checkValue(kind: string, value: unknown): void {
  if (typeof value !== "number") throw new TypeError(`The value of a ${kind} must be a number: ${inspect(value)}`);
  if (!Number.isInteger(value) || value < 0 || value >= NO_LIMIT) {
    throw new RangeError(`The value of a ${kind} must be an integer of at least 0: ${value}`);
  }
}

function checkCount(n: unknown): void {
  if (typeof n !== "number") throw new TypeError(`The number of permits must be a number: ${inspect(n)}`);
  if (!Number.isInteger(n) || n < 1) {
    throw new RangeError(`The number of permits must be an integer of at least 1: ${n}`);
  }
}

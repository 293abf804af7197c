/**
 * Barriers.
 *
 * @module
 */

import { checkCount } from "../../futures/check.ts";
import { deadlineAfter } from "../../futures/deadline.ts";
import { BARRIER_WORDS, BarrierCore, Cause } from "./_barrier_core.ts";
import { isGiven, place, sharedClass } from "./_object.ts";
import { awaited, block } from "./_pause.ts";
import { MAX_WAITERS } from "./_wait_list.ts";

/**
 * A point at which a number of threads wait for each other. When the last one has come, all go on, and the barrier can
 * be used again.
 *
 * A timeout, `abort`, or a thread that dies while it waits breaks the barrier: all who wait or come later get a
 * {@linkcode BrokenBarrierError}, until `reset` is called.
 *
 * @example Phases
 * ```ts
 * import { ThreadPoolExecutor } from "@concurrent/futures";
 * import { Barrier } from "@concurrent/futures/sync";
 * import { assertEquals } from "@std/assert";
 *
 * const barrier = new Barrier(2);
 * const arrive = (barrier: Barrier): number => barrier.wait();
 *
 * await using pool = new ThreadPoolExecutor(2);
 * const places = await Promise.all([pool.submit(arrive, barrier), pool.submit(arrive, barrier)]);
 * assertEquals(places.sort(), [0, 1]);
 * ```
 *
 * @see {@link https://docs.python.org/3/library/threading.html#barrier-objects | Python's manual}
 */
export class Barrier {
  readonly #core: BarrierCore;

  /**
   * Makes a barrier.
   *
   * Python's `action` has no place here, as a function cannot lie in shared memory. Let the party do it whose `wait`
   * returns 0.
   *
   * @param parties How many threads wait for each other, an integer of at least 1.
   * @param timeout The maximum time that a party waits which says no other time, in milliseconds. By default there is
   * no limit.
   * @throws {TypeError} If an argument is not a number.
   * @throws {RangeError} If `parties` is not such an integer, or `timeout` is `NaN`.
   */
  constructor(parties: number, timeout?: number) {
    if (!isGiven()) {
      deadlineAfter(timeout);
      checkCount("parties", parties);
      if (parties > MAX_WAITERS) throw new RangeError(`A Barrier can have at most ${MAX_WAITERS} parties: ${parties}`);
    }
    const { words, isNew } = place(this, "Barrier", BARRIER_WORDS * 4);
    this.#core = new BarrierCore(words);
    if (isNew) this.#core.init(parties, timeout ?? Infinity);
  }

  /** How many threads wait for each other. */
  get parties(): number {
    return this.#core.parties;
  }

  /** How many of them wait now. */
  get nWaiting(): number {
    return this.#core.waiting;
  }

  /** Whether the barrier is broken. */
  get broken(): boolean {
    return this.#core.isBroken;
  }

  /**
   * Blocks the calling thread until all parties wait.
   *
   * @param timeout The maximum time to wait, in milliseconds. By default that of the constructor. After it the
   * barrier is broken.
   * @returns The place of the caller, from 0 to `parties - 1`: each party has another one.
   * @throws {BrokenBarrierError} If the barrier is broken, or is broken or reset while the caller waits.
   */
  wait(timeout?: number): number {
    return block(this.#core.wait(deadlineAfter(timeout === undefined ? this.#core.timeout : timeout)));
  }

  /**
   * Waits until all parties wait, without blocking the thread.
   *
   * @param timeout The maximum time to wait, in milliseconds. By default that of the constructor. After it the
   * barrier is broken.
   * @returns The place of the caller. Rejects as {@linkcode Barrier.prototype.wait | wait} throws.
   */
  async waitAsync(timeout?: number): Promise<number> {
    return await awaited(this.#core.wait(deadlineAfter(timeout === undefined ? this.#core.timeout : timeout)));
  }

  /** Empties the barrier, which can be used again. Those who wait get a {@linkcode BrokenBarrierError}. */
  reset(): void {
    block(this.#core.end(Cause.NONE));
  }

  /** Breaks the barrier, because one of the parties will not come. */
  abort(): void {
    block(this.#core.end(Cause.ABORTED));
  }
}

sharedClass("Barrier", Barrier);

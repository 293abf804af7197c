/**
 * Barriers.
 *
 * @module
 */

import { performance } from "../../futures/builtins.ts";
import { checkCount } from "../../futures/check.ts";
import { deadlineAfter } from "../../futures/deadline.ts";
import { nameOf } from "../_queue/holders.ts";
import { BrokenBarrierError } from "./errors.ts";
import { Mutex, MUTEX_WORDS } from "./_mutex.ts";
import { FIRST_WORD, isGiven, place, sharedClass } from "./_object.ts";
import { awaited, block, type Steps } from "./_pause.ts";
import { LIST_WORDS, MAX_WAITERS, REFUSED, type Ticket, TOLD, WaitList } from "./_wait_list.ts";

/** How many parties there are, why it is broken (a {@linkcode Cause}, or who has died); then the mutex, the waiters. */
const PARTIES = FIRST_WORD;
const CAUSE = FIRST_WORD + 1;
const MUTEX = FIRST_WORD + 2;
const LIST = MUTEX + MUTEX_WORDS;
const WORDS = LIST + LIST_WORDS;

/** Why a barrier is broken; above 0 it is the number of the holder that has died. */
const Cause = { NONE: 0, ABORTED: -1, TIMED_OUT: -2 } as const;

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
  readonly #words: Int32Array;
  readonly #mutex: Mutex;
  readonly #list: WaitList;

  /**
   * Makes a barrier.
   *
   * @param parties How many threads wait for each other, an integer of at least 1.
   * @throws {TypeError} If `parties` is not a number.
   * @throws {RangeError} If `parties` is not such an integer.
   */
  constructor(parties: number) {
    if (!isGiven()) {
      checkCount("parties", parties);
      if (parties > MAX_WAITERS) throw new RangeError(`A Barrier can have at most ${MAX_WAITERS} parties: ${parties}`);
    }
    const { words, isNew } = place(this, "Barrier", WORDS * 4);
    this.#words = words;
    if (isNew) words[PARTIES] = parties;
    this.#mutex = new Mutex(words, MUTEX, "Barrier");
    this.#list = new WaitList(words, LIST);
  }

  /** How many threads wait for each other. */
  get parties(): number {
    return this.#words[PARTIES];
  }

  /** How many of them wait now. */
  get nWaiting(): number {
    return this.#list.waiting;
  }

  /** Whether the barrier is broken. */
  get broken(): boolean {
    return this.#words[CAUSE] !== Cause.NONE;
  }

  /**
   * Blocks the calling thread until all parties wait.
   *
   * @param timeout The maximum time to wait, in milliseconds. By default there is no limit. After it the barrier is
   * broken.
   * @returns The place of the caller, from 0 to `parties - 1`: each party has another one.
   * @throws {BrokenBarrierError} If the barrier is broken, or is broken or reset while the caller waits.
   */
  wait(timeout?: number): number {
    return block(this.#wait(deadlineAfter(timeout)));
  }

  /**
   * Waits until all parties wait, without blocking the thread.
   *
   * @param timeout The maximum time to wait, in milliseconds. By default there is no limit. After it the barrier is
   * broken.
   * @returns The place of the caller. Rejects as {@linkcode Barrier.prototype.wait | wait} throws.
   */
  async waitAsync(timeout?: number): Promise<number> {
    return await awaited(this.#wait(deadlineAfter(timeout)));
  }

  /** Empties the barrier, which can be used again. Those who wait get a {@linkcode BrokenBarrierError}. */
  reset(): void {
    block(this.#end(Cause.NONE));
  }

  /** Breaks the barrier, because one of the parties will not come. */
  abort(): void {
    block(this.#end(Cause.ABORTED));
  }

  *#wait(deadline: number): Steps<number> {
    const [mutex, list] = [this.#mutex, this.#list];
    yield* mutex.lock(Infinity);
    let ticket: Ticket, index: number;
    try {
      this.#bury();
      this.#assertWhole();
      index = list.waiting;
      if (index === this.parties - 1) {
        list.tellAll(TOLD);
        return index;
      }
      ticket = list.enter();
    } finally {
      mutex.release();
    }
    yield* list.wait(ticket, deadline, () => list.hasDead);
    yield* mutex.lock(Infinity);
    try {
      const state = list.leave(ticket);
      if (state === TOLD) return index;
      this.#bury();
      if (state !== REFUSED && !this.broken && performance.now() >= deadline) this.#break(Cause.TIMED_OUT);
      this.#assertWhole();
      if (state === REFUSED) throw new BrokenBarrierError("The Barrier was reset while this thread waited for it");
    } finally {
      mutex.release();
    }
    // Somebody else has died that did not wait any more.
    return yield* this.#wait(deadline);
  }

  *#end(cause: number): Steps<void> {
    yield* this.#mutex.lock(Infinity);
    try {
      this.#break(cause);
    } finally {
      this.#mutex.release();
    }
  }

  #break(cause: number): void {
    this.#words[CAUSE] = cause;
    this.#list.tellAll(REFUSED);
  }

  #bury(): void {
    const { dead } = this.#list.bury();
    if (dead !== 0 && !this.broken) this.#break(dead);
  }

  #assertWhole(): void {
    const cause = this.#words[CAUSE];
    if (cause === Cause.NONE) return;
    const why = cause === Cause.ABORTED
      ? "it was aborted"
      : cause === Cause.TIMED_OUT
      ? "a party waited for longer than its timeout"
      : `${nameOf(cause)} died while it waited for it`;
    throw new BrokenBarrierError(`The Barrier is broken: ${why}`);
  }
}

sharedClass("Barrier", Barrier);

/**
 * Semaphores.
 *
 * @module
 */

import { Atomics, Math, performance } from "../../futures/builtins.ts";
import { deadlineAfter } from "../../futures/deadline.ts";
import { inspect } from "../../futures/inspect.ts";
import { holder, HolderState, stateOf } from "../_queue/holders.ts";
import { Hold, notInTime } from "./lock.ts";
import { brokenBy, Mutex, MUTEX_WORDS } from "./_mutex.ts";
import { FIRST_WORD, isGiven, place, sharedClass } from "./_object.ts";
import { awaited, block, type Steps } from "./_pause.ts";
import { LIST_WORDS, type Ticket, TOLD, WaitList } from "./_wait_list.ts";

/**
 * How many permits are free, how many there were at first, and how many entries of holders were ever used at once;
 * then the mutex, the waiters, and the holders.
 */
const VALUE = FIRST_WORD;
const INITIAL = FIRST_WORD + 1;
const USED = FIRST_WORD + 2;
const MUTEX = FIRST_WORD + 3;
const LIST = MUTEX + MUTEX_WORDS;
const HOLDERS = LIST + LIST_WORDS;
/** Of how many threads at once it is known how many permits they hold: a number, and a count. */
const MAX_HOLDERS = 256;
const WORDS = HOLDERS + MAX_HOLDERS * 2;

/** Any number of permits. */
const NO_LIMIT = 2 ** 31 - 1;

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
  readonly #words: Int32Array;
  readonly #mutex: Mutex;
  readonly #list: WaitList;

  /**
   * Makes a semaphore.
   *
   * @param value How many permits there are, an integer of at least 0.
   * @throws {TypeError} If `value` is not a number.
   * @throws {RangeError} If `value` is not such an integer.
   */
  constructor(value = 1) {
    const kind = this.#kind = new.target === BoundedSemaphore ? "BoundedSemaphore" : "Semaphore";
    if (!isGiven()) checkValue(kind, value);
    const { words, isNew } = place(this, kind, WORDS * 4);
    this.#words = words;
    if (isNew) {
      words[VALUE] = value;
      words[INITIAL] = value;
    }
    this.#mutex = new Mutex(words, MUTEX, kind);
    this.#list = new WaitList(words, LIST);
  }

  /**
   * Takes a permit, and blocks the calling thread until there is one.
   *
   * @param timeout The maximum time to wait, in milliseconds; 0 does not wait. By default there is no limit.
   * @returns Whether a permit was taken; `false` after the timeout.
   * @throws {BrokenLockError} If there is no permit, and a thread that holds some has died.
   */
  acquire(timeout?: number): boolean {
    return block(this.#take(deadlineAfter(timeout)));
  }

  /**
   * Takes a permit, and waits for it without blocking the thread.
   *
   * @param timeout The maximum time to wait, in milliseconds; 0 does not wait. By default there is no limit.
   * @returns Whether a permit was taken. Rejects as {@linkcode Semaphore.prototype.acquire | acquire} throws.
   */
  async acquireAsync(timeout?: number): Promise<boolean> {
    return await awaited(this.#take(deadlineAfter(timeout)));
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
    block(this.#give(n));
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

  *#take(deadline: number): Steps<boolean> {
    const [mutex, list] = [this.#mutex, this.#list];
    yield* mutex.lock(Infinity);
    let ticket: Ticket;
    try {
      this.#bury();
      if (this.#words[VALUE] > 0) {
        this.#words[VALUE]--;
        this.#noteTaken();
        return true;
      }
      this.#assertHope();
      if (performance.now() >= deadline) return false;
      ticket = list.enter();
    } finally {
      mutex.release();
    }
    yield* list.wait(ticket, deadline, () => this.#deadHolder() !== 0 || list.hasDead);
    yield* mutex.lock(Infinity);
    let isTold: boolean;
    try {
      isTold = list.leave(ticket) === TOLD;
      if (isTold) this.#noteTaken();
    } finally {
      mutex.release();
    }
    // Somebody has died: it may have had permits.
    return isTold || (performance.now() < deadline ? yield* this.#take(deadline) : false);
  }

  *#give(n: number): Steps<void> {
    yield* this.#mutex.lock(Infinity);
    try {
      this.#bury();
      const words = this.#words;
      const isBounded = this.#kind === "BoundedSemaphore";
      if (n > (isBounded ? words[INITIAL] : NO_LIMIT) - words[VALUE]) {
        throw new RangeError(
          isBounded
            ? `Cannot release more permits of a BoundedSemaphore than there were at first: ${words[INITIAL]}`
            : `Cannot release so many permits, as a Semaphore has at most ${NO_LIMIT}: ${n}`,
        );
      }
      this.#noteGiven(n);
      this.#free(n);
    } finally {
      this.#mutex.release();
    }
  }

  /** Gives permits to those who wait; what is left is free. */
  #free(n: number): void {
    for (; n > 0 && this.#list.tell(); n--);
    this.#words[VALUE] += n;
  }

  /** Takes back what was given to waiters that have died. */
  #bury(): void {
    if (this.#list.hasDead) this.#free(this.#list.bury().told);
  }

  /** Notes that this thread holds one more permit. */
  #noteTaken(): void {
    const words = this.#words;
    const me = holder();
    let unused = -1;
    for (let at = HOLDERS; at < this.#end; at += 2) {
      if (words[at] === me) {
        words[at + 1]++;
        return;
      }
      if (words[at] === 0) unused = at;
    }
    if (unused === -1) {
      if (words[USED] === MAX_HOLDERS) return;
      unused = this.#end;
      words[USED]++;
    }
    words[unused + 1] = 1;
    Atomics.store(words, unused, me);
  }

  /** Notes that permits were given back: the caller's own, or else those that the dead or others have taken. */
  #noteGiven(n: number): void {
    const words = this.#words;
    const me = holder();
    const isDead = (number: number) => stateOf(number) === HolderState.DEAD;
    for (const isIts of [(number: number) => number === me, isDead, () => true]) {
      for (let at = HOLDERS; at < this.#end && n > 0; at += 2) {
        if (words[at] === 0 || !isIts(words[at])) continue;
        const count = Math.min(words[at + 1], n);
        n -= count;
        words[at + 1] -= count;
        if (words[at + 1] === 0) Atomics.store(words, at, 0);
      }
    }
  }

  /** Where the entries of holders end that were ever used. */
  get #end(): number {
    return HOLDERS + this.#words[USED] * 2;
  }

  /**
   * A thread that has died with permits; 0 for none. Where there were no permits at first, they are signals, and nobody
   * has to give one back. Asked also without the mutex.
   */
  #deadHolder(): number {
    if (this.#words[INITIAL] === 0) return 0;
    for (let at = HOLDERS; at < this.#end; at += 2) {
      const number = Atomics.load(this.#words, at);
      if (number !== 0 && stateOf(number) === HolderState.DEAD) return number;
    }
    return 0;
  }

  #assertHope(): void {
    const dead = this.#deadHolder();
    if (dead !== 0) throw brokenBy(this.#kind, dead);
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

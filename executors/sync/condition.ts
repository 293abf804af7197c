/**
 * Conditions.
 *
 * @module
 */

import { deadlineAfter } from "../../futures/deadline.ts";
import { inspect } from "../../futures/inspect.ts";
import { CONDITION_WORDS, ConditionCore } from "./_condition_core.ts";
import { coreOf, type Lock, RLock } from "./lock.ts";
import { isGiven, place, sharedClass } from "./_object.ts";
import { awaited, block } from "./_pause.ts";

/**
 * A condition that threads wait for, while another one changes what it depends on. Whoever waits or notifies holds the
 * condition's lock; a wait releases the lock, and takes it again at its end.
 *
 * Waiters wake up in the order in which they came. As many wake up as were notified, but another thread may take the
 * lock before a waiter does, so look again at what was waited for: {@linkcode Condition.prototype.waitFor | waitFor}
 * does that.
 *
 * @example A thread that waits until another one has put something there
 * ```ts
 * import { ThreadPoolExecutor } from "@concurrent/futures";
 * import { Condition } from "@concurrent/futures/sync";
 * import { assertEquals } from "@std/assert";
 *
 * const condition = new Condition();
 * const stock = new Int32Array(new SharedArrayBuffer(4));
 * const consume = (condition: Condition, stock: Int32Array): number => {
 *   using _ = condition.hold();
 *   condition.waitFor(() => stock[0] > 0);
 *   return stock[0]--;
 * };
 *
 * await using pool = new ThreadPoolExecutor(1);
 * const future = pool.submit(consume, condition, stock);
 * {
 *   using _ = condition.hold();
 *   stock[0] = 3;
 *   condition.notify();
 * }
 * assertEquals(await future, 3);
 * ```
 *
 * @see {@link https://docs.python.org/3/library/threading.html#condition-objects | Python's manual}
 */
export class Condition {
  readonly #lock: Lock | RLock;
  readonly #core: ConditionCore;

  /**
   * Makes a condition.
   *
   * @param lock The lock; several conditions can have the same one. By default it is a new {@linkcode RLock}.
   * @throws {TypeError} If `lock` is no lock.
   */
  constructor(lock?: Lock | RLock) {
    if (!isGiven() && lock !== undefined && coreOf(lock) === undefined) {
      throw new TypeError(`The lock of a Condition must be a Lock or an RLock: ${inspect(lock)}`);
    }
    const { words, part } = place(this, "Condition", CONDITION_WORDS * 4, () => lock ?? new RLock());
    this.#lock = part as Lock | RLock;
    this.#core = new ConditionCore(words, coreOf(this.#lock)!);
  }

  /**
   * Takes the lock: see {@linkcode AnyLock.prototype.acquire | Lock.acquire()}.
   *
   * @param timeout The maximum time to wait, in milliseconds. By default there is no limit.
   * @returns Whether the lock was taken.
   */
  acquire(timeout?: number): boolean {
    return this.#lock.acquire(timeout);
  }

  /**
   * Takes the lock without blocking: see {@linkcode AnyLock.prototype.acquireAsync | Lock.acquireAsync()}.
   *
   * @param timeout The maximum time to wait, in milliseconds. By default there is no limit.
   * @returns Whether the lock was taken.
   */
  acquireAsync(timeout?: number): Promise<boolean> {
    return this.#lock.acquireAsync(timeout);
  }

  /** Releases the lock. */
  release(): void {
    this.#lock.release();
  }

  /**
   * Whether somebody holds the lock.
   *
   * @returns `true` if it is held.
   */
  locked(): boolean {
    return this.#lock.locked();
  }

  /**
   * Takes the lock for a block: see {@linkcode AnyLock.prototype.hold | Lock.hold()}.
   *
   * @param timeout The maximum time to wait, in milliseconds. By default there is no limit.
   * @returns What releases the lock when it is disposed of.
   */
  hold(timeout?: number): Disposable {
    return this.#lock.hold(timeout);
  }

  /**
   * Takes the lock for a block without blocking: see {@linkcode AnyLock.prototype.holdAsync | Lock.holdAsync()}.
   *
   * @param timeout The maximum time to wait, in milliseconds. By default there is no limit.
   * @returns What releases the lock when it is disposed of.
   */
  holdAsync(timeout?: number): Promise<Disposable> {
    return this.#lock.holdAsync(timeout);
  }

  /**
   * Releases the lock, blocks the calling thread until it is notified, and takes the lock again.
   *
   * @param timeout The maximum time to wait, in milliseconds. By default there is no limit.
   * @returns Whether the caller was notified; `false` after the timeout.
   * @throws {InvalidStateError} If the caller does not hold the lock.
   * @throws {BrokenLockError} If the worker that held the lock has ended, or its task was stopped.
   */
  wait(timeout?: number): boolean {
    return block(this.#core.wait(deadlineAfter(timeout)));
  }

  /**
   * Does so without blocking the thread.
   *
   * @param timeout The maximum time to wait, in milliseconds. By default there is no limit.
   * @returns Whether the caller was notified. Rejects as {@linkcode Condition.prototype.wait | wait} throws.
   */
  async waitAsync(timeout?: number): Promise<boolean> {
    return await awaited(this.#core.wait(deadlineAfter(timeout)));
  }

  /**
   * Waits until a condition holds: the predicate is called first, and again each time that the caller was notified.
   *
   * @typeParam T What the predicate returns.
   * @param predicate Says whether the condition holds. It is called while the lock is held.
   * @param timeout The maximum time to wait, in milliseconds. By default there is no limit.
   * @returns What the predicate returned last, which is false only after the timeout.
   */
  waitFor<T>(predicate: () => T, timeout?: number): T {
    let last: T;
    block(this.#core.waitFor(() => last = predicate(), deadlineAfter(timeout)));
    return last!;
  }

  /**
   * Does so without blocking the thread.
   *
   * @typeParam T What the predicate returns.
   * @param predicate Says whether the condition holds. It is called while the lock is held.
   * @param timeout The maximum time to wait, in milliseconds. By default there is no limit.
   * @returns What the predicate returned last, which is false only after the timeout.
   */
  async waitForAsync<T>(predicate: () => T, timeout?: number): Promise<T> {
    let last: T;
    await awaited(this.#core.waitFor(() => last = predicate(), deadlineAfter(timeout)));
    return last!;
  }

  /**
   * Wakes up waiters, those first that have waited longest.
   *
   * @param n How many, at the most, an integer of at least 0.
   * @throws {InvalidStateError} If the caller does not hold the lock.
   * @throws {TypeError} If `n` is not a number.
   * @throws {RangeError} If `n` is not such an integer.
   */
  notify(n = 1): void {
    if (typeof n !== "number") throw new TypeError(`The number of waiters must be a number: ${inspect(n)}`);
    if (!Number.isInteger(n) || n < 0) {
      throw new RangeError(`The number of waiters must be an integer of at least 0: ${n}`);
    }
    this.#core.notify(n);
  }

  /**
   * Wakes up all waiters.
   *
   * @throws {InvalidStateError} If the caller does not hold the lock.
   */
  notifyAll(): void {
    this.#core.notifyAll();
  }
}

sharedClass("Condition", Condition);

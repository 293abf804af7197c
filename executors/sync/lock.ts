/**
 * Locks.
 *
 * @module
 */

import { deadlineAfter } from "../../futures/deadline.ts";
import { InvalidStateError, TimeoutError } from "../../futures/errors.ts";
import { holder, HolderState, nameOf, stateOf } from "../_queue/holders.ts";
import { assertAlive } from "./errors.ts";
import { Mutex, MUTEX_WORDS } from "./_mutex.ts";
import { FIRST_WORD, place, sharedClass } from "./_object.ts";
import { awaited, block, NEVER, type Steps } from "./_pause.ts";

/** What makes a lock of one kind. */
export interface LockCore {
  /** Takes it if that needs no wait. */
  takeAtOnce(): boolean;
  /** Takes it, or waits for it; `false` when the deadline has passed. */
  take(deadline: number): Steps<boolean>;
  /** Releases it once. */
  release(): void;
  /** Whether anybody holds it. */
  isHeld(): boolean;
  /** Whether the caller holds it, as a condition asks. */
  isMine(): boolean;
  /** Releases it, however often it is held; returns how often. */
  releaseAll(): number;
  /** Takes it again, and as often. */
  takeAgain(times: number): Steps<void>;
  /** @throws {BrokenLockError} Its holder has died. */
  assertWhole(): void;
}

/** What makes a lock; `undefined` where it is no lock. For its condition. */
export let coreOf: (lock: unknown) => LockCore | undefined;
let setCore: (lock: AnyLock, core: LockCore) => void;

/** What a {@linkcode Lock} and an {@linkcode RLock} have in common. */
export abstract class AnyLock {
  #core!: LockCore;

  static {
    coreOf = (lock) => typeof lock === "object" && lock !== null && #core in lock ? lock.#core : undefined;
    setCore = (lock, core) => lock.#core = core;
  }

  /**
   * Takes the lock, and blocks the calling thread until it is free.
   *
   * @param timeout The maximum time to wait, in milliseconds; 0 does not wait. By default there is no limit.
   * @returns Whether the lock was taken; `false` after the timeout.
   * @throws {BrokenLockError} If the worker that held it has ended, or its task was stopped.
   * @throws {TypeError} If `timeout` is not a number.
   * @throws {RangeError} If `timeout` is `NaN`.
   */
  acquire(timeout?: number): boolean {
    if (timeout === undefined && this.#core.takeAtOnce()) return true;
    return block(this.#core.take(deadlineAfter(timeout)));
  }

  /**
   * Takes the lock, and waits for it without blocking the thread.
   *
   * @param timeout The maximum time to wait, in milliseconds; 0 does not wait. By default there is no limit.
   * @returns Whether the lock was taken; `false` after the timeout. Rejects as
   * {@linkcode AnyLock.prototype.acquire | acquire} throws.
   */
  async acquireAsync(timeout?: number): Promise<boolean> {
    return await awaited(this.#core.take(deadlineAfter(timeout)));
  }

  /**
   * Releases the lock. Does nothing if the lock is broken.
   *
   * @throws {InvalidStateError} If it is not held, or in the case of an {@linkcode RLock} not by the caller.
   */
  release(): void {
    this.#core.release();
  }

  /**
   * Whether somebody holds the lock.
   *
   * @returns `true` if it is held.
   */
  locked(): boolean {
    return this.#core.isHeld();
  }

  /**
   * Takes the lock for a block: `using _ = lock.hold()` releases it at the end of the block, also when an error leaves
   * it.
   *
   * @param timeout The maximum time to wait, in milliseconds. By default there is no limit.
   * @returns What releases the lock when it is disposed of.
   * @throws {TimeoutError} If the lock is not free within the timeout.
   * @throws {BrokenLockError} If the worker that held it has ended, or its task was stopped.
   */
  hold(timeout?: number): Disposable {
    if (!this.acquire(timeout)) throw notInTime("lock", timeout!);
    return new Hold(this);
  }

  /**
   * Takes the lock for a block, and waits for it without blocking the thread: `using _ = await lock.holdAsync()`.
   *
   * @param timeout The maximum time to wait, in milliseconds. By default there is no limit.
   * @returns What releases the lock when it is disposed of. Rejects as {@linkcode AnyLock.prototype.hold | hold}
   * throws.
   */
  async holdAsync(timeout?: number): Promise<Disposable> {
    if (!await this.acquireAsync(timeout)) throw notInTime("lock", timeout!);
    return new Hold(this);
  }
}

/** Releases a lock once; not where its task was cut off meanwhile: then it is broken, or is another one's. */
export class Hold implements Disposable {
  #lock: { release(): void } | undefined;
  readonly #holder = holder();

  constructor(lock: { release(): void }) {
    this.#lock = lock;
  }

  [Symbol.dispose](): void {
    const lock = this.#lock;
    this.#lock = undefined;
    if (stateOf(this.#holder) === HolderState.ALIVE) lock?.release();
  }
}

/** The error of a hold that takes too long. */
export function notInTime(what: string, timeout: number): TimeoutError {
  return new TimeoutError(`The ${what} was not free in time: ${timeout} ms`);
}

/**
 * A lock that one thread can hold at a time. Any thread can release it.
 *
 * It is the same lock on each thread that gets it as an argument of a task. If the worker that holds it ends, or is
 * given up, or if its task is stopped, the lock is broken: whoever waits for it or comes next gets a
 * {@linkcode BrokenLockError}.
 *
 * @example A counter that several threads change
 * ```ts
 * import { ThreadPoolExecutor } from "@concurrent/futures";
 * import { Lock } from "@concurrent/futures/sync";
 * import { assertEquals } from "@std/assert";
 *
 * const lock = new Lock();
 * const count = new Int32Array(new SharedArrayBuffer(4));
 * const add = (lock: Lock, count: Int32Array): void => {
 *   for (let i = 0; i < 1000; i++) {
 *     using _ = lock.hold();
 *     count[0] = count[0] + 1;
 *   }
 * };
 *
 * await using pool = new ThreadPoolExecutor(2);
 * await Promise.all([pool.submit(add, lock, count), pool.submit(add, lock, count)]);
 * assertEquals(count[0], 2000);
 * ```
 *
 * @see {@link https://docs.python.org/3/library/threading.html#lock-objects | Python's manual}
 */
export class Lock extends AnyLock {
  /** Makes a lock that is free. */
  constructor() {
    super();
    const { words } = place(this, "Lock", (FIRST_WORD + MUTEX_WORDS) * 4);
    const mutex = new Mutex(words, FIRST_WORD, "Lock");
    const isHeld = () => mutex.holder !== 0;
    setCore(this, {
      takeAtOnce: () => mutex.tryLock(),
      take: (deadline) => mutex.lock(deadline),
      release() {
        if (!isHeld()) throw new InvalidStateError("Cannot release a Lock that nobody holds");
        const me = holder();
        // One that was given up must not release what another one holds now.
        if (mutex.holder !== me) assertAlive(me);
        mutex.release();
      },
      isHeld,
      isMine: isHeld,
      releaseAll() {
        mutex.release();
        return 1;
      },
      *takeAgain() {
        yield* mutex.lock(NEVER);
      },
      assertWhole: () => mutex.assertWhole(),
    });
  }
}

sharedClass("Lock", Lock);

/**
 * A lock that its holder can take again. It is free when it was released as often as it was taken.
 *
 * The holder is a thread. Two `async` functions on one thread count as the same holder; use a {@linkcode Lock} between
 * them. When its holder dies, it breaks as a {@linkcode Lock} does.
 *
 * @example A function that calls another one with the same lock
 * ```ts
 * import { RLock } from "@concurrent/futures/sync";
 * import { assertEquals } from "@std/assert";
 *
 * const lock = new RLock();
 * function outer(): string {
 *   using _ = lock.hold();
 *   return inner();
 * }
 * function inner(): string {
 *   using _ = lock.hold();
 *   return "held twice";
 * }
 * assertEquals(outer(), "held twice");
 * ```
 *
 * @see {@link https://docs.python.org/3/library/threading.html#rlock-objects | Python's manual}
 */
export class RLock extends AnyLock {
  /** Makes a lock that is free. */
  constructor() {
    super();
    // The second word, which only the holder uses, says how often it is held.
    const { words } = place(this, "RLock", (FIRST_WORD + 1 + MUTEX_WORDS) * 4);
    const mutex = new Mutex(words, FIRST_WORD + 1, "RLock");
    const isMine = () => mutex.holder === holder();
    setCore(this, {
      takeAtOnce() {
        if (isMine()) mutex.assertWhole();
        else if (!mutex.tryLock()) return false;
        words[FIRST_WORD]++;
        return true;
      },
      *take(deadline) {
        if (isMine()) mutex.assertWhole();
        else if (!(yield* mutex.lock(deadline))) return false;
        words[FIRST_WORD]++;
        return true;
      },
      release() {
        if (!isMine()) {
          // As with a Lock: whoever held it gets the error that says so, which another one here would hide.
          if (mutex.isBroken) return;
          const other = mutex.holder;
          throw new InvalidStateError(
            `Cannot release an RLock that ${other === 0 ? "nobody" : nameOf(other)} holds, and not the caller`,
          );
        }
        if (--words[FIRST_WORD] === 0) mutex.release();
      },
      isHeld: () => mutex.holder !== 0,
      isMine,
      releaseAll() {
        const times = words[FIRST_WORD];
        words[FIRST_WORD] = 0;
        mutex.release();
        return times;
      },
      *takeAgain(times) {
        yield* mutex.lock(NEVER);
        words[FIRST_WORD] = times;
      },
      assertWhole: () => mutex.assertWhole(),
    });
  }
}

sharedClass("RLock", RLock);

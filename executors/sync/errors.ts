/**
 * The errors of the objects that threads share.
 *
 * @module
 */

import { HolderState, stateOf } from "../_queue/holders.ts";
import { registerClass } from "../_values/error_codec.ts";

/**
 * Thrown by an object whose holder has died: what the object protects may be half changed.
 *
 * A holder dies when its worker ends, is given up, or when its task is stopped before it has released the object. The
 * object stays broken; make another one.
 *
 * @example A thread that ends while it holds a lock
 * ```ts
 * import { ThreadPoolExecutor } from "@concurrent/futures";
 * import { BrokenLockError, Lock } from "@concurrent/futures/sync";
 * import { assertThrows } from "@std/assert";
 *
 * const lock = new Lock();
 * {
 *   using pool = new ThreadPoolExecutor(1);
 *   pool.submit((lock) => lock.acquire(), lock).result();
 * }
 * assertThrows(() => lock.acquire(), BrokenLockError);
 * ```
 */
export class BrokenLockError extends Error {
  /** The name of the class. */
  override name = "BrokenLockError";
}

/** The error of a call that goes on although its task was stopped, or its thread given up: it gets nothing any more. */
export function cutOff(): BrokenLockError {
  return new BrokenLockError("Cannot wait any longer: the task of this call was stopped, or its thread was given up");
}

/** @throws {BrokenLockError} The holder has died, and yet goes on. */
export function assertAlive(me: number): void {
  if (stateOf(me) !== HolderState.ALIVE) throw cutOff();
}

/**
 * Thrown by a barrier that is broken, or that is reset or breaks while the caller waits.
 *
 * @see {@link https://docs.python.org/3/library/threading.html#threading.BrokenBarrierError | Python's manual}
 */
export class BrokenBarrierError extends Error {
  /** The name of the class. */
  override name = "BrokenBarrierError";
}

/**
 * Thrown by `get` when the queue has no item, or none within the timeout.
 *
 * @see {@link https://docs.python.org/3/library/queue.html#queue.Empty | Python's manual}
 */
export class QueueEmptyError extends Error {
  /** The name of the class. */
  override name = "QueueEmptyError";
}

/**
 * Thrown by `put` and `get` after the queue was shut down.
 *
 * @see {@link https://docs.python.org/3/library/queue.html#queue.ShutDown | Python's manual}
 */
export class QueueShutDownError extends Error {
  /** The name of the class. */
  override name = "QueueShutDownError";
}

export { QueueFullError } from "../../futures/errors.ts";

// So that those of tasks arrive as what they are.
for (const each of [BrokenLockError, BrokenBarrierError, QueueEmptyError, QueueShutDownError]) registerClass(each);

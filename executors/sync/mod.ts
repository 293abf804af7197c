/**
 * Objects that threads share to wait for each other, with the names and the behaviour of Python's `threading` and
 * `queue`: locks, conditions, semaphores, events, barriers and queues.
 *
 * Make one, and give it to tasks of a `ThreadPoolExecutor` as an argument: each thread gets the same object. Each
 * method that waits blocks its thread; the one whose name ends with `Async` waits without blocking. A timeout is the
 * last argument, in milliseconds.
 *
 * If a worker ends while it holds a lock, or if its task is stopped, the lock is broken: whoever waits for it gets a
 * {@linkcode BrokenLockError}, and does not wait forever.
 *
 * Processes share no memory, so these objects cannot be sent to the tasks of a `ProcessPoolExecutor` or of a cluster.
 *
 * @example Four threads add to one number
 * ```ts
 * import { ThreadPoolExecutor } from "@concurrent/futures";
 * import { Lock } from "@concurrent/futures/sync";
 * import { assertEquals } from "@std/assert";
 *
 * const lock = new Lock();
 * const sum = new Float64Array(new SharedArrayBuffer(8));
 * const add = (n: number, lock: Lock, sum: Float64Array): void => {
 *   using _ = lock.hold();
 *   sum[0] += n;
 * };
 *
 * await using pool = new ThreadPoolExecutor(4);
 * await Promise.all([1, 2, 3, 4].map((n) => pool.submit(add, n, lock, sum)));
 * assertEquals(sum[0], 10);
 * ```
 *
 * @module
 */

export { Barrier } from "./barrier.ts";
export { Condition } from "./condition.ts";
export { BrokenBarrierError, BrokenLockError, QueueEmptyError, QueueFullError, QueueShutDownError } from "./errors.ts";
export { Event } from "./event.ts";
export { type AnyLock, Lock, RLock } from "./lock.ts";
export { LifoQueue, PriorityQueue, Queue, type QueueOptions } from "./queue.ts";
export { BoundedSemaphore, Semaphore } from "./semaphore.ts";

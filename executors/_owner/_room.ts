/**
 * How many tasks may wait in a pool, and who waits until there are fewer: the option `maxQueued`.
 *
 * A task waits that no worker has begun and nobody has cancelled. Shared memory tells that, without a message: so the
 * owner counts when it has to know. What has begun is looked for only when it may matter.
 *
 * @module
 */

import { QueueFullError } from "../../futures/errors.ts";
import { Future, internals } from "../../futures/future.ts";

/** What a room has to know of its pool. */
export interface RoomParts {
  /** What the pool is called in messages. */
  readonly name: string;
  /** How many tasks may wait. */
  readonly limit: number;
  /** How many tasks have not ended. */
  readonly unfinished: () => number;
  /** How many of these a worker has begun. */
  readonly begun: () => number;
  /** Says whether the workers shall ring when a task begins. */
  readonly watch: (isWatched: boolean) => void;
}

/** How many microtasks a program may take, at the most, from the end of `await pool.ready()` to its submit. */
const HOPS = 16;

/** Somebody who waits for room. */
interface Waiter {
  readonly future: Future<void>;
  /** Whether the room is used by a callback of the future, and not later. */
  readonly isQuick: boolean;
}

/** The room of one pool. */
export class Room {
  readonly #parts: RoomParts;
  /** Those who wait for room, in the order in which they came. */
  #waiters: Waiter[] = [];
  /** How many that are not quick were told of room just now, and may not have used it yet. */
  #told = 0;
  /**
   * How many of these may still submit, whatever has come of the room: a process may give back a task that it has not
   * begun, and a map of a program that blocks takes what there is.
   */
  #rights = 0;
  /** What `offer()` has promised a caller that submits at once: the highest number of tasks, and how many more. */
  #offered = { most: 0, items: 0 };

  constructor(parts: RoomParts) {
    this.#parts = parts;
  }

  /** For how many tasks there is room. */
  get free(): number {
    const { limit, unfinished, begun } = this.#parts;
    const count = unfinished();
    return count < limit ? limit - count : limit - count + begun();
  }

  /** For how many tasks there is room. Who submits them at once, or fewer, is let in. */
  offer(): number {
    const { free } = this;
    this.#offered = { most: this.#parts.unfinished() + free, items: Math.max(0, free) };
    return free;
  }

  /**
   * Tasks are submitted.
   *
   * @throws As {@linkcode assertFree}.
   */
  take(items: number): void {
    this.assertFree(items);
    if (this.#offered.items > 0) this.#offered.items = Math.max(0, this.#offered.items - items);
    else if (this.#rights > 0) this.#rights--;
  }

  /** @throws {QueueFullError} There is no room for so many tasks more. */
  assertFree(items: number): void {
    const { name, limit, unfinished } = this.#parts;
    if (unfinished() + items <= limit || items <= this.free) return;
    if (unfinished() + items <= this.#offered.most || (items === 1 && this.#rights > 0)) return;
    throw new QueueFullError(
      `Cannot submit another task to ${name}, where as many tasks wait as maxQueued allows. ` +
        `To fix it, await pool.ready() before each submit, or use map: ${limit}`,
    );
  }

  /** A future that is done when there is room. One who is quick uses the room in a callback. */
  wait(isQuick: boolean): Future<void> {
    const future = new Future<void>();
    if (this.#waiters.length === 0 && this.free > (isQuick ? 0 : this.#told)) {
      internals.settle(future, true, undefined);
      if (!isQuick) {
        this.#promise();
        void this.#forget(isQuick);
      }
    } else {
      this.#waiters.push({ future, isQuick });
      this.look();
    }
    return future;
  }

  /** Looks whether there is room by now, and tells as many of those who wait as there is room for. */
  look(): void {
    this.#offered = { most: 0, items: 0 };
    if (this.#waiters.length === 0) return;
    // First: a task that begins after the look rings.
    this.#parts.watch(true);
    let { free } = this;
    const told: Waiter[] = [];
    this.#waiters = this.#waiters.filter((waiter) => {
      if (free <= (waiter.isQuick ? 0 : this.#told)) return true;
      if (waiter.isQuick) free--;
      else this.#promise();
      told.push(waiter);
      return false;
    });
    if (this.#waiters.length === 0) this.#parts.watch(false);
    for (const { future, isQuick } of told) {
      future.addDoneCallback(() => void this.#forget(isQuick));
      internals.settle(future, true, undefined);
    }
  }

  /** Counts one who is told of room. */
  #promise(): void {
    this.#told++;
    this.#rights++;
  }

  /**
   * Lets one that was told use the room, and then tells others: it may not have used it. While this thread blocks, one
   * that is not quick cannot use it, and keeps it.
   */
  async #forget(isQuick: boolean): Promise<void> {
    for (let i = 0; i < HOPS; i++) await undefined;
    if (!isQuick) this.#rights = Math.min(this.#rights, --this.#told);
    this.look();
  }

  /** Fails those who wait: there will be no room. */
  close(makeError: () => Error): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    if (waiters.length > 0) this.#parts.watch(false);
    for (const { future } of waiters) internals.settle(future, false, makeError());
  }
}

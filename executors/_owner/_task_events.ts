/**
 * What is heard of tasks besides their results.
 *
 * @module
 */

import type { Future } from "../../futures/future.ts";

/** What is heard of the tasks of one pool. It knows no executor, so that a future which keeps it keeps no executor. */
export class TaskEvents {
  readonly #attempts = new WeakMap<Future<unknown>, number>();

  /** How often a task was begun, once it is done, where its kind of worker counts that; else 0. */
  attempts(future: Future<unknown>): number {
    return this.#attempts.get(future) ?? 0;
  }

  /** Notes how many times a task that is done was begun. */
  setAttempts(future: Future<unknown>, attempts: number): void {
    this.#attempts.set(future, attempts);
  }
}

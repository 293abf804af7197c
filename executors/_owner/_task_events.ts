/**
 * What is heard of tasks besides their results.
 *
 * @module
 */

import type { Future } from "../../futures/future.ts";

type Listener = (value: unknown) => void;

/** What is heard of the tasks of one pool. It knows no executor, so that a future which keeps it keeps no executor. */
export class TaskEvents {
  readonly #listeners = new WeakMap<Future<unknown>, Listener[]>();
  readonly #attempts = new WeakMap<Future<unknown>, number>();

  /** Adds a listener to a task's progress. */
  onProgress(future: Future<unknown>, listener: Listener): void {
    this.#listeners.set(future, [...this.#listeners.get(future) ?? [], listener]);
  }

  /** A task says something of its progress. */
  progress(future: Future<unknown>, value: unknown): void {
    for (const listener of this.#listeners.get(future) ?? []) {
      try {
        listener(value);
      } catch (error) {
        reportError(error);
      }
    }
  }

  /** How often a task was begun, once it is done, where its kind of worker counts that; else 0. */
  attempts(future: Future<unknown>): number {
    return this.#attempts.get(future) ?? 0;
  }

  /** Notes how many times a task that is done was begun. */
  setAttempts(future: Future<unknown>, attempts: number): void {
    this.#attempts.set(future, attempts);
  }
}

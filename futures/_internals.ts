/**
 * The inner side of futures, for `futures/` and for executors.
 *
 * @module
 */

import type { Future } from "./future.ts";

/** The executor's side of a future, for futures that another thread completes. */
export interface FutureOwner {
  /**
   * How far the workers are with the task, seen without waiting for a message. The owner has not yet handed over a task
   * that is "waiting", and gives it another slot when it does; to collect results may make the room for that.
   */
  peek(slot: number): "waiting" | "pending" | "running" | "done";
  /** Withdraws the task so that it never runs; `false` when a worker has already started it. */
  revoke(slot: number): boolean;
  /** Takes the results that have arrived and settles their futures; runs no code of the user's. */
  collect(): void;
}

/** Somebody who waits for several futures at once. */
export interface Waiter {
  /** Called once for each future to which this was added, before that future's callbacks. It must not throw. */
  completed(future: Future<unknown>): void;
}

/** What executors and the functions that wait may do with a future, beyond its public members. */
export interface Internals {
  /** A future that another thread completes. It keeps the program alive until its listeners have been called. */
  create(owner: FutureOwner): Future<unknown>;
  /** A future that has failed at once. */
  fail(error: unknown): Future<unknown>;
  /** Sets the number by which the owner knows the task. */
  setSlot(future: Future<unknown>, slot: number): void;
  /** Completes the future unless it is done. Its listeners are called later, by the event loop or a blocking call. */
  settle(future: Future<unknown>, succeeded: boolean, outcome: unknown): void;
  /**
   * Cancels the futures whose tasks no worker has started, without calling their listeners: a callback that blocks
   * would let workers start the others.
   *
   * @returns A function that calls the listeners of those that were cancelled.
   */
  cancelAll(futures: readonly Future<unknown>[]): () => void;
  /** As {@linkcode Future.done}, for a caller that will wait, and so makes no room for tasks by asking. */
  isDone(future: Future<unknown>): boolean;
  /** Whether another thread will complete the future. */
  canComplete(future: Future<unknown>): boolean;
  /** Whether the task threw. */
  failed(future: Future<unknown>): boolean;
  /** Adds a waiter, which is called once, when the future is done. */
  addWaiter(future: Future<unknown>, waiter: Waiter): void;
  /** Removes a waiter; does nothing if it is not there. */
  removeWaiter(future: Future<unknown>, waiter: Waiter): void;
}

/** Set when `future.ts` is loaded: import it from there. */
export let internals: Internals;

/** Called by the class of futures, which alone sees its private members, to let others use them. */
export function befriend(friends: Internals): void {
  internals = friends;
}

/**
 * The inner side of futures, for `futures/` and for executors.
 *
 * @module
 */

import type { Future } from "./future.ts";

/** What the owner of a future was told about its task, beside the function and its arguments. */
export interface TaskControl {
  /** What the caller calls the task. */
  readonly name?: string;
  /** For how many milliseconds the task may run. */
  readonly timeout?: number;
  /** How long the task has to end by itself when it is stopped, in milliseconds. */
  readonly grace?: number;
  /** The name of its function. */
  readonly fn: string;
  /** Set where the task was stopped because it had run for longer than its timeout. */
  hasTimedOut?: boolean;
  /** Where it was submitted, if that was noted. */
  readonly origin?: TaskOrigin;
}

/** Where a task was submitted. */
export interface TaskOrigin {
  /** Says that in the stack of an error, which must be that task's alone. */
  addTo(error: unknown): void;
}

/** The executor's side of a future, for futures that another thread completes. */
export interface FutureOwner {
  /**
   * How far the workers are with the task, seen without waiting for a message. The owner has not yet handed over a task
   * that is "waiting", and gives it another slot when it does; to collect results may make the room for that. The owner
   * may settle the future in this call, where it has run for too long.
   */
  peek(slot: number): "waiting" | "pending" | "running" | "done";
  /** Withdraws a future's task so that it never runs; `false` when a worker has already started it. */
  revoke(slot: number, future: Future<unknown>): boolean;
  /**
   * Stops a task that a worker has started: its future fails with the reason, whatever comes of the task. An owner
   * without this method can only withdraw tasks.
   *
   * @returns Whether this call stops it; `"pending"` where the task is not running any more, because it was taken back:
   * then it can be withdrawn.
   */
  stop?(slot: number, reason: unknown): boolean | "pending";
  /** Takes the results that have arrived and settles their futures; runs no code of the user's. */
  collect(): void;
  /**
   * Whether it will complete the future while this thread blocks. An owner without this method always will. Who blocks
   * for one future asks after each delivery; who waits for several asks once.
   */
  canComplete?(): boolean;
}

/** Somebody who waits for several futures at once. */
export interface Waiter {
  /** Called once for each future to which this was added, before that future's callbacks. It must not throw. */
  completed(future: Future<unknown>): void;
}

/** What executors and the functions that wait may do with a future, beyond its public members. */
export interface Internals {
  /** A future that another thread completes. It keeps the program alive until its listeners have been called. */
  create(owner: FutureOwner, control?: TaskControl): Future<unknown>;
  /** A future that has failed at once. */
  fail(error: unknown, control?: TaskControl): Future<unknown>;
  /** A future that is cancelled at once. */
  cancelled(control?: TaskControl): Future<unknown>;
  /** What its owner was told about its task. */
  controlOf(future: Future<unknown>): TaskControl | undefined;
  /** Says what the caller told about the task, of a future that somebody else has made. */
  setControl(future: Future<unknown>, control: TaskControl): void;
  /** Notes something about a future for its owner, or nothing any more. */
  note(future: Future<unknown>, note: unknown): void;
  /** What was noted. */
  noteOf(future: Future<unknown>): unknown;
  /**
   * Takes in what a task says of its progress. Its listeners are called later, by the event loop or a blocking call.
   */
  progress(future: Future<unknown>, value: unknown): void;
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

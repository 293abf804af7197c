/**
 * The tasks of a pool of threads that are to end: a thread hears nothing while it computes, so it has to be given up
 * where its task does not heed the signal. A broker looks after its own tasks.
 *
 * @module
 */

import { TimeoutError } from "../../futures/errors.ts";
import { type Future, internals } from "../../futures/future.ts";
import { withoutFrames } from "../../futures/own_frames.ts";
import { lookAgainAfter } from "../../futures/wakeup.ts";
import { MAX_LIMIT_MS } from "../_queue/protocol.ts";
import type { TaskQueue } from "../_queue/task_queue.ts";
import { withSubmission } from "./_submission.ts";
import { GRACE_MS, type TaskTable } from "./_task_table.ts";

/**
 * How long a thread may take to go on after its task was to have ended, in milliseconds. One whose task awaits
 * something ends the task by itself, and is worth more than a new one.
 */
const GIVE_UP_MS = 200;

/** How soon a task that has little time is looked at again when its function has not been called, in milliseconds. */
const WAITING_MS = 10;

/** How often a thread is looked at that may be held up, and how long it may take to answer, in milliseconds. */
const HELD_UP_LOOK_MS = 100;
const HELD_UP_MS = 1_000;

/** A task that is to end. */
interface Stop {
  readonly slot: number;
  /** What its future fails with. */
  readonly reason: unknown;
  /** When its future fails, and then, when its thread is given up; on the clock of `performance.now()`. */
  at: number;
  isFailed: boolean;
}

/** What stops need of their pool. */
interface StopsOwner {
  /** The name of the thread that a slot's word names. */
  workerOf(word: number): string;
  /** Fails the future of a slot's task, which may still run. */
  failSlot(slot: number, reason: unknown): void;
  /** Ends the thread that runs the task of a slot, which has failed. */
  giveUp(slot: number): void;
  /** Whether a thread was woken and has not answered; `undefined` where none has that serial number any more. */
  isWoken(serial: number): boolean | undefined;
  /** Ends a thread that was woken and does not answer, unless it does so now. */
  giveUpWoken(serial: number): void;
}

/** The tasks of one pool of threads that are to end. */
export class Stops {
  readonly #queue: TaskQueue;
  readonly #tasks: TaskTable;
  readonly #owner: StopsOwner;
  readonly #stops = new Set<Stop>();
  /**
   * Threads that have gone on to other tasks after one was stopped: what that awaited comes later, and it may compute
   * for ever then. By serial number, with the time since when each has been woken in vain.
   */
  readonly #leftBehind = new Map<number, number>();

  constructor(queue: TaskQueue, tasks: TaskTable, owner: StopsOwner) {
    this.#queue = queue;
    this.#tasks = tasks;
    this.#owner = owner;
  }

  /** Whether there are tasks to look at. */
  get isWatching(): boolean {
    return this.#stops.size + this.#tasks.limited.size + this.#leftBehind.size > 0;
  }

  /** Has a task end that has been marked so: its future fails after so many milliseconds at the latest. */
  add(slot: number, reason: unknown, grace: number): void {
    const stop = { slot, reason, at: performance.now() + grace, isFailed: false };
    this.#tasks.noteStop(slot, stop);
    this.#stops.add(stop);
    this.#lookAfter(grace);
  }

  /** A thread has ended a task that was stopped, and goes on to others. */
  onEnded(serial: number): void {
    this.#leftBehind.set(serial, Infinity);
  }

  /** A task is submitted, for which a thread may be woken. */
  onSubmit(): void {
    if (this.#leftBehind.size > 0) lookAgainAfter(HELD_UP_LOOK_MS);
  }

  /** Looks later at a task with a timeout. */
  watch({ timeout = 0, grace = GRACE_MS }: { timeout?: number; grace?: number }): void {
    this.#lookAfter(timeout + grace);
  }

  #lookAfter(ms: number): void {
    if (ms < MAX_LIMIT_MS) lookAgainAfter(ms);
  }

  /** Looks which tasks have not ended in time. */
  lookAgain(): void {
    if (this.#tasks.limited.size > 0) this.#lookAtLimited();
    const now = performance.now();
    for (const stop of this.#stops) {
      const { slot } = stop;
      // Once its result is collected, the slot may be another task's.
      if (this.#tasks.stopOf(slot) !== stop) this.#stops.delete(stop);
      else if (now < stop.at) this.#lookAfter(stop.at - now);
      else if (!stop.isFailed) {
        stop.isFailed = true;
        stop.at = now + GIVE_UP_MS;
        this.#lookAfter(GIVE_UP_MS);
        this.#owner.failSlot(slot, stop.reason);
      } else {
        this.#stops.delete(stop);
        this.#owner.giveUp(slot);
      }
    }
    if (this.#leftBehind.size > 0) this.#lookAtLeftBehind(now);
  }

  #lookAtLeftBehind(now: number): void {
    let isWaiting = !this.#queue.isEmpty();
    for (const [serial, since] of this.#leftBehind) {
      const isWoken = this.#owner.isWoken(serial);
      if (isWoken === undefined) this.#leftBehind.delete(serial);
      else if (!isWoken) this.#leftBehind.set(serial, Infinity);
      else {
        isWaiting = true;
        if (since === Infinity) this.#leftBehind.set(serial, now);
        else if (now >= since + HELD_UP_MS) this.#owner.giveUpWoken(serial);
      }
    }
    if (isWaiting) lookAgainAfter(HELD_UP_LOOK_MS);
  }

  #lookAtLimited(): void {
    let next = Infinity;
    for (const [slot, future] of this.#tasks.limited) {
      const { timeout, grace } = this.#queue.limitsOf(slot);
      const ran = this.#queue.ranFor(slot);
      const left = ran === undefined ? Math.max(timeout + grace, WAITING_MS) : timeout + grace - ran;
      if (left > 0) {
        next = Math.min(next, left);
        continue;
      }
      const word = this.#queue.stop(slot);
      // It has had its grace.
      if (word === undefined) continue;
      this.add(slot, withSubmission(future, timeoutError(future, this.#owner.workerOf(word))), 0);
    }
    this.#lookAfter(next);
  }
}

/** The error of a task that has run for too long. */
export function timeoutError(future: Future<unknown>, worker: unknown): TimeoutError {
  const control = internals.controlOf(future);
  if (control !== undefined) control.hasTimedOut = true;
  return withoutFrames(() =>
    new TimeoutError(
      `Task ${
        nameOf(future) ?? "without a name"
      } was stopped on ${worker}, because it ran for longer than its timeout: ${control?.timeout} ms`,
    )
  );
}

/** What a task is called in messages, if it has a name. */
export function nameOf(future: Future<unknown>): string | undefined {
  const { name, fn } = internals.controlOf(future) ?? {};
  return name || fn || undefined;
}

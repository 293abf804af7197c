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

/** How many milliseconds lie between two looks at a thread that may be held up, and how many it may miss. */
const HELD_UP_LOOK_MS = 100;
const HELD_UP_LOOKS = 10;

/** A task that is to end. */
interface Stop {
  readonly slot: number;
  /** What its future fails with. */
  readonly reason: unknown;
  /** When its future fails, and then, when its thread is given up; on the clock of `performance.now()`. */
  at: number;
  isFailed: boolean;
}

/** At how many looks in a row a thread was woken from the same sleep, and when the last one of them was. */
interface HeldUp {
  readonly sleep: number | "awake";
  readonly looks: number;
  readonly at: number;
}

const ANSWERS: HeldUp = { sleep: "awake", looks: 0, at: -Infinity };

/** What stops need of their pool. */
interface StopsOwner {
  /** The name of the thread that a slot's word names. */
  workerOf(word: number): string;
  /** Fails the future of a slot's task, which may still run. */
  failSlot(slot: number, reason: unknown): void;
  /** Ends the thread that runs the task of a slot, which has failed. */
  giveUp(slot: number): void;
  /** Since when a thread slept that was woken and has not answered; `undefined` where none has that serial number. */
  wokenFrom(serial: number): number | "awake" | undefined;
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
   * for ever then. By serial number.
   */
  readonly #leftBehind = new Map<number, HeldUp>();

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
    this.#leftBehind.set(serial, ANSWERS);
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
    for (const [serial, last] of this.#leftBehind) {
      const sleep = this.#owner.wokenFrom(serial);
      if (sleep === undefined) {
        this.#leftBehind.delete(serial);
        continue;
      }
      if (sleep !== "awake") isWaiting = true;
      // Another sleep: it has answered in between. And a look that is late, as after a suspend, is one look.
      if (sleep !== last.sleep) this.#leftBehind.set(serial, { sleep, looks: 0, at: now });
      else if (sleep === "awake" || now < last.at + HELD_UP_LOOK_MS) continue;
      else if (last.looks + 1 < HELD_UP_LOOKS) this.#leftBehind.set(serial, { sleep, looks: last.looks + 1, at: now });
      else this.#owner.giveUpWoken(serial);
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

/**
 * The tasks of a pool that are not done: those with the consumers by their slots, and how many there are in all.
 *
 * @module
 */

import { type Future, internals } from "../../futures/future.ts";
import { SLOTS, TaskFlag, TaskState } from "../_queue/protocol.ts";
import type { TaskQueue } from "../_queue/task_queue.ts";
import type { SharedArguments } from "./_shared_arguments.ts";

/** The tasks of one pool. */
export class TaskTable {
  readonly #queue: TaskQueue;
  readonly #shared: SharedArguments;
  /** Slots that are free, the lowest on top, and the futures of those that are not. */
  readonly #free = Array.from({ length: SLOTS }, (_, i) => SLOTS - 1 - i);
  readonly #futures: (Future<unknown> | undefined)[] = new Array(SLOTS).fill(undefined);
  /** The functions of the slots whose tasks are timed. */
  readonly #timed = new Map<number, number>();
  /** Slots whose tasks are being aborted, and whether they would be free but for that. */
  readonly #pinned = new Map<number, boolean>();
  /** Tasks that are neither cancelled nor settled, also those without a slot. */
  unsettled = 0;
  /** Results that were collected, modulo 2³². */
  collected = 0;

  constructor(queue: TaskQueue, shared: SharedArguments) {
    this.#queue = queue;
    this.#shared = shared;
  }

  /**
   * How many tasks no worker has finished. What they have finished counts as done before its result is collected: the
   * workers are idle again.
   */
  get unfinished(): number {
    return this.unsettled - ((this.#queue.finished - this.collected) | 0);
  }

  /** Takes a free slot, which {@linkcode enter} or {@linkcode free} must follow; `undefined` when there is none. */
  reserve(): number | undefined {
    return this.#free.pop();
  }

  /** Puts a task into a slot. */
  enter(slot: number, future: Future<unknown>, fn: number, flags: number): void {
    this.#futures[slot] = future;
    if ((flags & TaskFlag.TIMED) !== 0) this.#timed.set(slot, fn);
    internals.setSlot(future, slot);
    Atomics.store(this.#queue.slots, slot, TaskState.PENDING);
  }

  /** The future of a slot's task; `undefined` when the slot is free or its task is cancelled. */
  futureOf(slot: number): Future<unknown> | undefined {
    return this.#futures[slot];
  }

  /** The slot of a future's task, or -1. */
  slotOf(future: Future<unknown>): number {
    return this.#futures.indexOf(future);
  }

  /** The futures of all tasks that have a slot and are not cancelled. */
  futures(): Future<unknown>[] {
    return this.#futures.filter((future) => future !== undefined);
  }

  /** The function of a slot's task, if that is timed. */
  timedFunctionOf(slot: number): number | undefined {
    return this.#timed.get(slot);
  }

  /** Forgets the future of a task that is cancelled. A consumer still has to find that out, and frees the slot. */
  forget(slot: number): void {
    this.#futures[slot] = undefined;
  }

  /** Forgets all futures: the pool is broken. */
  forgetAll(): void {
    this.#futures.fill(undefined);
    this.unsettled = 0;
  }

  /** Frees the slot of a task that no consumer has any more. */
  free(slot: number): void {
    this.#futures[slot] = undefined;
    if (this.#pinned.has(slot)) {
      this.#pinned.set(slot, true);
      return;
    }
    if (this.#timed.size > 0) this.#timed.delete(slot);
    Atomics.store(this.#queue.slots, slot, TaskState.FREE);
    this.#shared.leave(slot);
    this.#free.push(slot);
  }

  /** Keeps a slot from being another task's, also when it is freed, until it is unpinned. */
  pin(slot: number): void {
    this.#pinned.set(slot, false);
  }

  /** Ends {@linkcode pin}. */
  unpin(slot: number): void {
    const wasFreed = this.#pinned.get(slot);
    this.#pinned.delete(slot);
    if (wasFreed) this.free(slot);
  }
}

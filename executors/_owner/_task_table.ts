/**
 * The tasks of a pool that are not done: those with the consumers by their slots, and how many there are in all.
 *
 * @module
 */

import { type Future, internals } from "../../futures/future.ts";
import { MAX_LIMIT_MS, SLOTS, STATE_MASK, TaskFlag, TaskState } from "../_queue/protocol.ts";
import type { TaskQueue } from "../_queue/task_queue.ts";
import type { SharedArguments } from "./_shared_arguments.ts";

/** How long a stopped task has to end by itself where nobody says another time, in milliseconds. */
export const GRACE_MS = 100;

/** The tasks of one pool. */
export class TaskTable {
  readonly #queue: TaskQueue;
  readonly #shared: SharedArguments;
  /** Slots that are free again, and the first of those that were never taken. */
  readonly #free: number[] = [];
  #fresh = 0;
  /** The futures of those that are not free. */
  readonly #futures: (Future<unknown> | undefined)[] = new Array(SLOTS).fill(undefined);
  /** The slots from here on were never in use. */
  #top = 0;
  /** The functions of the slots whose tasks are timed. */
  readonly #timed = new Map<number, number>();
  /** The futures of the slots whose tasks have a timeout. */
  readonly #limited = new Map<number, Future<unknown>>();
  /** The slots whose tasks were stopped, and the reasons with which their futures fail. */
  readonly #stopped = new Map<number, { readonly reason: unknown }>();
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
    return this.#free.pop() ?? (this.#fresh < SLOTS ? this.#fresh++ : undefined);
  }

  /** Puts a task into a slot. */
  enter(slot: number, future: Future<unknown>, fn: number, flags: number): void {
    this.#futures[slot] = future;
    if (slot >= this.#top) this.#top = slot + 1;
    if ((flags & TaskFlag.TIMED) !== 0) this.#timed.set(slot, fn);
    if ((flags & TaskFlag.TIMEOUT) !== 0) this.#limit(slot, future);
    internals.setSlot(future, slot);
    // Not atomic: whoever sees the task published sees this.
    this.#queue.slots[slot] = TaskState.PENDING;
  }

  #limit(slot: number, future: Future<unknown>): void {
    const { timeout, grace = GRACE_MS } = internals.controlOf(future)!;
    this.#queue.setLimits(slot, { timeout: limitOf(timeout!), grace: limitOf(grace) });
    this.#limited.set(slot, future);
  }

  /** The slots whose tasks have a timeout, and their futures. */
  get limited(): ReadonlyMap<number, Future<unknown>> {
    return this.#limited;
  }

  /** Notes that the task of a slot was stopped. */
  noteStop(slot: number, stop: { readonly reason: unknown }): void {
    this.#stopped.set(slot, stop);
  }

  /** Whether there are tasks that were stopped. */
  get hasStops(): boolean {
    return this.#stopped.size > 0;
  }

  /** The reason with which the future of a slot fails whose task was stopped. */
  stopOf(slot: number): { readonly reason: unknown } | undefined {
    return this.#stopped.get(slot);
  }

  /** The future of a slot's task; `undefined` when the slot is free or its task is cancelled. */
  futureOf(slot: number): Future<unknown> | undefined {
    return this.#futures[slot];
  }

  /** The futures of all tasks that have a slot and are not cancelled. */
  futures(): Future<unknown>[] {
    return this.#futures.filter((future) => future !== undefined);
  }

  /**
   * The tasks that a worker has begun, and whose results were not collected: how many they are, by what each stands
   * for, and how many workers run one.
   */
  begun(itemsOf: (future: Future<unknown>) => number): { items: number; busy: number } {
    let [items, busy] = [0, 0];
    for (let slot = 0; slot < this.#top; slot++) {
      const future = this.#futures[slot];
      if (future === undefined) continue;
      const state = Atomics.load(this.#queue.slots, slot) & STATE_MASK;
      if (state < TaskState.RUNNING || state === TaskState.CANCELLED) continue;
      items += itemsOf(future);
      if (state !== TaskState.DONE) busy++;
    }
    return { items, busy };
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
    this.#limited.clear();
    this.#stopped.clear();
    this.unsettled = 0;
  }

  /** Frees the slot of a task that no consumer has any more. */
  free(slot: number): void {
    this.#futures[slot] = undefined;
    if (this.#limited.size > 0) this.#limited.delete(slot);
    if (this.#stopped.size > 0) this.#stopped.delete(slot);
    if (this.#pinned.size > 0 && this.#pinned.has(slot)) {
      this.#pinned.set(slot, true);
      return;
    }
    if (this.#timed.size > 0) this.#timed.delete(slot);
    this.#queue.slots[slot] = TaskState.FREE;
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

/** A time as the words of a slot hold it. */
function limitOf(ms: number): number {
  return Math.min(Math.ceil(Math.max(ms, 0)), MAX_LIMIT_MS);
}

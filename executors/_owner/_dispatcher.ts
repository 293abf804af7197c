/**
 * How a pool hands its tasks to the consumers: through the queue, or directly to a worker that is idle. What has no
 * room waits, in order.
 *
 * @module
 */

import { SerializationError } from "../../futures/errors.ts";
import { STATE } from "../../futures/bell.ts";
import { type Future, type FutureOwner, internals, type TaskControl } from "../../futures/future.ts";
import { withoutFrames } from "../../futures/own_frames.ts";
import { ensureStack, LOADING } from "../../futures/stack.ts";
import { bell, lookAgainAfter } from "../../futures/wakeup.ts";
import { EMPTY, type Encoded, EncodedSections } from "../_values/encoded.ts";
import { toPosted } from "../_queue/posted.ts";
import { type ConsumerMessage, MAX_INLINE_BYTES, TaskFlag, TaskState } from "../_queue/protocol.ts";
import type { TaskQueue } from "../_queue/task_queue.ts";
import type { PoolKind } from "./kind.ts";
import type { SharedArguments } from "./_shared_arguments.ts";
import { withSubmission } from "./_submission.ts";
import type { Tally } from "./_tally.ts";
import type { TaskTable } from "./_task_table.ts";
import type { Workers } from "./_workers.ts";

/** Where a task is while it is handed over. */
const Place = {
  /** Only its future has it. If that does not change, the future must fail. */
  NONE: 0,
  /** In the owner's memory, because there is no room or it waits for an idle worker. */
  WAITING: 1,
  /** With the consumers. */
  PUBLISHED: 2,
} as const;

/** A task on its way to the consumers. */
interface Handover {
  readonly future: Future<unknown>;
  readonly fn: number;
  flags: number;
  payload: Encoded;
  place: number;
  /** The slot that it has, or -1. */
  slot: number;
  /** The worker that was reserved for it, and was sent nothing. */
  reserved: Worker | undefined;
  /** What went wrong, and with which task before. */
  error: unknown;
  before: Handover | undefined;
}

/**
 * How long a worker that has finished a task may take to be idle, in milliseconds, and how many bytes could be copied
 * in one.
 */
const REST_MS = 0.05;
const COPIED_PER_MS = 2 ** 22;

/** How long a task may lie in the queue while a worker sleeps, or could be started, in milliseconds. */
const LOOK_AGAIN_MS = 20;

/**
 * After how many looks at which no task has been finished another worker is started. To wake one costs nothing; but on
 * a busy machine a worker that is about to come may take longer, and then one more would be started for nothing.
 */
const LOOKS_BEFORE_START = 15;

/** What a dispatcher works with. */
interface DispatcherParts {
  readonly kind: PoolKind;
  readonly queue: TaskQueue;
  readonly tasks: TaskTable;
  readonly tally: Tally;
  readonly shared: SharedArguments;
  readonly workers: Workers;
  /** Whether a worker may be started. */
  readonly mayStart: () => boolean;
}

/** Hands the tasks of one pool over. */
export class Dispatcher {
  readonly #kind: PoolKind;
  readonly #queue: TaskQueue;
  readonly #tasks: TaskTable;
  readonly #tally: Tally;
  readonly #shared: SharedArguments;
  readonly #workers: Workers;
  readonly #mayStart: () => boolean;
  /** Tasks that wait, in order. The first `#published` of them do not wait any more. */
  readonly #waiting: Handover[] = [];
  #published = 0;
  /** The last of the tasks that were interrupted while they were handed over. */
  #interrupted: Handover | undefined;
  /** How many looks in a row found no worker that comes, and how many tasks had been finished at the last look. */
  #vainLooks = 0;
  #finishedAtLook = 0;
  /** When to look next, on the clock of `performance.now()`. */
  #looksAt = Infinity;

  constructor({ kind, queue, tasks, tally, shared, workers, mayStart }: DispatcherParts) {
    this.#kind = kind;
    this.#queue = queue;
    this.#tasks = tasks;
    this.#tally = tally;
    this.#shared = shared;
    this.#workers = workers;
    this.#mayStart = mayStart;
  }

  /** How many tasks wait. */
  get waiting(): number {
    return this.#waiting.length - this.#published;
  }

  /** Whether tasks were interrupted while they were handed over: {@linkcode mend} deals with them. */
  get isInterrupted(): boolean {
    return this.#interrupted !== undefined;
  }

  /**
   * Hands a task over. Up to the count of it nothing is changed that an error would leave behind. From then on no
   * error leaves this method: one fails the future, unless the consumers have the task by then. That error may be a
   * stack overflow, at any call, and then every call in a `catch` fails, too. So there the task is only put into a
   * list by assignments, and the event loop, or whoever blocks or asks next, gives everything back. What takes more
   * than some calls (starting a worker, messages, memory) makes sure of the stack first.
   */
  handOver(
    owner: FutureOwner,
    fn: number,
    payload: Encoded,
    flags: number,
    control?: TaskControl,
  ): Future<unknown> {
    if (this.#wantsWorker(1)) ensureStack(LOADING);
    else if (payload.room > MAX_INLINE_BYTES || payload.shared.length > 0) ensureStack();
    const future = internals.create(owner, control);
    const task: Handover = {
      future,
      fn,
      flags,
      payload,
      place: Place.NONE,
      slot: -1,
      reserved: undefined,
      error: undefined,
      before: undefined,
    };
    this.#tasks.unsettled++;
    try {
      if (this.#waiting.length > this.#published || !this.#publish(task)) {
        payload.takeMoved("args");
        this.#waiting.push(task);
        task.place = Place.WAITING;
        this.#lookLater();
        if (this.#waiting.length === this.#published + 1) {
          ensureStack();
          this.publishWaiting();
        }
      }
      this.startWorkers();
    } catch (error) {
      task.error = error;
      task.before = this.#interrupted;
      this.#interrupted = task;
      try {
        // As ring() does, and with less stack than what overflowed took.
        Atomics.store(bell, STATE, 0);
        Atomics.notify(bell, STATE);
        if (!(error instanceof RangeError)) this.mend();
      } catch {
        // It is dealt with later.
      }
    }
    return future;
  }

  /** Deals with the tasks that were interrupted while they were handed over. */
  mend(): void {
    if (this.#interrupted === undefined) return;
    ensureStack(LOADING);
    for (let task: Handover | undefined = this.#interrupted; task !== undefined; task = this.#interrupted) {
      this.#interrupted = task.before;
      if (task.place === Place.NONE) this.#giveBack(task);
    }
    // This call may be what was interrupted.
    this.#queue.parking.wake();
    this.startWorkers();
  }

  /** Fails a task that nobody has. */
  #giveBack({ future, fn, payload, slot, reserved, error }: Handover): void {
    if (reserved !== undefined) {
      // It waits for a message: it gets a task that is cancelled, and frees the slot.
      this.#tasks.forget(slot);
      Atomics.store(this.#queue.slots, slot, TaskState.CANCELLED);
      const { posted } = toPosted(EMPTY);
      reserved.postMessage({ type: "assign", slot, fn, flags: 0, payload: posted } satisfies ConsumerMessage);
    } else if (slot >= 0) this.#tasks.free(slot);
    payload.discard();
    if (future.cancelled()) return;
    internals.setSlot(future, -1);
    this.#tasks.unsettled--;
    this.#tally.fail(future, withSubmission(future, notSent(error)));
  }

  /**
   * Hands a task to the consumers; `false` when it must wait.
   *
   * @throws Something on the way, also where the task has been published.
   */
  #publish(task: Handover): boolean {
    const { future, fn, payload } = task;
    const slot = this.#tasks.reserve();
    if (slot === undefined) return false;
    task.slot = slot;
    this.#tasks.enter(slot, future, fn, task.flags);
    const isLarge = payload.room > MAX_INLINE_BYTES;
    if (isLarge && this.#assign(slot, task)) return true;
    payload.takeMoved("args");
    if (payload.clone === undefined) {
      // An idle worker gets large values without another copy; else they wait in shared memory for any worker.
      if (isLarge) {
        task.payload = this.#shared.moveOut(payload);
        task.flags |= TaskFlag.SHARED;
      }
      this.#shared.enter(slot, task.payload);
      if (this.#queue.push(slot, fn, task.payload.encoding, task.flags, task.payload)) {
        task.place = Place.PUBLISHED;
        if ((task.flags & TaskFlag.SHARED) !== 0) this.#shared.own(slot, task.payload);
        // Asked first: what is unfinished lies in memory that consumers write to at each task.
        if (this.#queue.parking.hasSleepers()) this.#queue.parking.wake(this.#tasks.unfinished);
        this.#lookLater();
        return true;
      }
    }
    this.#tasks.free(slot);
    task.slot = -1;
    internals.setSlot(future, -1);
    return false;
  }

  /** Gives a task directly to a worker that is idle or just starting. */
  #assign(slot: number, task: Handover): boolean {
    const { fn, flags, payload } = task;
    if (!this.#queue.isEmpty()) return false;
    this.startWorkers();
    const deadline = performance.now() + (payload.room === Infinity ? 0 : REST_MS + payload.room / COPIED_PER_MS);
    do {
      const worker = this.#workers.assign(false) ??
        (this.#kind.initializer === undefined ? this.#workers.assign(true) : undefined);
      if (worker !== undefined) {
        task.reserved = worker;
        // Bytes are moved; a text would be copied once more.
        const { posted, list } = toPosted(this.#kind.sameProcess ? payload : EncodedSections.from(payload));
        // Fails for memory that cannot move: only the attempt tells.
        worker.postMessage({ type: "assign", slot, fn, flags, payload: posted } satisfies ConsumerMessage, list);
        task.place = Place.PUBLISHED;
        return true;
      }
      // One that has just finished a task is idle within microseconds; copying takes longer.
    } while (this.#tasks.unfinished <= this.#workers.count && performance.now() < deadline);
    return false;
  }

  /** Publishes what had no room or no idle worker, in order. */
  publishWaiting(): void {
    const waiting = this.#waiting;
    if (waiting.length === 0) return;
    this.#publishWhatFits();
    const isWaiting = this.#published < waiting.length;
    this.#queue.parking.setWaiting(isWaiting);
    // Again, because a worker may have made room or come to rest before it could see that.
    if (isWaiting) this.#publishWhatFits();
    // Moved up only when half of it is gone, so that each task is moved about once.
    if (this.#published * 2 >= waiting.length) {
      waiting.splice(0, this.#published);
      this.#published = 0;
    }
  }

  #publishWhatFits(): void {
    const waiting = this.#waiting;
    while (this.#published < waiting.length) {
      const task = waiting[this.#published];
      if (task.future.cancelled()) task.payload.discard();
      else {
        try {
          if (!this.#publish(task)) return;
        } catch (error) {
          task.error = error;
          if (task.place !== Place.PUBLISHED) this.#giveBack(task);
        }
      }
      waiting[this.#published++] = undefined as unknown as Handover;
    }
  }

  /** The futures of the tasks that wait. */
  waitingFutures(): Future<unknown>[] {
    return this.#waiting.slice(this.#published).map(({ future }) => future);
  }

  /** Drops the tasks that wait. */
  dropWaiting(): Handover[] {
    const dropped = this.#waiting.splice(this.#published);
    for (const { payload } of dropped) payload.discard();
    return dropped;
  }

  /** Drops all tasks that wait or were interrupted, and returns the futures of those that are not cancelled. */
  dropAll(): Future<unknown>[] {
    const dropped = this.dropWaiting();
    for (let task = this.#interrupted; task !== undefined; task = task.before) dropped.push(task);
    this.#interrupted = undefined;
    return dropped.map(({ future }) => future).filter((future) => !future.cancelled());
  }

  // Workers that are wanted

  /** Whether there are workers that sleep, or that are not yet there. */
  get #hasMoreWorkers(): boolean {
    return this.#queue.parking.hasSleepers() || this.#workers.canGrow;
  }

  #lookLater(): void {
    // Asked for once, although others may ask for a look sooner.
    if (this.#looksAt !== Infinity || !this.#hasMoreWorkers) return;
    const at = performance.now() + LOOK_AGAIN_MS;
    lookAgainAfter(LOOK_AGAIN_MS);
    // Last: where the stack has overflowed before this line, the next call tries again.
    this.#looksAt = at;
  }

  /** A worker that was woken, or has finished its task, may not come, because code of the user computes there. */
  lookAgain(): void {
    const left = this.#looksAt - performance.now();
    if (left > 0) {
      // Somebody else had something to look at.
      if (left !== Infinity) lookAgainAfter(left);
      return;
    }
    this.#looksAt = Infinity;
    const [queue, workers, { unfinished }] = [this.#queue, this.#workers, this.#tasks];
    const isAllTaken = queue.isEmpty() && this.#waiting.length === this.#published;
    if (workers.count === 0 || isAllTaken || !this.#hasMoreWorkers) return;
    const { parking } = queue;
    const isStuck = !parking.wake(unfinished) && !parking.hasSleepers() &&
      parking.lacksConsumers(unfinished, workers.indices) && this.#finishedAtLook === queue.finished;
    this.#finishedAtLook = queue.finished;
    this.#vainLooks = isStuck ? this.#vainLooks + 1 : 0;
    if (this.#vainLooks >= LOOKS_BEFORE_START && workers.canGrow) {
      this.#vainLooks = 0;
      workers.start();
    }
    this.#lookLater();
  }

  /** Starts a worker if there are more tasks than workers. */
  startWorkers(): void {
    if (this.#wantsWorker(0) && this.#mayStart()) this.#workers.start();
  }

  /** A worker has gone: another one may start, also later, if those that are left do not come. */
  onWorkerGone(): void {
    this.startWorkers();
    this.#lookLater();
  }

  /** Whether there would be too few workers if `more` tasks were added. */
  #wantsWorker(more: number): boolean {
    const { canGrow, count } = this.#workers;
    return canGrow && this.#tasks.unfinished + more > count;
  }
}

/** Why a task could not be handed over. */
function notSent(error: unknown): unknown {
  if (error instanceof SerializationError) return error;
  const reason = error instanceof Error ? error.message : error;
  return withoutFrames(() =>
    new SerializationError(`Cannot send args to a worker: ${reason}`, "args", { cause: error })
  );
}

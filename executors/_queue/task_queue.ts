/**
 * The shared memory between a pool's owner (the thread that submits) and its consumers (the threads that take tasks):
 * slots and the queue. Who may do what, and every race, is told in README.md beside this file.
 *
 * @module
 */

import { Atomics } from "../../futures/builtins.ts";
import type { Memory, Payload } from "../_values/memory.ts";
import { Parking } from "./parking.ts";
import {
  clock,
  CONTROL_WORDS,
  Limit,
  LIMIT_WORDS,
  type PoolMemory,
  serialOf,
  SLOTS,
  STATE_MASK,
  stoppingFrom,
  type TaskLimits,
  type TaskRecord,
  TaskState,
  type TaskTimes,
  Word,
} from "./protocol.ts";
import { FILLER, HEADER_WORDS, RecordRing } from "./ring.ts";

/** Size of the task queue in 4-byte words: 512 KiB. */
const QUEUE_WORDS = 1 << 17;

/** How many numbers a slot has for its task's times. */
const TIMES = 3;

/** Makes the memory of a pool: a control block, the slots, limits, statuses of the consumers, times, and the queue. */
export function createPoolMemory(consumers: number): PoolMemory {
  return {
    buffer: new SharedArrayBuffer(queueOffset(consumers) + QUEUE_WORDS * 4),
    consumers,
  };
}

/** Where the statuses are, in words. */
const STATUSES_AT = CONTROL_WORDS + SLOTS + SLOTS * LIMIT_WORDS;

/** Where the times are: of each slot, and since when each consumer sleeps. */
function timesOffset(consumers: number): number {
  return (STATUSES_AT + consumers + (consumers & 1)) * 4;
}

function queueOffset(consumers: number): number {
  return timesOffset(consumers) + (TIMES * SLOTS + consumers) * 8;
}

/** A pool's slots and queue, as seen from any thread. */
export class TaskQueue {
  /** The `TaskState` of each slot. */
  readonly slots: Int32Array;
  /** What the consumers are doing. */
  readonly parking: Parking;
  readonly #control: Int32Array;
  /** Of each slot: when its task began and ended, and the number of its worker; read once its record is there. */
  readonly #times: Float64Array;
  readonly #ring: RecordRing;
  /** The words of `Limit`, for each slot. */
  readonly #limits: Int32Array;
  /** Owner only: up to where the memory of taken records has been reclaimed. */
  #reclaimed = 0;

  constructor({ buffer, consumers }: PoolMemory) {
    this.#control = new Int32Array(buffer, 0, CONTROL_WORDS);
    this.slots = new Int32Array(buffer, CONTROL_WORDS * 4, SLOTS);
    this.#limits = new Int32Array(buffer, (CONTROL_WORDS + SLOTS) * 4, SLOTS * LIMIT_WORDS);
    const statuses = new Int32Array(buffer, STATUSES_AT * 4, consumers);
    const times = timesOffset(consumers);
    this.#times = new Float64Array(buffer, times, TIMES * SLOTS);
    const sleepingSince = new Float64Array(buffer, times + TIMES * SLOTS * 8, consumers);
    this.parking = new Parking(this.#control, statuses, sleepingSince);
    this.#ring = new RecordRing(buffer, queueOffset(consumers), QUEUE_WORDS);
  }

  /** The memory that payloads of {@linkcode claim} lie in. */
  get memory(): Memory {
    return this.#ring.memory;
  }

  /** Owner: appends a task; it must `parking.wake()` then. `false`, or an error, when the task is not there. */
  push(slot: number, fn: number, encoding: number, flags: number, payload: Payload): boolean {
    this.#reclaim();
    const tail = this.#control[Word.TAIL];
    const limit = (this.#reclaimed + QUEUE_WORDS) | 0;
    const next = this.#ring.write(tail, limit, slot, fn, encoding, flags, payload);
    if (next === -1) return false;
    Atomics.store(this.#control, Word.TAIL, next);
    return true;
  }

  /** Owner: gives the memory of records back whose consumers are done reading. */
  #reclaim(): void {
    const { words, mask } = this.#ring;
    const tail = this.#control[Word.TAIL];
    while (this.#reclaimed !== tail) {
      const length = Atomics.load(words, this.#reclaimed & mask);
      if (length > 0) return;
      this.#reclaimed = (this.#reclaimed - length) | 0;
    }
  }

  /** Whether a task is waiting in the queue. */
  isEmpty(): boolean {
    return Atomics.load(this.#control, Word.HEAD) === Atomics.load(this.#control, Word.TAIL);
  }

  /**
   * Consumer: takes the oldest task. Its payload must be copied out and then given back with {@linkcode giveBack}.
   *
   * @returns `undefined` when the queue is empty.
   */
  claim(): TaskRecord | undefined {
    const { words, mask } = this.#ring;
    for (;;) {
      const head = Atomics.load(this.#control, Word.HEAD);
      if (head === Atomics.load(this.#control, Word.TAIL)) return undefined;
      const at = head & mask;
      const length = Atomics.load(words, at);
      // Already given back by another consumer: HEAD has moved on.
      if (length <= 0) continue;
      if (Atomics.compareExchange(this.#control, Word.HEAD, head, (head + length) | 0) !== head) continue;
      if (words[at + 1] === FILLER) {
        Atomics.store(words, at, -length);
        continue;
      }
      return {
        slot: words[at + 1],
        fn: words[at + 2],
        encoding: words[at + 3],
        flags: words[at + 4],
        byteLength: words[at + 5],
        offset: (at + HEADER_WORDS) * 4,
      };
    }
  }

  /** Consumer: lets the owner reuse the memory of a claimed record. */
  giveBack(record: TaskRecord): void {
    const { words } = this.#ring;
    const at = record.offset / 4 - HEADER_WORDS;
    Atomics.store(words, at, -words[at]);
  }

  /**
   * Owner: takes a task away from the thread that runs it, which publishes nothing of it from then on, nor takes
   * another one.
   *
   * @returns The serial number of the thread; `undefined` when none runs the task, or none does any more.
   */
  abandon(slot: number): number | undefined {
    const word = Atomics.load(this.slots, slot);
    const state = word & STATE_MASK;
    if (state !== TaskState.RUNNING && state !== TaskState.STOPPING) return undefined;
    return Atomics.compareExchange(this.slots, slot, word, TaskState.ABANDONED) === word ? serialOf(word) : undefined;
  }

  /**
   * Owner: says that a task is to end which runs, or is with a process.
   *
   * @returns The word of the slot from then on; `undefined` when the task does neither, or is to end already.
   */
  stop(slot: number): number | undefined {
    for (;;) {
      const word = Atomics.load(this.slots, slot);
      const state = word & STATE_MASK;
      if (state !== TaskState.RUNNING && state !== TaskState.PREFETCHED) return undefined;
      const stopping = stoppingFrom(word);
      if (Atomics.compareExchange(this.slots, slot, word, stopping) === word) return stopping;
    }
  }

  /** Owner: says how long the task of a slot may run. */
  setLimits(slot: number, { timeout, grace }: TaskLimits): void {
    this.#limits[slot * LIMIT_WORDS + Limit.TIMEOUT] = timeout;
    this.#limits[slot * LIMIT_WORDS + Limit.GRACE] = grace;
    this.#limits[slot * LIMIT_WORDS + Limit.BEGUN] = 0;
  }

  /** How long the task of a slot may run, which has a timeout. */
  limitsOf(slot: number): TaskLimits {
    const at = slot * LIMIT_WORDS;
    return { timeout: this.#limits[at + Limit.TIMEOUT], grace: this.#limits[at + Limit.GRACE] };
  }

  /** Consumer: says that the function of a slot's task is called now. */
  setBegun(slot: number): void {
    // Zero says that it has not been called.
    Atomics.store(this.#limits, slot * LIMIT_WORDS + Limit.BEGUN, clock() || 1);
  }

  /** Owner: how many milliseconds ago the function of a slot's task was called, which has a timeout. */
  ranFor(slot: number): number | undefined {
    const begun = Atomics.load(this.#limits, slot * LIMIT_WORDS + Limit.BEGUN);
    return begun === 0 ? undefined : (clock() - begun) | 0;
  }

  /** How many tasks consumers have finished, modulo 2³². */
  get finished(): number {
    return Atomics.load(this.#control, Word.FINISHED);
  }

  /** Consumer: counts a finished task, or takes that back. */
  countFinished(by: 1 | -1 = 1): void {
    Atomics.add(this.#control, Word.FINISHED, by);
  }

  /** Consumer: notes when a task began. */
  noteBegin(slot: number, began: number): void {
    this.#times[slot * TIMES] = began;
  }

  /** Consumer: notes when a task ended, before its record is published, and who ran it. */
  noteEnd(slot: number, ended: number, worker: number): void {
    this.#times[slot * TIMES + 1] = ended;
    this.#times[slot * TIMES + 2] = worker;
  }

  /** Owner: when the task of a slot ran, whose record says that its times are there. */
  timesOf(slot: number): TaskTimes {
    const times = this.#times;
    const at = slot * TIMES;
    return { began: times[at], ended: times[at + 1], worker: times[at + 2] };
  }

  /** Owner: says whether it wants to hear when a task begins. It then looks again for those that have. */
  setWatched(isWatched: boolean): void {
    Atomics.store(this.#control, Word.WATCHED, isWatched ? 1 : 0);
  }

  /** Consumer: whether the owner wants to hear when a task begins. It looks after it has marked the task. */
  isWatched(): boolean {
    return Atomics.load(this.#control, Word.WATCHED) === 1;
  }

  /** Broker: says how many processes it has, how many of them start, and how many took the place of another one. */
  setChildren(children: number, starting: number, restarts: number): void {
    Atomics.store(this.#control, Word.STARTING_CHILDREN, starting);
    Atomics.store(this.#control, Word.CHILDREN, children);
    Atomics.store(this.#control, Word.RESTARTS, restarts);
  }

  /** Owner: what a broker has said by {@linkcode setChildren}. */
  get children(): { readonly children: number; readonly starting: number; readonly restarts: number } {
    const [children, starting, restarts] = [Word.CHILDREN, Word.STARTING_CHILDREN, Word.RESTARTS]
      .map((word) => Atomics.load(this.#control, word));
    return { children, starting, restarts };
  }

  /** For a hang's report: the state in one line. */
  describe(): string {
    const slots: number[] = Object.values(TaskState).map(() => 0);
    for (let i = 0; i < SLOTS; i++) slots[Atomics.load(this.slots, i) & STATE_MASK]++;
    const [head, tail] = [Word.HEAD, Word.TAIL].map((word) => this.#control[word]);
    return `queue head=${head} tail=${tail} reclaimed=${this.#reclaimed} finished=${this.finished} ` +
      `${this.parking.describe()} ` +
      `slots: pending=${slots[TaskState.PENDING]} prefetched=${slots[TaskState.PREFETCHED]} ` +
      `running=${slots[TaskState.RUNNING]} done=${slots[TaskState.DONE]} ` +
      `cancelled=${slots[TaskState.CANCELLED]} stopping=${slots[TaskState.STOPPING]}`;
  }
}

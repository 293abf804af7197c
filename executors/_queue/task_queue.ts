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
  CONTROL_WORDS,
  type PoolMemory,
  serialOf,
  SLOTS,
  STATE_MASK,
  type TaskRecord,
  TaskState,
  Word,
} from "./protocol.ts";
import { FILLER, HEADER_WORDS, RecordRing } from "./ring.ts";

/** Size of the task queue in 4-byte words: 512 KiB. */
const QUEUE_WORDS = 1 << 17;

/** Makes the memory of a pool: a control block, the slots, the statuses of the consumers, the queue. */
export function createPoolMemory(consumers: number): PoolMemory {
  return {
    buffer: new SharedArrayBuffer(queueOffset(consumers) + QUEUE_WORDS * 4),
    consumers,
  };
}

function queueOffset(consumers: number): number {
  return (CONTROL_WORDS + SLOTS + consumers + (consumers & 1)) * 4;
}

/** A pool's slots and queue, as seen from any thread. */
export class TaskQueue {
  /** The `TaskState` of each slot. */
  readonly slots: Int32Array;
  /** What the consumers are doing. */
  readonly parking: Parking;
  readonly #control: Int32Array;
  readonly #ring: RecordRing;
  /** Owner only: up to where the memory of taken records has been reclaimed. */
  #reclaimed = 0;

  constructor({ buffer, consumers }: PoolMemory) {
    this.#control = new Int32Array(buffer, 0, CONTROL_WORDS);
    this.slots = new Int32Array(buffer, CONTROL_WORDS * 4, SLOTS);
    const statuses = new Int32Array(buffer, (CONTROL_WORDS + SLOTS) * 4, consumers);
    this.parking = new Parking(this.#control, statuses);
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
    if ((word & STATE_MASK) !== TaskState.RUNNING) return undefined;
    return Atomics.compareExchange(this.slots, slot, word, TaskState.ABANDONED) === word ? serialOf(word) : undefined;
  }

  /** How many tasks consumers have finished, modulo 2³². */
  get finished(): number {
    return Atomics.load(this.#control, Word.FINISHED);
  }

  /** Consumer: counts a finished task, or takes that back. */
  countFinished(by: 1 | -1 = 1): void {
    Atomics.add(this.#control, Word.FINISHED, by);
  }

  /** For a hang's report: the state in one line. */
  describe(): string {
    const slots: number[] = Object.values(TaskState).map(() => 0);
    for (let i = 0; i < SLOTS; i++) slots[Atomics.load(this.slots, i) & STATE_MASK]++;
    const [head, tail] = [Word.HEAD, Word.TAIL].map((word) => this.#control[word]);
    return `queue head=${head} tail=${tail} reclaimed=${this.#reclaimed} finished=${this.finished} ` +
      `${this.parking.describe()} ` +
      `slots: pending=${slots[TaskState.PENDING]} prefetched=${slots[TaskState.PREFETCHED]} ` +
      `running=${slots[TaskState.RUNNING]} done=${slots[TaskState.DONE]} cancelled=${slots[TaskState.CANCELLED]}`;
  }
}

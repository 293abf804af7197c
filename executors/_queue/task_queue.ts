/**
 * The shared memory between a pool's owner (the thread that submits) and its consumers (the threads that take tasks):
 * layout, and the operations that must be atomic. Who may do what, and every race, is told in README.md beside this file.
 *
 * @module
 */

import { Atomics, Math } from "../../futures/builtins.ts";
import { Memory, type Payload } from "../_values/memory.ts";
import { Status, TaskState } from "./protocol.ts";

/** Tasks that can be in the queue or running at once; more wait in the owner's memory. */
export const SLOTS = 1 << 14;
/** Size of the task queue in 4-byte words: 512 KiB. */
const QUEUE_WORDS = 1 << 17;
/** Size of each consumer's ring of results in 4-byte words: 256 KiB. */
const RESULT_WORDS = 1 << 16;

/** Words before a record's payload, in the queue as in the rings; an even number, so that payloads are aligned to 8 bytes. */
const HEADER_WORDS = 6;

/** Largest {@linkcode Payload.room} of what travels in the queue or in a ring; larger payloads get memory of their own. */
export const MAX_INLINE_BYTES = 16 * 1024;

// The words of the pool's control block.
const HEAD = 0;
const TAIL = 1;
/** How many tasks consumers have finished. */
const FINISHED = 2;
/** How many consumers are looking for work without sleeping. */
const SPINNING = 3;
/** How many consumers sleep. */
const PARKED = 4;
/** Whether the owner has tasks that wait for room or for an idle consumer. */
const WAITING = 5;
const CONTROL_WORDS = 16;

/** The statuses, besides PARKED, from which a consumer comes to an assigned task: those of an idle one, and all. */
const IDLE = [Status.SPINNING, Status.FINISHED];
const ASSIGNABLE = [...IDLE, Status.STARTING];

/** A task in the queue. */
export interface TaskRecord {
  slot: number;
  /** The task's function. */
  fn: number;
  /** How the payload is encoded. */
  encoding: number;
  /** Bits of `TaskFlag`. */
  flags: number;
  /** The payload's size in bytes. */
  byteLength: number;
  /** Where the payload begins, in bytes, in the memory that it was taken from. */
  offset: number;
}

/** A record in a worker's ring. */
export interface ResultRecord {
  /** The task's slot; `NO_SLOT` where it is of the worker itself. */
  slot: number;
  /** A `RecordType`. */
  type: number;
  /** What the kind of worker has measured: how long an item took, see `stepsOf()`, or how often the task was begun. */
  detail: number;
  /** How the payload is encoded. */
  encoding: number;
  /** The payload's size in bytes. */
  byteLength: number;
  /** Where the payload begins, in bytes, in the memory that it was taken from. */
  offset: number;
}

/** A ring of records in shared memory. Positions count words, never wrap back, and are taken modulo the size. */
class RecordRing {
  readonly words: Int32Array;
  readonly memory: Memory;
  readonly mask: number;

  constructor(buffer: SharedArrayBuffer, byteOffset: number, size: number) {
    this.words = new Int32Array(buffer, byteOffset, size);
    this.memory = new Memory(buffer, byteOffset, size * 4);
    this.mask = size - 1;
  }

  /** Words for a record with so many bytes of payload: an even number. */
  static wordsFor(byteLength: number): number {
    return HEADER_WORDS + 2 * Math.ceil(byteLength / 8);
  }

  /**
   * Writes a record at `tail` if there is room before `limit`.
   *
   * @returns The new tail, or -1 when there is no room.
   */
  write(
    tail: number,
    limit: number,
    slot: number,
    detail: number,
    encoding: number,
    type: number,
    payload: Payload,
  ): number {
    const { words } = this;
    let at = tail & this.mask;
    const most = RecordRing.wordsFor(payload.room);
    let filler = 0;
    if (at + most > words.length) {
      // A record is never broken at the end of the memory: the rest is skipped.
      filler = words.length - at;
      at = 0;
    }
    if (((limit - tail) | 0) < filler + most) return -1;
    const byteLength = payload.room === 0 ? 0 : payload.write(this.memory, (at + HEADER_WORDS) * 4);
    const length = RecordRing.wordsFor(byteLength);
    words[at + 1] = slot;
    words[at + 2] = detail;
    words[at + 3] = encoding;
    words[at + 4] = type;
    words[at + 5] = byteLength;
    Atomics.store(words, at, length);
    if (filler > 0) {
      const skipped = tail & this.mask;
      words[skipped + 1] = FILLER;
      Atomics.store(words, skipped, filler);
    }
    return (tail + filler + length) | 0;
  }
}

/** In place of a slot's number: a record about the consumer itself, not about a task. */
export const NO_SLOT = -1;
/** In place of a slot's number: memory that is skipped. */
const FILLER = -2;

/** What a consumer needs to attach itself to a pool's memory. */
export interface PoolMemory {
  /** Control block, slots, statuses and queue. */
  buffer: SharedArrayBuffer;
  /** How many consumers there can be. */
  consumers: number;
}

/** Makes the memory of a pool. */
export function createPoolMemory(consumers: number): PoolMemory {
  return {
    buffer: new SharedArrayBuffer(queueOffset(consumers) + QUEUE_WORDS * 4),
    consumers,
  };
}

function queueOffset(consumers: number): number {
  return (CONTROL_WORDS + SLOTS + consumers + (consumers & 1)) * 4;
}

/** A pool's slots, statuses and queue, as seen from any thread. */
export class TaskQueue {
  readonly slots: Int32Array;
  readonly statuses: Int32Array;
  readonly #control: Int32Array;
  readonly #ring: RecordRing;
  /** Owner only: up to where the memory of taken records has been reclaimed. */
  #reclaimed = 0;

  constructor({ buffer, consumers }: PoolMemory) {
    this.#control = new Int32Array(buffer, 0, CONTROL_WORDS);
    this.slots = new Int32Array(buffer, CONTROL_WORDS * 4, SLOTS);
    this.statuses = new Int32Array(
      buffer,
      (CONTROL_WORDS + SLOTS) * 4,
      consumers,
    );
    this.#ring = new RecordRing(buffer, queueOffset(consumers), QUEUE_WORDS);
  }

  /** The memory that payloads of {@linkcode claim} lie in. */
  get memory(): Memory {
    return this.#ring.memory;
  }

  /**
   * Owner: appends a task and wakes a sleeping consumer if that is needed.
   *
   * @param unfinished How many tasks no consumer has finished, with this one.
   * @returns `false` when there is no room.
   */
  push(
    slot: number,
    fn: number,
    encoding: number,
    flags: number,
    payload: Payload,
    unfinished = Infinity,
  ): boolean {
    if (!this.append(slot, fn, encoding, flags, payload)) return false;
    this.wake(unfinished);
    return true;
  }

  /** Owner: appends a task; who does must {@linkcode wake} then. `false`, or an error, when it is not there. */
  append(slot: number, fn: number, encoding: number, flags: number, payload: Payload): boolean {
    this.#reclaim();
    const tail = this.#control[TAIL];
    const next = this.#ring.write(
      tail,
      (this.#reclaimed + QUEUE_WORDS) | 0,
      slot,
      fn,
      encoding,
      flags,
      payload,
    );
    if (next === -1) return false;
    Atomics.store(this.#control, TAIL, next);
    return true;
  }

  /** Owner: gives the memory of records back whose consumers are done reading. */
  #reclaim(): void {
    const { words, mask } = this.#ring;
    const tail = this.#control[TAIL];
    while (this.#reclaimed !== tail) {
      const length = Atomics.load(words, this.#reclaimed & mask);
      if (length > 0) return;
      this.#reclaimed = (this.#reclaimed - length) | 0;
    }
  }

  /** Whether a task is waiting in the queue. */
  isEmpty(): boolean {
    return Atomics.load(this.#control, HEAD) ===
      Atomics.load(this.#control, TAIL);
  }

  /**
   * Consumer: takes the oldest task. Its payload must be copied out and then given back with {@linkcode giveBack}.
   *
   * @returns `undefined` when the queue is empty.
   */
  claim(): TaskRecord | undefined {
    const { words, mask } = this.#ring;
    for (;;) {
      const head = Atomics.load(this.#control, HEAD);
      if (head === Atomics.load(this.#control, TAIL)) return undefined;
      const at = head & mask;
      const length = Atomics.load(words, at);
      // Already given back by another consumer: HEAD has moved on.
      if (length <= 0) continue;
      if (
        Atomics.compareExchange(
          this.#control,
          HEAD,
          head,
          (head + length) | 0,
        ) !== head
      ) continue;
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

  /** How many tasks consumers have finished, modulo 2³². */
  get finished(): number {
    return Atomics.load(this.#control, FINISHED);
  }

  /** Consumer: counts a finished task, or takes that back. */
  countFinished(by: 1 | -1 = 1): void {
    Atomics.add(this.#control, FINISHED, by);
  }

  /** Consumer: asks for leave to look for work without sleeping; only so many may at once. */
  startSpinning(most: number): boolean {
    const now = Atomics.load(this.#control, SPINNING);
    return now < most &&
      Atomics.compareExchange(this.#control, SPINNING, now, now + 1) === now;
  }

  /** Consumer: ends what {@linkcode startSpinning} allowed. */
  stopSpinning(): void {
    Atomics.sub(this.#control, SPINNING, 1);
  }

  /**
   * Consumer: announces that it goes to sleep.
   *
   * @param from The status that it must still have.
   * @returns `false` when it was given a task meanwhile.
   */
  park(index: number, from: number): boolean {
    // Counted first: who wakes counts down.
    Atomics.add(this.#control, PARKED, 1);
    if (
      Atomics.compareExchange(this.statuses, index, from, Status.PARKED) ===
        from
    ) return true;
    Atomics.sub(this.#control, PARKED, 1);
    return false;
  }

  /** Moves a sleeping consumer to another status and wakes it; `false` when it was not asleep. */
  unpark(index: number, to: number): boolean {
    if (
      Atomics.compareExchange(this.statuses, index, Status.PARKED, to) !==
        Status.PARKED
    ) return false;
    Atomics.sub(this.#control, PARKED, 1);
    // One that is assigned a task is woken by the message that brings it.
    if (to !== Status.ASSIGNED) Atomics.notify(this.statuses, index);
    return true;
  }

  /**
   * Owner: reserves a consumer that is idle, or about to be, for a task that is then posted to it.
   *
   * @param mayStart Whether one will do that is just starting.
   */
  assign(index: number, mayStart = true): boolean {
    if (this.unpark(index, Status.ASSIGNED)) return true;
    for (const from of mayStart ? ASSIGNABLE : IDLE) {
      if (Atomics.compareExchange(this.statuses, index, from, Status.ASSIGNED) === from) return true;
    }
    return false;
  }

  /** Owner: says whether it has tasks that wait for room or for an idle consumer. It then looks again for both. */
  setWaiting(isWaiting: boolean): void {
    Atomics.store(this.#control, WAITING, isWaiting ? 1 : 0);
  }

  /** Consumer: whether the owner wants to know of room and of idle consumers. It looks after it has made either. */
  isOwnerWaiting(): boolean {
    return Atomics.load(this.#control, WAITING) === 1;
  }

  /** Whether consumers sleep that nobody has woken. */
  hasSleepers(): boolean {
    return Atomics.load(this.#control, PARKED) > 0;
  }

  /**
   * Wakes one sleeping consumer, if there is one and nobody is looking for work already.
   *
   * @param unfinished Where this is no more than the consumers that work, one of them has just finished, and looks at the queue next.
   * @returns Whether one was woken. It may be long before that one answers.
   */
  wake(unfinished = Infinity): boolean {
    if (
      Atomics.load(this.#control, PARKED) === 0 ||
      Atomics.load(this.#control, SPINNING) > 0 ||
      unfinished <= this.#countActive()
    ) return false;
    for (let index = 0; index < this.statuses.length; index++) {
      if (this.unpark(index, Status.WOKEN)) return true;
    }
    return false;
  }

  #countActive(): number {
    let count = 0;
    for (let index = 0; index < this.statuses.length; index++) {
      const status = Atomics.load(this.statuses, index);
      if (status === Status.ACTIVE || status === Status.FINISHED) count++;
    }
    return count;
  }

  /** Owner: whether there are more tasks than consumers that run or take one, or start, of which `begun` have. */
  lacksConsumers(unfinished: number, begun: number): boolean {
    if (Atomics.load(this.#control, SPINNING) > 0) return false;
    let count = this.#countActive();
    for (let index = 0; index < begun; index++) {
      const status = Atomics.load(this.statuses, index);
      if (status === Status.STARTING || status === Status.ASSIGNED) count++;
    }
    return unfinished > count;
  }

  /** Owner: forgets consumers that were stopped while they slept, so that others can take their places. */
  forgetConsumers(): void {
    Atomics.store(this.#control, PARKED, 0);
    this.statuses.fill(Status.STARTING);
  }

  /** For a hang's report: the state in one line. */
  describe(): string {
    const names = Object.keys(Status);
    const statuses = Array.from(this.statuses, (_, i) => names[Atomics.load(this.statuses, i)]);
    const slots = [0, 0, 0, 0, 0, 0];
    for (let i = 0; i < SLOTS; i++) slots[Atomics.load(this.slots, i)]++;
    return `queue head=${this.#control[HEAD]} tail=${
      this.#control[TAIL]
    } reclaimed=${this.#reclaimed} finished=${this.finished} ` +
      `spinning=${this.#control[SPINNING]} parked=${this.#control[PARKED]} statuses=[${statuses}] ` +
      `slots: pending=${slots[TaskState.PENDING]} prefetched=${slots[TaskState.PREFETCHED]} running=${
        slots[TaskState.RUNNING]
      } done=${slots[TaskState.DONE]} cancelled=${slots[TaskState.CANCELLED]}`;
  }
}

/** One consumer's ring of results: the consumer writes, the owner reads. */
export class ResultRing {
  readonly #control: Int32Array;
  readonly #ring: RecordRing;
  /** Owner only: how many posted results it has received. */
  #received = 0;

  static create(): SharedArrayBuffer {
    return new SharedArrayBuffer((CONTROL_WORDS + RESULT_WORDS) * 4);
  }

  constructor(buffer: SharedArrayBuffer) {
    this.#control = new Int32Array(buffer, 0, CONTROL_WORDS);
    this.#ring = new RecordRing(buffer, CONTROL_WORDS * 4, RESULT_WORDS);
  }

  /** The memory that payloads of {@linkcode peek} lie in. */
  get memory(): Memory {
    return this.#ring.memory;
  }

  /** Consumer: appends a result; `false` when there is no room. */
  push(slot: number, type: number, payload: Payload & { readonly encoding: number }, detail = 0): boolean {
    const next = this.#ring.write(
      this.#control[TAIL],
      (Atomics.load(this.#control, HEAD) + RESULT_WORDS) | 0,
      slot,
      detail,
      payload.encoding,
      type,
      payload,
    );
    if (next === -1) return false;
    Atomics.store(this.#control, TAIL, next);
    return true;
  }

  /** Owner: the oldest result, which stays until {@linkcode drop}. */
  peek(): ResultRecord | undefined {
    const { words, mask } = this.#ring;
    for (;;) {
      const head = this.#control[HEAD];
      if (head === Atomics.load(this.#control, TAIL)) return undefined;
      const at = head & mask;
      if (words[at + 1] === FILLER) {
        Atomics.store(this.#control, HEAD, (head + words[at]) | 0);
        continue;
      }
      return {
        slot: words[at + 1],
        detail: words[at + 2],
        encoding: words[at + 3],
        type: words[at + 4],
        byteLength: words[at + 5],
        offset: (at + HEADER_WORDS) * 4,
      };
    }
  }

  /** Owner: lets the consumer reuse the memory of the oldest result. */
  drop(): void {
    const head = this.#control[HEAD];
    const length = this.#ring.words[head & this.#ring.mask];
    Atomics.store(this.#control, HEAD, (head + length) | 0);
  }

  /** Consumer: counts a result that it posted as a message, because it is large or the ring is full. */
  countPosted(): void {
    Atomics.add(this.#control, FINISHED, 1);
  }

  /** Owner: whether posted results wait to be received. */
  hasPosted(): boolean {
    return Atomics.load(this.#control, FINISHED) !== this.#received;
  }

  /** Owner: counts a posted result as received. */
  countReceived(): void {
    this.#received = (this.#received + 1) | 0;
  }

  /** For a hang's report: the state in one line. */
  describe(): string {
    const [head, tail, posted] = [HEAD, TAIL, FINISHED].map((at) => Atomics.load(this.#control, at));
    return `results head=${head} tail=${tail} posted=${posted}`;
  }
}

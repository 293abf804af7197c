/**
 * Rings of records in shared memory, and those in which consumers publish results.
 *
 * @module
 */

import { Atomics, Math } from "../../futures/builtins.ts";
import { Memory, type Payload } from "../_values/memory.ts";
import { CONTROL_WORDS, type ResultRecord, Word } from "./protocol.ts";

/** Size of each ring of results in 4-byte words: 256 KiB. */
const RESULT_WORDS = 1 << 16;

/** Words before a record's payload; an even number, so that payloads are aligned to 8 bytes. */
export const HEADER_WORDS = 6;

/** In place of a slot's number: memory that is skipped. */
export const FILLER = -2;

/** A ring of records in shared memory. Positions count words, never wrap back, and are taken modulo the size. */
export class RecordRing {
  readonly words: Int32Array;
  readonly memory: Memory;
  readonly mask: number;

  constructor(buffer: SharedArrayBuffer, byteOffset: number, size: number) {
    this.words = new Int32Array(buffer, byteOffset, size);
    this.memory = new Memory(buffer, byteOffset, size * 4);
    this.mask = size - 1;
  }

  /** How many words a record with a payload of `byteLength` bytes needs: an even number. */
  static wordsFor(byteLength: number): number {
    return HEADER_WORDS + 2 * Math.ceil(byteLength / 8);
  }

  /**
   * Writes a record at `tail` if there is room before `limit`. The caller publishes it by storing the new tail: that
   * alone has to be atomic.
   *
   * @param detail Of a result; the function of a task.
   * @param type Of a result; the flags of a task.
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
    words[at] = length;
    if (filler > 0) {
      const skipped = tail & this.mask;
      words[skipped + 1] = FILLER;
      words[skipped] = filler;
    }
    return (tail + filler + length) | 0;
  }
}

/** One consumer's ring of results: the consumer writes, the owner reads. */
export class ResultRing {
  readonly #control: Int32Array;
  readonly #ring: RecordRing;

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
      this.#control[Word.TAIL],
      (Atomics.load(this.#control, Word.HEAD) + RESULT_WORDS) | 0,
      slot,
      detail,
      payload.encoding,
      type,
      payload,
    );
    if (next === -1) return false;
    Atomics.store(this.#control, Word.TAIL, next);
    return true;
  }

  /** Owner: the oldest result, which stays until {@linkcode drop}. */
  peek(): ResultRecord | undefined {
    const { words, mask } = this.#ring;
    for (;;) {
      const head = this.#control[Word.HEAD];
      if (head === Atomics.load(this.#control, Word.TAIL)) return undefined;
      const at = head & mask;
      if (words[at + 1] === FILLER) {
        Atomics.store(this.#control, Word.HEAD, (head + words[at]) | 0);
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
    const head = this.#control[Word.HEAD];
    const length = this.#ring.words[head & this.#ring.mask];
    Atomics.store(this.#control, Word.HEAD, (head + length) | 0);
  }

  /** Owner: says that the consumer has left. */
  close(): void {
    Atomics.store(this.#control, Word.CLOSED, 1);
  }

  /** Consumer: whether it has left. */
  isClosed(): boolean {
    return Atomics.load(this.#control, Word.CLOSED) === 1;
  }

  /** Consumer: counts a result that it posted as a message, because it is large or the ring is full. */
  countPosted(): void {
    Atomics.add(this.#control, Word.POSTED, 1);
  }

  /** Whether posted results wait to be received. */
  hasPosted(): boolean {
    return Atomics.load(this.#control, Word.POSTED) !== Atomics.load(this.#control, Word.RECEIVED);
  }

  /** Owner: counts a posted result as received. */
  countReceived(): void {
    Atomics.add(this.#control, Word.RECEIVED, 1);
  }

  /** For a hang's report: the state in one line. */
  describe(): string {
    const [head, tail, posted] = [Word.HEAD, Word.TAIL, Word.POSTED].map((at) => Atomics.load(this.#control, at));
    return `results head=${head} tail=${tail} posted=${posted}`;
  }
}

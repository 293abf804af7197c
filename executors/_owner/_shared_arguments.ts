/**
 * Shared memory that tasks refer to: the caller's own, and the memory that large arguments are put into. The owner of a
 * pool tells all its workers of each piece, because any of them may take the task.
 *
 * @module
 */

import { Encoded, Encoding } from "../_values/encoded.ts";
import type { ConsumerMessage } from "../_queue/protocol.ts";
import { Memory } from "../_values/memory.ts";

/** Memory for large arguments up to this size is used again. */
const MAX_SPARE_BYTES = 2 ** 20;
/** How many pieces of each size are kept for that. */
const MAX_SPARE = 8;
/** The caller's memory up to this size stays known to the workers when no task refers to it any more. */
const SMALL_BYTES = 64 * 1024;
/** How many pieces of it do. */
const MAX_KNOWN = 64;

/** What the workers of one pool know. */
export class SharedArguments {
  readonly #tellWorkers: (message: ConsumerMessage) => void;
  /** What the workers know, by the number under which they know it, and how many slots refer to it. */
  readonly #known = new Map<number, { memory: SharedArrayBuffer; users: number }>();
  readonly #ids = new Map<SharedArrayBuffer, number>();
  #nextId = 0;
  /** What a slot's task refers to. */
  readonly #idsOfSlot = new Map<number, number[]>();
  /** The memory of slots whose arguments lie in memory of the pool's own. */
  readonly #ownOfSlot = new Map<number, SharedArrayBuffer>();
  /** Memory of the pool's own that is not in use, by its size. */
  readonly #spare = new Map<number, SharedArrayBuffer[]>();

  constructor(tellWorkers: (message: ConsumerMessage) => void) {
    this.#tellWorkers = tellWorkers;
  }

  /** What a new worker has to know: all shared memory so far. */
  known(): Map<number, SharedArrayBuffer> {
    return new Map([...this.#known].map(([id, { memory }]) => [id, memory]));
  }

  /** Puts a payload into memory of its own; what is returned says only where that is. */
  moveOut(payload: Encoded): Encoded {
    const memory = this.#takeSpare(payload.room);
    // The ids of what the payload itself shares come with the outer payload.
    payload.sharedIds = payload.shared.map(() => 0);
    const byteLength = payload.write(new Memory(memory), 0);
    return new Encoded(Encoding.GRAPH, `[${byteLength},${payload.encoding}]`, 0, [], [memory, ...payload.shared]);
  }

  /** Makes sure that all workers know what a payload refers to, until the slot is left. */
  enter(slot: number, payload: Encoded): void {
    if (payload.shared.length === 0) return;
    const ids: number[] = [];
    // First, so that leave() ends as much as was begun.
    this.#idsOfSlot.set(slot, ids);
    for (const memory of payload.shared) {
      const id = this.#idOf(memory);
      this.#known.get(id)!.users++;
      ids.push(id);
    }
    payload.sharedIds = ids;
  }

  /** Says that the first memory of a payload is the pool's own, and may be used again when the slot is left. */
  own(slot: number, payload: Encoded): void {
    this.#ownOfSlot.set(slot, payload.shared[0]);
  }

  /** Ends what {@linkcode enter} began. */
  leave(slot: number): void {
    if (this.#idsOfSlot.size === 0) return;
    const ids = this.#idsOfSlot.get(slot);
    if (ids === undefined) return;
    this.#idsOfSlot.delete(slot);
    const own = this.#ownOfSlot.get(slot);
    this.#ownOfSlot.delete(slot);
    for (const id of ids) {
      const { memory, users } = this.#known.get(id)!;
      this.#known.get(id)!.users = users - 1;
      if (users > 1 || (memory === own ? this.#giveSpare(own) : this.#isKept(memory))) continue;
      this.#known.delete(id);
      this.#ids.delete(memory);
      this.#tellWorkers({ type: "unshare", id });
    }
  }

  #idOf(memory: SharedArrayBuffer): number {
    let id = this.#ids.get(memory);
    if (id === undefined) {
      id = this.#nextId++;
      // First: what is known here and not there would be waited for.
      this.#tellWorkers({ type: "share", id, memory });
      this.#ids.set(memory, id);
      this.#known.set(id, { memory, users: 0 });
    }
    return id;
  }

  #isKept(memory: SharedArrayBuffer): boolean {
    return memory.byteLength <= SMALL_BYTES && this.#known.size <= MAX_KNOWN;
  }

  /** Used again, because what a worker has seen of it is freed only when that worker collects garbage. */
  #takeSpare(byteLength: number): SharedArrayBuffer {
    const size = byteLength > MAX_SPARE_BYTES ? byteLength : 2 ** Math.ceil(Math.log2(byteLength));
    return this.#spare.get(size)?.pop() ?? new SharedArrayBuffer(size);
  }

  /** Keeps memory for another task; `false` when there is enough of it. */
  #giveSpare(memory: SharedArrayBuffer): boolean {
    const size = memory.byteLength;
    if (size > MAX_SPARE_BYTES) return false;
    let spare = this.#spare.get(size);
    if (spare === undefined) this.#spare.set(size, spare = []);
    return spare.length < MAX_SPARE && spare.push(memory) > 0;
  }
}

/**
 * What tasks say of their progress, on its way to the owner: in order, before the result, and without waiting for an
 * owner that is slow.
 *
 * @module
 */

import type { Encoded, EncodedSections } from "../_values/encoded.ts";
import { MAX_INLINE_BYTES, RecordType } from "./protocol.ts";
import type { ResultRing } from "./ring.ts";

type Payload = Encoded | EncodedSections;

/** The progress of a consumer's tasks. */
export class Progress {
  readonly #results: ResultRing;
  readonly #post: (slot: number, payload: Payload) => void;
  /** The newest of what found no room, by the slots of the tasks. */
  readonly #unsaid = new Map<number, Payload>();
  /** The slots of tasks of which something was posted: what is posted is read behind the ring. */
  readonly #posted = new Set<number>();

  /** @param post Posts something of a task, which then counts as posted. */
  constructor(results: ResultRing, post: (slot: number, payload: Payload) => void) {
    this.#results = results;
    this.#post = post;
  }

  /**
   * Says something of a task. What finds no room is kept until the task says something newer, or is done: so little is
   * held in memory of what nobody reads.
   *
   * @returns Whether the owner is to be told.
   */
  say(slot: number, payload: Payload): boolean {
    if (!this.#trySay(slot, payload)) {
      this.#unsaid.set(slot, payload);
      return false;
    }
    if (this.#unsaid.size > 0) this.#unsaid.delete(slot);
    return true;
  }

  #trySay(slot: number, payload: Payload): boolean {
    const isLarge = payload.room > MAX_INLINE_BYTES;
    if (this.#results.hasPosted()) {
      if (isLarge || this.#posted.has(slot)) return false;
    } else if (isLarge) {
      this.#post(slot, payload);
      this.#posted.add(slot);
      return true;
    }
    return this.#results.push(slot, RecordType.PROGRESS, payload);
  }

  /**
   * Says what has found no room, in case that there is some by now.
   *
   * @returns Whether the owner is to be told.
   */
  sayKept(): boolean {
    let isSaid = false;
    for (const [slot, payload] of this.#unsaid) {
      if (!this.#trySay(slot, payload)) continue;
      this.#unsaid.delete(slot);
      isSaid = true;
    }
    return isSaid;
  }

  /** Whether something has found no room. */
  get keeps(): boolean {
    return this.#unsaid.size > 0;
  }

  /** A task is done: says what it has said last. Returns whether its result has to be posted behind that. */
  end(slot: number): boolean {
    if (this.#unsaid.size + this.#posted.size === 0) return false;
    let isPosted = this.#posted.delete(slot) && this.#results.hasPosted();
    const payload = this.#unsaid.get(slot);
    if (payload === undefined) return isPosted;
    this.#unsaid.delete(slot);
    isPosted ||= payload.room > MAX_INLINE_BYTES || !this.#results.push(slot, RecordType.PROGRESS, payload);
    if (isPosted) this.#post(slot, payload);
    return isPosted;
  }

  /** The result of a task that was to be posted was not: another one follows. */
  goOn(slot: number): void {
    this.#posted.add(slot);
  }
}

/**
 * The barrier: who comes waits in a list, until one comes that is the last. A party belongs to the times at which the
 * list was told, as its entry says; so the next time can begin before all have left the one before.
 *
 * All words are read and changed under the mutex, but for those that waiters look at now and then.
 *
 * @see {@link https://github.com/python/cpython/blob/main/Lib/threading.py | Python's Barrier}, whose semantics it has.
 * @module
 */

import { performance } from "../../futures/builtins.ts";
import { nameOf } from "../_queue/holders.ts";
import { BrokenBarrierError } from "./errors.ts";
import { Mutex, MUTEX_WORDS } from "./_mutex.ts";
import { FIRST_WORD } from "./_object.ts";
import type { Steps } from "./_pause.ts";
import { LIST_WORDS, REFUSED, TOLD, WaitList } from "./_wait_list.ts";

/**
 * How many parties there are, for how long each waits by default, which is a float64, and why it is broken (a
 * {@linkcode Cause}, or who has died); then the mutex, the waiters.
 */
const PARTIES = FIRST_WORD;
const TIMEOUT = FIRST_WORD + 1;
const CAUSE = FIRST_WORD + 3;
const MUTEX = FIRST_WORD + 4;
const LIST = MUTEX + MUTEX_WORDS;
/** How many words a barrier takes. */
export const BARRIER_WORDS = LIST + LIST_WORDS;

/** Why a barrier is broken; above 0 it is the number of the holder that has died. */
export const Cause = { NONE: 0, ABORTED: -1, TIMED_OUT: -2, STOPPED: -3 } as const;

/** What a barrier does. */
export class BarrierCore {
  readonly #words: Int32Array;
  readonly #timeout: Float64Array;
  readonly #mutex: Mutex;
  readonly #list: WaitList;

  constructor(words: Int32Array) {
    this.#words = words;
    this.#timeout = new Float64Array(words.buffer, words.byteOffset + TIMEOUT * 4, 1);
    this.#mutex = new Mutex(words, MUTEX, "Barrier");
    this.#list = new WaitList(words, LIST);
  }

  /** Says of a new one how many parties there are, and for how long each waits by default. */
  init(parties: number, timeout: number): void {
    this.#words[PARTIES] = parties;
    this.#timeout[0] = timeout;
  }

  /** For how long a party waits by default, in milliseconds. */
  get timeout(): number {
    return this.#timeout[0];
  }

  get parties(): number {
    return this.#words[PARTIES];
  }

  get waiting(): number {
    return this.isBroken ? 0 : this.#list.waiting;
  }

  /** Whether it is broken, also where nobody has come yet since a party has died. */
  get isBroken(): boolean {
    return this.#words[CAUSE] !== Cause.NONE || this.#list.hasLost;
  }

  /**
   * Waits for all parties.
   *
   * @returns How many came before.
   */
  *wait(deadline: number): Steps<number> {
    const list = this.#list;
    using held = yield* this.#mutex.hold();
    this.#bury();
    this.#assertWhole();
    const index = list.waiting;
    if (index === this.parties - 1) {
      list.tellAll(TOLD);
      return index;
    }
    const state = yield* list.waitWith(held, list.enter(), deadline, () => this.#bury());
    if (state === TOLD) return index;
    if (state === REFUSED) {
      this.#assertWhole();
      throw new BrokenBarrierError("The Barrier was reset while this thread waited for it");
    }
    this.#break(performance.now() >= deadline ? Cause.TIMED_OUT : Cause.STOPPED);
    throw this.#error();
  }

  /** Breaks it for a cause, or makes it whole; those who wait are told so. */
  *end(cause: number): Steps<void> {
    using _ = yield* this.#mutex.hold();
    this.#break(cause);
  }

  #break(cause: number): void {
    this.#words[CAUSE] = cause;
    this.#list.tellAll(REFUSED);
  }

  #bury(): void {
    const { dead } = this.#list.bury();
    if (dead !== 0 && this.#words[CAUSE] === Cause.NONE) this.#break(dead);
  }

  #assertWhole(): void {
    if (this.#words[CAUSE] !== Cause.NONE) throw this.#error();
  }

  #error(): BrokenBarrierError {
    const cause = this.#words[CAUSE];
    const why = cause === Cause.ABORTED
      ? "it was aborted"
      : cause === Cause.TIMED_OUT
      ? "a party waited for longer than its timeout"
      : cause === Cause.STOPPED
      ? "the task of a party was stopped while it waited"
      : `${nameOf(cause)} died while it waited for it`;
    return new BrokenBarrierError(`The Barrier is broken: ${why}`);
  }
}

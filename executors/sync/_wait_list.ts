/**
 * Who waits for an object until it is told, in the order of their coming: the waiters of a condition, each of which
 * sleeps on a word of its own. So exactly as many wake up as are told, and nobody is overtaken.
 *
 * All is read and changed under a mutex of the object, but for one thing: a waiter sleeps without it.
 *
 * The states of an entry: FREE, WAITING (set by the waiter), TOLD or REFUSED (set by who tells it), and FREE again (set
 * by the waiter, or by others when its thread has died).
 *
 * @see {@link https://github.com/python/cpython/blob/main/Lib/threading.py | Python's Condition} has a list of waiters,
 *   too, each with a lock of its own.
 * @module
 */

import { Atomics } from "../../futures/builtins.ts";
import { countEnds, holder, HolderState, stateOf } from "../_queue/holders.ts";
import { cutOff } from "./errors.ts";
import type { Held } from "./_mutex.ts";
import { isOver, type Steps } from "./_pause.ts";

/** How many can wait at once. */
export const MAX_WAITERS = 1024;

/** The words of a list: how many entries were ever used at once, who came last, how many are TOLD; then the entries. */
const USED = 0;
const LAST = 1;
const PENDING = 2;
const ENTRIES = 4;
/** The words of an entry: its state and whose it is, and when it came. */
const ENTRY_WORDS = 2;

/** How many words a list takes. */
export const LIST_WORDS = ENTRIES + MAX_WAITERS * ENTRY_WORDS;

/** The states of an entry; the bits above them are the number of the waiter's thread as a holder. */
const FREE = 0;
export const WAITING = 1;
export const TOLD = 2;
export const REFUSED = 3;
const STATE_MASK = 3;
const STATE_BITS = 2;

/** The place of one that waits. */
export interface Ticket {
  /** Its entry, which is another one's when this one's thread has died. */
  readonly entry: number;
  /** When it came: no other one has that number. */
  readonly came: number;
}

/** A list that begins at a word. */
export class WaitList {
  readonly #words: Int32Array;
  readonly #at: number;
  /** How many threads had ended when all in the list were alive; a thousand that wait look each 20 ms. */
  #ends = -1;

  constructor(words: Int32Array, at: number) {
    this.#words = words;
    this.#at = at;
  }

  /** How many have been told and have not left: what they were told of is theirs. */
  get told(): number {
    return this.#words[this.#at + PENDING];
  }

  /** Whether one has died while it waited; asked without the mutex. */
  get hasLost(): boolean {
    for (const entry of this.#entries()) {
      const value = Atomics.load(this.#words, entry);
      if ((value & STATE_MASK) === WAITING && stateOf(value >>> STATE_BITS) !== HolderState.ALIVE) return true;
    }
    return false;
  }

  /** How many wait. */
  get waiting(): number {
    let count = 0;
    for (const entry of this.#entries()) if ((this.#words[entry] & STATE_MASK) === WAITING) count++;
    return count;
  }

  /**
   * The caller begins to wait.
   *
   * @param before When it came, if it has waited before, and keeps its place.
   * @throws {RangeError} Too many wait.
   * @throws {BrokenLockError} It has died.
   */
  enter(before?: number): Ticket {
    const [words, at] = [this.#words, this.#at];
    let free = -1;
    for (const entry of this.#entries()) {
      if (words[entry] === FREE) {
        free = entry;
        break;
      }
    }
    if (free === -1) {
      const used = words[at + USED];
      if (used === MAX_WAITERS) throw new RangeError(`Too many calls wait for one object: ${MAX_WAITERS}`);
      free = at + ENTRIES + used * ENTRY_WORDS;
      words[at + USED] = used + 1;
    }
    const came = before ?? ++words[at + LAST];
    words[free + 1] = came;
    const me = holder();
    Atomics.store(words, free, me << STATE_BITS | WAITING);
    // Others look at the list again only when a thread ends after that.
    if (stateOf(me) !== HolderState.ALIVE) {
      this.#free(free);
      throw cutOff();
    }
    return { entry: free, came };
  }

  /**
   * Waits, and lets the mutex go meanwhile, until it is told or the deadline has passed.
   *
   * @param bury Called with the mutex when a thread has died that was in a list.
   * @param isHopeless Asked now and then without the mutex, besides whether one of this list has died.
   * @returns {@linkcode TOLD}, {@linkcode REFUSED}, or 0 where it was not told.
   * @throws {BrokenLockError} It has died, and what it was told of is for others.
   */
  *waitWith(
    held: Held,
    ticket: Ticket,
    deadline: number,
    bury: () => void,
    isHopeless: () => boolean = () => false,
  ): Steps<number> {
    for (;;) {
      held.release();
      yield* this.wait(ticket, deadline, () => this.hasDead || isHopeless());
      yield* held.lock();
      bury();
      if (this.stateOf(ticket) !== WAITING || isOver(deadline) || isHopeless()) return this.leave(ticket);
    }
  }

  /**
   * Waits, without the mutex, until it is told, the deadline has passed, or it has died and waits in vain.
   *
   * @param isHopeless Asked now and then; when it says so, the wait ends.
   */
  *wait({ entry, came }: Ticket, deadline: number, isHopeless: () => boolean): Steps<void> {
    const words = this.#words;
    for (;;) {
      const value = Atomics.load(words, entry);
      if ((value & STATE_MASK) !== WAITING || Atomics.load(words, entry + 1) !== came) return;
      if (stateOf(value >>> STATE_BITS) !== HolderState.ALIVE) return;
      if (isOver(deadline) || isHopeless()) return;
      yield { words, index: entry, value, deadline };
    }
  }

  /**
   * The caller waits no more.
   *
   * @returns {@linkcode TOLD}, {@linkcode REFUSED}, or 0 where it was not told.
   * @throws {BrokenLockError} It has died, and what it was told of is for others.
   */
  leave(ticket: Ticket): number {
    const state = this.stateOf(ticket);
    this.#free(ticket.entry);
    return state === WAITING ? 0 : state;
  }

  /** Whether the thread of an entry has died; asked without the mutex. */
  get hasDead(): boolean {
    const ends = countEnds();
    if (ends === this.#ends) return false;
    for (const entry of this.#entries()) {
      const value = Atomics.load(this.#words, entry);
      if (value !== FREE && stateOf(value >>> STATE_BITS) !== HolderState.ALIVE) return true;
    }
    this.#ends = ends;
    return false;
  }

  /**
   * The state of one that waits.
   *
   * @throws {BrokenLockError} It has died.
   */
  stateOf({ entry, came }: Ticket): number {
    const value = this.#words[entry];
    const isMine = value !== FREE && this.#words[entry + 1] === came;
    if (!isMine || stateOf(value >>> STATE_BITS) !== HolderState.ALIVE) throw cutOff();
    return value & STATE_MASK;
  }

  /** Tells the one that has waited longest, and lives; returns whether there was one. */
  tell(): boolean {
    const words = this.#words;
    let first = -1;
    for (const entry of this.#entries()) {
      if ((words[entry] & STATE_MASK) !== WAITING) continue;
      if (first === -1 || ((words[entry + 1] - words[first + 1]) | 0) < 0) first = entry;
    }
    if (first === -1) return false;
    this.#tell(first, TOLD);
    return true;
  }

  /** Tells all that wait. */
  tellAll(state: number): void {
    for (const entry of this.#entries()) {
      if ((this.#words[entry] & STATE_MASK) === WAITING) this.#tell(entry, state);
    }
  }

  #tell(entry: number, state: number): void {
    const words = this.#words;
    if (state === TOLD) words[this.#at + PENDING]++;
    Atomics.store(words, entry, (words[entry] & ~STATE_MASK) | state);
    Atomics.notify(words, entry);
  }

  #free(entry: number): void {
    const words = this.#words;
    if ((words[entry] & STATE_MASK) === TOLD) words[this.#at + PENDING]--;
    Atomics.store(words, entry, FREE);
  }

  /**
   * Frees the entries of threads that have died.
   *
   * @returns How many of them had been told, and have left what they were told of; and one that waited, 0 for none.
   */
  bury(): { told: number; dead: number } {
    let [told, dead] = [0, 0];
    for (const entry of this.#entries()) {
      const value = this.#words[entry];
      if (value === FREE || stateOf(value >>> STATE_BITS) === HolderState.ALIVE) continue;
      const state = value & STATE_MASK;
      if (state === TOLD) told++;
      else if (state === WAITING) dead = value >>> STATE_BITS;
      this.#free(entry);
    }
    return { told, dead };
  }

  *#entries(): Generator<number> {
    const first = this.#at + ENTRIES;
    const end = first + this.#words[this.#at + USED] * ENTRY_WORDS;
    for (let entry = first; entry < end; entry += ENTRY_WORDS) yield entry;
  }
}

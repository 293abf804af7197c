/**
 * The semaphore after Dijkstra, with waiters in the order of their coming: a permit that is given back goes to the one
 * that has waited longest, and counts as free only where nobody waits.
 *
 * All words are read and changed under the mutex, but for those that waiters look at now and then.
 *
 * @see {@link https://www.cs.utexas.edu/~EWD/transcriptions/EWD01xx/EWD123.html | E. W. Dijkstra: Cooperating
 *   Sequential Processes (1965)}
 * @module
 */

import { Atomics, Math } from "../../futures/builtins.ts";
import { holder, HolderState, stateOf } from "../_queue/holders.ts";
import { brokenBy, Mutex, MUTEX_WORDS } from "./_mutex.ts";
import { FIRST_WORD } from "./_object.ts";
import { isOver, type Steps } from "./_pause.ts";
import { LIST_WORDS, TOLD, WaitList } from "./_wait_list.ts";

/**
 * How many permits are free, how many there were at first, and how many entries of holders were ever used at once;
 * then the mutex, the waiters, and the holders.
 */
const VALUE = FIRST_WORD;
const INITIAL = FIRST_WORD + 1;
const USED = FIRST_WORD + 2;
const MUTEX = FIRST_WORD + 3;
const LIST = MUTEX + MUTEX_WORDS;
const HOLDERS = LIST + LIST_WORDS;
/** Of how many threads at once it is known how many permits they hold: a number, and a count. */
const MAX_HOLDERS = 256;
/** How many words a semaphore takes. */
export const SEMAPHORE_WORDS = HOLDERS + MAX_HOLDERS * 2;

/** Any number of permits. */
export const NO_LIMIT = 2 ** 31 - 1;

/** What a semaphore does; the caller has checked the arguments. */
export class SemaphoreCore {
  readonly #kind: string;
  readonly #words: Int32Array;
  readonly #mutex: Mutex;
  readonly #list: WaitList;

  constructor(words: Int32Array, kind: string) {
    this.#kind = kind;
    this.#words = words;
    this.#mutex = new Mutex(words, MUTEX, kind);
    this.#list = new WaitList(words, LIST);
  }

  /** Says of a new one how many permits there are. */
  init(value: number): void {
    this.#words[VALUE] = this.#words[INITIAL] = value;
  }

  /** Takes a permit; `false` when the deadline has passed. */
  *take(deadline: number): Steps<boolean> {
    const [words, list] = [this.#words, this.#list];
    using held = yield* this.#mutex.hold();
    for (;;) {
      this.#bury();
      if (words[VALUE] > 0) {
        words[VALUE]--;
        this.#noteTaken();
        return true;
      }
      this.#assertHope();
      if (isOver(deadline)) return false;
      const bury = () => this.#bury();
      // Another one has died: it may have had permits.
      const isHopeless = () => this.#deadHolder() !== 0;
      if ((yield* list.waitWith(held, list.enter(), deadline, bury, isHopeless)) !== TOLD) continue;
      this.#noteTaken();
      return true;
    }
  }

  /** Gives permits back. */
  *give(n: number): Steps<void> {
    using _ = yield* this.#mutex.hold();
    this.#bury();
    const words = this.#words;
    const isBounded = this.#kind === "BoundedSemaphore";
    if (n > (isBounded ? words[INITIAL] : NO_LIMIT) - words[VALUE]) {
      throw new RangeError(
        isBounded
          ? `Cannot release more permits of a BoundedSemaphore than there were at first: ${words[INITIAL]}`
          : `Cannot release so many permits, as a Semaphore has at most ${NO_LIMIT}: ${n}`,
      );
    }
    this.#noteGiven(n);
    this.#free(n);
  }

  /** Gives permits to those who wait; what is left is free. */
  #free(n: number): void {
    for (; n > 0 && this.#list.tell(); n--);
    this.#words[VALUE] += n;
  }

  /** Takes back what was given to waiters that have died. */
  #bury(): void {
    if (this.#list.hasDead) this.#free(this.#list.bury().told);
  }

  /** Notes that this thread holds one more permit. */
  #noteTaken(): void {
    const words = this.#words;
    const me = holder();
    let unused = -1;
    for (let at = HOLDERS; at < this.#end; at += 2) {
      if (words[at] === me) {
        words[at + 1]++;
        return;
      }
      if (words[at] === 0) unused = at;
    }
    if (unused === -1) {
      if (words[USED] === MAX_HOLDERS) return;
      unused = this.#end;
      words[USED]++;
    }
    words[unused + 1] = 1;
    Atomics.store(words, unused, me);
  }

  /** Notes that permits were given back: the caller's own, or else those that the dead or others have taken. */
  #noteGiven(n: number): void {
    const words = this.#words;
    const me = holder();
    const isDead = (number: number) => stateOf(number) === HolderState.DEAD;
    for (const isIts of [(number: number) => number === me, isDead, () => true]) {
      for (let at = HOLDERS; at < this.#end && n > 0; at += 2) {
        if (words[at] === 0 || !isIts(words[at])) continue;
        const count = Math.min(words[at + 1], n);
        n -= count;
        words[at + 1] -= count;
        if (words[at + 1] === 0) Atomics.store(words, at, 0);
      }
    }
  }

  /** Where the entries of holders end that were ever used. */
  get #end(): number {
    return HOLDERS + this.#words[USED] * 2;
  }

  /**
   * A thread that has died with permits; 0 for none. Where there were no permits at first, they are signals, and nobody
   * has to give one back. Asked also without the mutex.
   */
  #deadHolder(): number {
    if (this.#words[INITIAL] === 0) return 0;
    for (let at = HOLDERS; at < this.#end; at += 2) {
      const number = Atomics.load(this.#words, at);
      if (number !== 0 && stateOf(number) === HolderState.DEAD) return number;
    }
    return 0;
  }

  #assertHope(): void {
    const dead = this.#deadHolder();
    if (dead !== 0) throw brokenBy(this.#kind, dead);
  }
}

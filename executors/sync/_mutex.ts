/**
 * A mutex in shared memory: the word of Linux' robust futexes, which names the holder. Who finds it free takes it by a
 * compare-and-exchange, and who finds it held waits for the word to change.
 *
 * The states of the word:
 * - 0: free.
 * - a holder: held, and nobody waits. Only he who finds it free may set this.
 * - a holder and WAITERS: held, and somebody may wait. Each waiter sets this before it sleeps.
 * - a ticket and WAITERS: given to the waiter of that ticket by who released it. The ticket names the waiter's thread,
 *   so it is a holder, too.
 * - BROKEN, with the holder: the holder has died. Set by who notices it; it stays for ever.
 *
 * @see {@link https://docs.kernel.org/locking/robust-futexes.html | Robust futexes}
 * @see {@link https://www.akkadia.org/drepper/futex.pdf | Ulrich Drepper: Futexes Are Tricky}
 * @module
 */

import { Atomics, performance } from "../../futures/builtins.ts";
import { holder, HolderState, nameOf, stateOf } from "../_queue/holders.ts";
import { isOver, NEVER, type Steps } from "./_pause.ts";
import { BrokenLockError, cutOff } from "./errors.ts";

/** The words of a mutex: see above; and the ticket of the waiter that comes next, 0 for none. */
const WORD = 0;
const NEXT = 1;
/** How many tickets there were. */
const TICKETS = 2;

/** How many words a mutex takes. */
export const MUTEX_WORDS = 4;

const HOLDER = (1 << 18) - 1;
/** What makes a ticket of a holder: a number that no other waiter of the same thread has, and a mark. */
const TICKET_SHIFT = 18;
const TICKET_MASK = 0x7ff;
const TICKET = 1 << 29;
const BROKEN = 1 << 30;
const WAITERS = 1 << 31;

/** How often a waiter wakes up in vain before it asks that the mutex be given to it. */
const MAX_VAIN = 4;
/** How often a thread looks at a mutex that is held before it sleeps: to wake a sleeper takes longer. */
const LOOKS = 64;
/**
 * For how many milliseconds a block that finds the mutex of an object held by a dead one waits all the same: a thread
 * that was given up goes on at first, and leaves its block soon. To copy a large item takes the longest.
 */
const PATIENCE_MS = 1000;

/** A mutex that begins at a word. */
export class Mutex {
  readonly #words: Int32Array;
  readonly #at: number;
  /** What it is called in messages. */
  readonly #what: string;

  constructor(words: Int32Array, at: number, what: string) {
    this.#words = words;
    this.#at = at;
    this.#what = what;
  }

  /** Who holds it; 0 for nobody. */
  get holder(): number {
    return Atomics.load(this.#words, this.#at + WORD) & HOLDER;
  }

  /** Whether somebody has noticed that its holder has died. */
  get isBroken(): boolean {
    return (Atomics.load(this.#words, this.#at + WORD) & BROKEN) !== 0;
  }

  /**
   * Takes it if it is free.
   *
   * @throws {BrokenLockError} Its holder has died.
   */
  tryLock(): boolean {
    const me = holder();
    const word = Atomics.compareExchange(this.#words, this.#at + WORD, 0, me);
    if (word !== 0) this.assertWhole(word);
    else if (stateOf(me) !== HolderState.ALIVE) this.#giveBack();
    return word === 0;
  }

  /**
   * Takes it.
   *
   * @param patience For how many milliseconds it waits for a holder that has died, and may yet release it.
   * @returns Whether it has; `false` when the deadline has passed.
   * @throws {BrokenLockError} Its holder has died.
   */
  *lock(deadline: number, patience = 0): Steps<boolean> {
    const [words, at] = [this.#words, this.#at];
    const me = holder();
    let [mine, ticket, isNext] = [me, 0, false];
    let lostSince: number | undefined;
    for (let vain = 0, looks = 0;;) {
      const word = Atomics.load(words, at + WORD);
      if (word === 0) {
        if (Atomics.compareExchange(words, at + WORD, word, mine) !== word) continue;
        if (isNext) Atomics.compareExchange(words, at + NEXT, ticket, 0);
        if (stateOf(me) !== HolderState.ALIVE) this.#giveBack();
        return true;
      }
      if (isNext && (word | WAITERS) === (ticket | WAITERS)) return true;
      if (patience === 0 || !this.#isLost(word)) {
        this.assertWhole(word);
        lostSince = undefined;
      } else {
        lostSince ??= performance.now();
        if (performance.now() >= lostSince + patience) this.assertWhole(word);
      }
      if (looks++ < LOOKS) continue;
      looks = 0;
      if (isOver(deadline)) {
        if (!isNext || Atomics.compareExchange(words, at + NEXT, ticket, 0) === ticket) {
          if (mine !== me) this.#passOn();
          return false;
        }
        // Who releases it has taken the ticket, and gives it to this waiter in a moment.
      } else if (vain++ >= MAX_VAIN && !isNext) {
        ticket ||= me | (Atomics.add(words, at + TICKETS, 1) & TICKET_MASK) << TICKET_SHIFT | TICKET;
        isNext = this.#askToBeNext(ticket);
      }
      if ((word & WAITERS) === 0 && Atomics.compareExchange(words, at + WORD, word, word | WAITERS) !== word) continue;
      yield { words, index: at + WORD, value: word | WAITERS, deadline };
      if (stateOf(me) !== HolderState.ALIVE) {
        this.#passOn();
        throw cutOff();
      }
      // Others may wait, and the one who has released it does not know of them any more.
      mine = me | WAITERS;
    }
  }

  /** Whether its holder has died, and nobody has broken it yet. */
  #isLost(word: number): boolean {
    return (word & BROKEN) === 0 && stateOf(word & HOLDER) !== HolderState.ALIVE;
  }

  /** One that was woken up does not take it: another one that sleeps must learn of its release. */
  #passOn(): void {
    const [words, at] = [this.#words, this.#at];
    for (;;) {
      const word = Atomics.load(words, at + WORD);
      if (word === 0) Atomics.notify(words, at + WORD, 1);
      else if ((word & WAITERS) === 0 && Atomics.compareExchange(words, at + WORD, word, word | WAITERS) !== word) {
        continue;
      }
      return;
    }
  }

  /** One that nobody counts on any more has taken it, and has done nothing with it yet. */
  #giveBack(): never {
    this.release();
    throw cutOff();
  }

  #askToBeNext(ticket: number): boolean {
    const [words, at] = [this.#words, this.#at];
    const next = Atomics.load(words, at + NEXT);
    if (next !== 0 && stateOf(next & HOLDER) === HolderState.ALIVE) return false;
    return Atomics.compareExchange(words, at + NEXT, next, ticket) === next;
  }

  /** Takes it for a block: `using held = yield* mutex.hold()`. */
  hold(): Steps<Held> {
    return new Held(this).lock();
  }

  /** Releases it, whoever holds it. */
  release(): void {
    const [words, at] = [this.#words, this.#at];
    let next = Atomics.load(words, at + NEXT);
    // From then on the waiter waits for it without a deadline.
    if (next !== 0 && Atomics.compareExchange(words, at + NEXT, next, 0) !== next) next = 0;
    if (next !== 0 && stateOf(next & HOLDER) !== HolderState.ALIVE) next = 0;
    for (;;) {
      const word = Atomics.load(words, at + WORD);
      if ((word & BROKEN) !== 0) return;
      const after = next === 0 ? 0 : next | WAITERS;
      if (Atomics.compareExchange(words, at + WORD, word, after) !== word) continue;
      if (next !== 0) Atomics.notify(words, at + WORD);
      else if ((word & WAITERS) !== 0) Atomics.notify(words, at + WORD, 1);
      return;
    }
  }

  /**
   * Looks whether the holder that is in a word lives, and breaks the mutex if it does not.
   *
   * @throws {BrokenLockError} It has died.
   */
  assertWhole(word: number = Atomics.load(this.#words, this.#at + WORD)): void {
    const number = word & HOLDER;
    if (number === 0 || ((word & BROKEN) === 0 && stateOf(number) === HolderState.ALIVE)) return;
    const [words, at] = [this.#words, this.#at];
    for (;;) {
      const now = Atomics.load(words, at + WORD);
      // It may have released it while it died.
      if ((now & HOLDER) !== number) return;
      if ((now & BROKEN) !== 0 || Atomics.compareExchange(words, at + WORD, now, now | BROKEN) === now) break;
    }
    Atomics.notify(words, at + WORD);
    throw brokenBy(this.#what, number);
  }
}

/** That this caller has a mutex, from its first `lock()` on, and lets it go at the end of a block. */
export class Held implements Disposable {
  readonly #mutex: Mutex;
  #isMine = false;

  constructor(mutex: Mutex) {
    this.#mutex = mutex;
  }

  *lock(): Steps<this> {
    yield* this.#mutex.lock(NEVER, PATIENCE_MS);
    this.#isMine = true;
    return this;
  }

  /** Lets it go, if it is held: a wait that fails to take it again has nothing to release. */
  release(): void {
    if (!this.#isMine) return;
    this.#isMine = false;
    this.#mutex.release();
  }

  [Symbol.dispose](): void {
    this.release();
  }
}

/** The error of an object that a dead holder has held. */
export function brokenBy(what: string, number: number): BrokenLockError {
  const how = stateOf(number) === HolderState.ENDED ? "which ended" : "which was stopped or ended";
  return new BrokenLockError(`The ${what} is broken: it was held by ${nameOf(number)}, ${how} before it released it`);
}

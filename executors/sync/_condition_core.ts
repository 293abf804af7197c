/**
 * The condition after Lampson and Redell, as Mesa has it: to notify is a hint, and the one that wakes up takes the lock
 * again like any other. Here it is the one that has waited longest, and each notification wakes up one at most.
 *
 * The list of waiters is read and changed under the lock of the condition.
 *
 * @see {@link https://doi.org/10.1145/358818.358824 | B. W. Lampson, D. D. Redell: Experience with Processes and
 *   Monitors in Mesa (1980)}
 * @module
 */

import { InvalidStateError } from "../../futures/errors.ts";
import type { LockCore } from "./lock.ts";
import { FIRST_WORD } from "./_object.ts";
import { isOver, type Steps } from "./_pause.ts";
import { LIST_WORDS, TOLD, WAITING, WaitList } from "./_wait_list.ts";

/** How many words a condition takes. */
export const CONDITION_WORDS = FIRST_WORD + LIST_WORDS;

/** What a condition does. */
export class ConditionCore {
  readonly #lock: LockCore;
  readonly #list: WaitList;

  constructor(words: Int32Array, lock: LockCore) {
    this.#lock = lock;
    this.#list = new WaitList(words, FIRST_WORD);
  }

  /** Waits until the predicate holds; `false` when the deadline has passed, and it does not. */
  *waitFor(predicate: () => unknown, deadline: number): Steps<boolean> {
    while (!predicate()) {
      if (!(yield* this.wait(deadline))) return Boolean(predicate());
    }
    return true;
  }

  /** Lets the lock go, waits to be notified, and takes the lock again; `false` when the deadline has passed. */
  *wait(deadline: number): Steps<boolean> {
    this.#assertMine("wait for");
    const [lock, list] = [this.#lock, this.#list];
    const ticket = list.enter();
    for (;;) {
      const times = lock.releaseAll();
      yield* list.wait(ticket, deadline, () => {
        lock.assertWhole();
        return list.hasDead;
      });
      yield* lock.takeAgain(times);
      this.#bury();
      if (list.stateOf(ticket) !== WAITING || isOver(deadline)) return list.leave(ticket) === TOLD;
    }
  }

  /** Wakes up so many waiters, the longest waiting first. */
  notify(n: number): void {
    this.#assertMine("notify");
    this.#bury();
    for (let i = 0; i < n && this.#list.tell(); i++);
  }

  notifyAll(): void {
    this.#assertMine("notify");
    this.#list.tellAll(TOLD);
  }

  /** Passes on each wake-up that went to a waiter which died before it woke. */
  #bury(): void {
    if (!this.#list.hasDead) return;
    for (let { told } = this.#list.bury(); told > 0; told--) this.#list.tell();
  }

  #assertMine(what: string): void {
    if (!this.#lock.isMine()) {
      throw new InvalidStateError(`Cannot ${what} a Condition whose lock the caller does not hold`);
    }
  }
}

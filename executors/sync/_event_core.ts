/**
 * The event: a flag, and a count of how often it was set, on which waiters sleep, as on the event count of Reed and
 * Kanodia. There is no mutex: nobody holds an event, so nothing can break it.
 *
 * @see {@link https://doi.org/10.1145/359060.359076 | D. P. Reed, R. K. Kanodia: Synchronization with
 *   Eventcounts and Sequencers (1979)}
 * @module
 */

import { Atomics } from "../../futures/builtins.ts";
import { FIRST_WORD } from "./_object.ts";
import { isOver, type Steps } from "./_pause.ts";

/** Whether it is set, and how often it was set. */
const SET = FIRST_WORD;
const TIMES = FIRST_WORD + 1;

/** How many words an event takes. */
export const EVENT_WORDS = FIRST_WORD + 2;

/** What an event does. */
export class EventCore {
  readonly #words: Int32Array;

  constructor(words: Int32Array) {
    this.#words = words;
  }

  get isSet(): boolean {
    return Atomics.load(this.#words, SET) === 1;
  }

  set(): void {
    const words = this.#words;
    if (Atomics.exchange(words, SET, 1) === 1) return;
    // Counted, so that those wake up, too, who look after another thread has cleared it.
    Atomics.add(words, TIMES, 1);
    Atomics.notify(words, TIMES);
  }

  clear(): void {
    Atomics.store(this.#words, SET, 0);
  }

  /** Waits until it is set; `false` when the deadline has passed. */
  *wait(deadline: number): Steps<boolean> {
    const words = this.#words;
    const value = Atomics.load(words, TIMES);
    for (;;) {
      // In this order: who sets it stores the flag first.
      if (this.isSet || Atomics.load(words, TIMES) !== value) return true;
      if (isOver(deadline)) return false;
      yield { words, index: TIMES, value, deadline };
    }
  }
}

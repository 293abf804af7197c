/**
 * The event: a flag, and a count of how often it was set, in one word on which waiters sleep, as on the event count of
 * Reed and Kanodia. There is no mutex: nobody holds an event, so nothing can break it.
 *
 * @see {@link https://doi.org/10.1145/359060.359076 | D. P. Reed, R. K. Kanodia: Synchronization with
 *   Eventcounts and Sequencers (1979)}
 * @module
 */

import { Atomics } from "../../futures/builtins.ts";
import { FIRST_WORD } from "./_object.ts";
import { isOver, type Steps } from "./_pause.ts";

/**
 * The lowest bit says whether it is set, the others how often it was set. They change at once: were the count a word of
 * its own, a set() that has been heard by its flag, and cleared, would count late, and wake up who waits for the next.
 */
const WORD = FIRST_WORD;
const SET = 1;

/** How many words an event takes. */
export const EVENT_WORDS = FIRST_WORD + 1;

/** What an event does. */
export class EventCore {
  readonly #words: Int32Array;

  constructor(words: Int32Array) {
    this.#words = words;
  }

  get isSet(): boolean {
    return (Atomics.load(this.#words, WORD) & SET) !== 0;
  }

  set(): void {
    const words = this.#words;
    for (let word = Atomics.load(words, WORD); (word & SET) === 0;) {
      // Counted, so that those wake up, too, who look after another thread has cleared it.
      const found = Atomics.compareExchange(words, WORD, word, (word + 2) | SET);
      if (found === word) {
        Atomics.notify(words, WORD);
        return;
      }
      word = found;
    }
  }

  clear(): void {
    const words = this.#words;
    const word = Atomics.load(words, WORD);
    // Where that fails somebody else has cleared it meanwhile.
    if ((word & SET) !== 0) Atomics.compareExchange(words, WORD, word, word & ~SET);
  }

  /** Waits until it is set; `false` when the deadline has passed. */
  *wait(deadline: number): Steps<boolean> {
    const words = this.#words;
    const value = Atomics.load(words, WORD);
    for (;;) {
      // While it is not set only set() changes it.
      if ((value & SET) !== 0 || Atomics.load(words, WORD) !== value) return true;
      if (isOver(deadline)) return false;
      yield { words, index: WORD, value, deadline };
    }
  }
}

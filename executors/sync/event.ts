/**
 * Events.
 *
 * @module
 */

import { Atomics, performance } from "../../futures/builtins.ts";
import { deadlineAfter } from "../../futures/deadline.ts";
import { FIRST_WORD, place, sharedClass } from "./_object.ts";
import { awaited, block, type Steps } from "./_pause.ts";

/** Whether it is set, and how often it was set. */
const SET = FIRST_WORD;
const TIMES = FIRST_WORD + 1;

/**
 * A flag that one thread sets, and that others wait for. Nobody holds it, so nothing breaks it.
 *
 * @example Workers that begin together
 * ```ts
 * import { ThreadPoolExecutor } from "@concurrent/futures";
 * import { Event } from "@concurrent/futures/sync";
 * import { assertEquals } from "@std/assert";
 *
 * const start = new Event();
 * await using pool = new ThreadPoolExecutor(2);
 * const futures = [1, 2].map((n) => pool.submit((start, n) => start.wait() && n, start, n));
 * start.set();
 * assertEquals(await Promise.all(futures), [1, 2]);
 * ```
 *
 * @see {@link https://docs.python.org/3/library/threading.html#event-objects | Python's manual}
 */
export class Event {
  readonly #words: Int32Array;

  /** Makes an event that is not set. */
  constructor() {
    this.#words = place(this, "Event", (FIRST_WORD + 2) * 4).words;
  }

  /**
   * Whether the event is set.
   *
   * @returns `true` if it is.
   */
  isSet(): boolean {
    return Atomics.load(this.#words, SET) === 1;
  }

  /** Sets the event, and wakes up all that wait for it. */
  set(): void {
    const words = this.#words;
    if (Atomics.exchange(words, SET, 1) === 1) return;
    // Counted, so that those wake up, too, who look after another thread has cleared it.
    Atomics.add(words, TIMES, 1);
    Atomics.notify(words, TIMES);
  }

  /** Clears the event: calls of `wait` block again until it is set. */
  clear(): void {
    Atomics.store(this.#words, SET, 0);
  }

  /**
   * Blocks the calling thread until the event is set.
   *
   * @param timeout The maximum time to wait, in milliseconds. By default there is no limit.
   * @returns Whether the event was set; `false` after the timeout.
   */
  wait(timeout?: number): boolean {
    return block(this.#wait(deadlineAfter(timeout)));
  }

  /**
   * Waits until the event is set, without blocking the thread.
   *
   * @param timeout The maximum time to wait, in milliseconds. By default there is no limit.
   * @returns Whether the event was set; `false` after the timeout.
   */
  async waitAsync(timeout?: number): Promise<boolean> {
    return await awaited(this.#wait(deadlineAfter(timeout)));
  }

  *#wait(deadline: number): Steps<boolean> {
    const words = this.#words;
    const value = Atomics.load(words, TIMES);
    for (;;) {
      // In this order: who sets it stores the flag first.
      if (this.isSet() || Atomics.load(words, TIMES) !== value) return true;
      if (performance.now() >= deadline) return false;
      yield { words, index: TIMES, value, deadline };
    }
  }
}

sharedClass("Event", Event);

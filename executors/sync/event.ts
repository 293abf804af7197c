/**
 * Events.
 *
 * @module
 */

import { deadlineAfter } from "../../futures/deadline.ts";
import { EVENT_WORDS, EventCore } from "./_event_core.ts";
import { place, sharedClass } from "./_object.ts";
import { awaited, block } from "./_pause.ts";

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
  readonly #core: EventCore;

  /** Makes an event that is not set. */
  constructor() {
    this.#core = new EventCore(place(this, "Event", EVENT_WORDS * 4).words);
  }

  /**
   * Whether the event is set.
   *
   * @returns `true` if it is.
   */
  isSet(): boolean {
    return this.#core.isSet;
  }

  /** Sets the event, and wakes up all that wait for it. */
  set(): void {
    this.#core.set();
  }

  /** Clears the event: calls of `wait` block again until it is set. */
  clear(): void {
    this.#core.clear();
  }

  /**
   * Blocks the calling thread until the event is set.
   *
   * @param timeout The maximum time to wait, in milliseconds. By default there is no limit.
   * @returns Whether the event was set; `false` after the timeout.
   */
  wait(timeout?: number): boolean {
    return block(this.#core.wait(deadlineAfter(timeout)));
  }

  /**
   * Waits until the event is set, without blocking the thread.
   *
   * @param timeout The maximum time to wait, in milliseconds. By default there is no limit.
   * @returns Whether the event was set; `false` after the timeout.
   */
  async waitAsync(timeout?: number): Promise<boolean> {
    return await awaited(this.#core.wait(deadlineAfter(timeout)));
  }
}

sharedClass("Event", Event);

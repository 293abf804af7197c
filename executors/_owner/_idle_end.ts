/**
 * The end of threads that had nothing to do for a while: the option `idleTimeout`. Children of a broker are ended by
 * that, in `processes/_children.ts`.
 *
 * @module
 */

import { timers } from "../../futures/builtins.ts";

/** What this has to know of a pool. */
export interface IdleEndParts {
  /** How long a worker may have nothing to do, in milliseconds. */
  readonly timeout: number;
  /** Ends a worker that has been asleep for as long; `false` when none has. */
  readonly endIdle: (ms: number) => boolean;
  /** How long the worker has been asleep that sleeps for the longest time; 0 when none sleeps. */
  readonly longest: () => number;
  /** Whether there are workers. */
  readonly hasWorkers: () => boolean;
}

/** The longest delay that `setTimeout` knows: longer ones fire at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Ends the idle threads of one pool. */
export class IdleEnd {
  readonly #parts: IdleEndParts;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(parts: IdleEndParts) {
    this.#parts = parts;
  }

  /** A worker has started. */
  begin(): void {
    if (this.#timer === undefined) this.#wait(this.#parts.timeout);
  }

  /** Ends no more workers. */
  stop(): void {
    timers.clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #wait(ms: number): void {
    // A timer may fire a little early.
    this.#timer = timers.setTimeout(() => this.#look(), Math.min(Math.ceil(ms) + 1, MAX_TIMER_MS));
    // An idle pool keeps no program alive.
    Deno.unrefTimer(this.#timer);
  }

  #look(): void {
    this.#timer = undefined;
    const { timeout, endIdle, longest, hasWorkers } = this.#parts;
    while (endIdle(timeout));
    // To end one can stop the pool, or start another one, which begins this anew.
    if (hasWorkers() && this.#timer === undefined) this.#wait(timeout - longest());
  }
}

/**
 * How long the items of a task take.
 *
 * @module
 */

import { Math, performance } from "../../futures/builtins.ts";
import { stepsOf, TaskFlag } from "../_queue/protocol.ts";
import type { RunnerTask } from "./_run.ts";

/** Measures how long the items of a task take, without what it takes to load their function. */
export class Timer {
  #begun: number | undefined;

  /** Begins, unless it has. */
  start(): void {
    this.#begun ??= performance.now();
  }

  stepsFor(items: number): number {
    return this.#begun === undefined ? 0 : stepsOf((performance.now() - this.#begun) / Math.max(1, items));
  }
}

/** A timer for a task whose owner wants to know. */
export function timerFor({ flags }: RunnerTask): Timer | undefined {
  return (flags & TaskFlag.TIMED) === 0 ? undefined : new Timer();
}

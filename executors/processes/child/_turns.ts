/**
 * Which tasks are begun and which are recalled. A child's main thread begins tasks, and the thread that reads its input
 * recalls them while the main thread computes. Both move one word of shared memory by compare-and-exchange, so one of
 * them wins each task.
 *
 * The word is the number of the task that was begun last, or -1 - n when all tasks up to n are recalled.
 *
 * @module
 */

import { Atomics } from "../../../futures/builtins.ts";

/** Makes the word. */
export function createTurns(): Int32Array {
  return new Int32Array(new SharedArrayBuffer(4));
}

/** Begins a task; `false` when it was recalled. */
export function beginTask(turns: Int32Array, id: number): boolean {
  for (;;) {
    const begun = Atomics.load(turns, 0);
    if (begun < 0 && id < -begun) return false;
    if (Atomics.compareExchange(turns, 0, begun, id) === begun) return true;
  }
}

/**
 * Recalls the tasks up to a number that have not begun. The reading thread gets the text of this function.
 *
 * @returns The first of them.
 */
export function recallTasks(turns: Int32Array, last: number): number {
  for (;;) {
    const begun = Atomics.load(turns, 0);
    const first = begun < 0 ? -begun : begun + 1;
    // The main thread may have read more meanwhile, and begun a task that was sent later: the word has to keep that.
    if (first > last || Atomics.compareExchange(turns, 0, begun, -1 - last) === begun) return first;
  }
}

/**
 * Which tasks are begun, which are recalled, and which one is to end. A child's main thread begins tasks, and the
 * thread that reads its input recalls them while the main thread computes. Both move one word of shared memory by
 * compare-and-exchange, so one of them wins each task.
 *
 * The word is the number of the task that was begun last, or -1 - n when all tasks up to n are recalled. A second word
 * is the number of the task that is to end: only the reading thread sets it, as it is told.
 *
 * @module
 */

import { Atomics } from "../../../futures/builtins.ts";

const STOPPED = 1;

/** Makes the words. */
export function createTurns(): Int32Array {
  return new Int32Array(new SharedArrayBuffer(8));
}

/** Whether a task is to end. */
export function isStopped(turns: Int32Array, id: number): boolean {
  return Atomics.load(turns, STOPPED) === id;
}

/** Waits in the event loop until another task is to end than this one; returns its number. */
export async function nextStop(turns: Int32Array, seen: number): Promise<number> {
  for (;;) {
    const id = Atomics.load(turns, STOPPED);
    if (id !== seen) return id;
    const wait = Atomics.waitAsync(turns, STOPPED, id);
    if (wait.async) await wait.value;
  }
}

/** Says that a task is to end. The reading thread gets the text of this function. */
export function stopTask(turns: Int32Array, id: number): void {
  Atomics.store(turns, 1, id);
  Atomics.notify(turns, 1);
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

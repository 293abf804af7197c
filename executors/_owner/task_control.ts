/**
 * What can be done with a task beside what its future offers. Not public: executors build on it what they offer, and a
 * node of a cluster uses its process pool by it.
 *
 * @module
 */

import type { Future } from "../../futures/future.ts";
import type { Executor } from "../executor.ts";

/** Controls the tasks of one executor, by their futures. */
export interface TaskControl {
  /**
   * Ends what runs a task, such as its process, so that its future fails. Does nothing for a task that is done or waits
   * in this program's memory: cancel it first.
   */
  abort(future: Future<unknown>): void;
  /** Calls a function with each value that the task says of its progress from now on. What it throws is reported. */
  onProgress(future: Future<unknown>, listener: (value: unknown) => void): void;
}

const controls = new WeakMap<Executor, TaskControl>();

/** Says how the tasks of an executor are controlled. */
export function setTaskControl(executor: Executor, control: TaskControl): void {
  controls.set(executor, control);
}

/** How the tasks of an executor are controlled that has a pool. */
export function taskControlOf(executor: Executor): TaskControl {
  return controls.get(executor)!;
}

/**
 * {@linkcode invokeAny}: the first result of several tasks.
 *
 * @module
 */

import type { Future } from "../../futures/future.ts";
import { timedOut } from "./_invocation.ts";
import { invoke } from "./_invoke.ts";
import type { CheckedTask, InvokeOptions, Task, TaskResult } from "./task.ts";

/**
 * Runs several tasks, and returns the future of the first result. The other tasks are then aborted: those that have not
 * started never run, and those that run are told by their `currentTask().signal`.
 *
 * A task that throws is out of the race. If all of them throw, the future fails with an `AggregateError`, whose
 * `errors` are in the order of the tasks. The future does not wait for tasks that were aborted and still run: on
 * threads they should look at their signal, see `Future.abort()`.
 *
 * Java's `ExecutorService` has it as `invokeAny`, and it is the `Promise.any()` of tasks.
 *
 * @example The quicker of two
 * ```ts
 * import { invokeAny } from "@concurrent/futures/parallel";
 * import { assertEquals } from "@std/assert";
 *
 * const answer = async (ms: number) => {
 *   const { currentTask } = await import("@concurrent/futures");
 *   const { signal } = currentTask()!;
 *   return await new Promise<number>((resolve, reject) => {
 *     const timer = setTimeout(() => resolve(ms), ms);
 *     signal.onabort = () => {
 *       clearTimeout(timer);
 *       reject(signal.reason);
 *     };
 *   });
 * };
 * assertEquals(await invokeAny([[answer, 60_000], [answer, 1]]), 1);
 * ```
 *
 * @typeParam T The type of the tasks.
 * @param tasks Functions without parameters, or arrays of a function and its arguments.
 * @param options The executor, and how long it may take until there is a result. If the time runs out, the `cause` of
 * the `TimeoutError` is an `AggregateError` of what was thrown so far.
 * @returns The future of the first result.
 * @throws {TypeError} If `tasks` is not an iterable of tasks, or there are none, or an option is unknown or has the
 * wrong type.
 * @throws {RangeError} If `timeout` is `NaN`.
 * @throws What the `submit` of the executor throws, such as a `ShutdownError` or a `QueueFullError`. Tasks that were
 * submitted before are aborted then.
 */
export function invokeAny<T extends readonly Task[] | []>(
  tasks: T & { [K in keyof T]: CheckedTask<T[K]> },
  options?: InvokeOptions,
): Future<TaskResult<T[number]>>;
/**
 * Runs the tasks of any iterable, and returns the future of the first result.
 *
 * @typeParam T The type of a task.
 * @param tasks Functions without parameters, or arrays of a function and its arguments.
 * @param options The executor, and how long it may take until there is a result.
 * @returns The future of the first result.
 * @throws What `invokeAny` throws with an array.
 */
export function invokeAny<T extends Task>(
  tasks: Iterable<T & CheckedTask<T>>,
  options?: InvokeOptions,
): Future<TaskResult<T>>;
/** Runs several tasks: both of the above. */
export function invokeAny(tasks: Iterable<Task>, options: InvokeOptions = {}): Future<unknown> {
  return invoke("invokeAny", tasks, options, (count) => {
    if (count === 0) throw new TypeError("invokeAny() needs at least one task: there are 0");
    const failures = new Map<number, unknown>();
    const errors = () => Array.from(failures).sort(([a], [b]) => a - b).map(([, error]) => error);
    return {
      call: "invokeAny",
      ended(place, outcome) {
        if (outcome.succeeded) return outcome;
        failures.set(place, outcome.value);
        if (failures.size < count) return undefined;
        const value = new AggregateError(errors(), `No task of invokeAny() has succeeded: ${count} have failed`);
        return { succeeded: false, value };
      },
      reason: () => new DOMException("Another task of invokeAny() has succeeded before", "AbortError"),
      timedOut(timeout, ended) {
        const cause = ended === 0
          ? undefined
          : new AggregateError(errors(), `${ended} (of ${count}) tasks have failed`);
        return timedOut("invokeAny", timeout, count, ended, cause);
      },
    };
  });
}

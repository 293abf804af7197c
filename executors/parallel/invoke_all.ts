/**
 * {@linkcode invokeAll}: the results of several tasks.
 *
 * @module
 */

import { Future } from "../../futures/future.ts";
import { timedOut } from "./_invocation.ts";
import { invoke } from "./_invoke.ts";
import type { CheckedTask, InvokeOptions, Task, TaskResult, TaskResults } from "./task.ts";

/**
 * Runs several tasks, and returns one future for all their results, in the order of the tasks.
 *
 * All tasks run to their end. If some throw, the future then fails with the error of the first of them, by place. It
 * blocks or is awaited as any other future; `abort()` stops all tasks. It counts as running from the beginning, so it
 * cannot be cancelled.
 *
 * Java's `ExecutorService` has it as `invokeAll`, with a list of futures.
 *
 * @example Two different tasks
 * ```ts
 * import { invokeAll } from "@concurrent/futures/parallel";
 * import { assertEquals } from "@std/assert";
 *
 * const power = (base: number, exponent: number) => base ** exponent;
 * const [text, number] = invokeAll([() => "text", [power, 2, 10]]).result();
 * assertEquals([text, number], ["text", 1024]);
 * ```
 *
 * @example A limit in time
 * ```ts
 * import { TimeoutError } from "@concurrent/futures";
 * import { invokeAll } from "@concurrent/futures/parallel";
 * import { assertInstanceOf } from "@std/assert";
 *
 * const rest = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
 * const future = invokeAll([[rest, 1], [rest, 60_000]], { timeout: 50 });
 * assertInstanceOf(future.exception(), TimeoutError);
 * ```
 *
 * @typeParam T The type of the tasks.
 * @param tasks Functions without parameters, or arrays of a function and its arguments.
 * @param options The executor, and how long all tasks may take.
 * @returns The future of an array of results; of no tasks it is an empty array, at once.
 * @throws {TypeError} If `tasks` is not an iterable of tasks, or an option is unknown or has the wrong type.
 * @throws {RangeError} If `timeout` is `NaN`.
 * @throws What the `submit` of the executor throws, such as a `ShutdownError` or a `QueueFullError`. Tasks that were
 * submitted before are aborted then.
 */
export function invokeAll<T extends readonly Task[] | []>(
  tasks: T & { [K in keyof T]: CheckedTask<T[K]> },
  options?: InvokeOptions,
): Future<TaskResults<T>>;
/**
 * Runs the tasks of any iterable, and returns one future for all their results, in the order of the tasks.
 *
 * @typeParam T The type of a task.
 * @param tasks Functions without parameters, or arrays of a function and its arguments.
 * @param options The executor, and how long all tasks may take.
 * @returns The future of an array of results.
 * @throws What `invokeAll` throws with an array.
 */
export function invokeAll<T extends Task>(
  tasks: Iterable<T & CheckedTask<T>>,
  options?: InvokeOptions,
): Future<TaskResult<T>[]>;
/** Runs several tasks: both of the above. */
export function invokeAll(tasks: Iterable<Task>, options: InvokeOptions = {}): Future<unknown> {
  return invoke("invokeAll", tasks, options, (count) => {
    if (count === 0) {
      const future = new Future<unknown>();
      future.setResult([]);
      return future;
    }
    const results: unknown[] = Array(count);
    const failures = new Map<number, unknown>();
    let left = count;
    return {
      call: "invokeAll",
      ended(place, { succeeded, value }) {
        if (succeeded) results[place] = value;
        else failures.set(place, value);
        if (--left > 0) return undefined;
        if (failures.size === 0) return { succeeded: true, value: results };
        return { succeeded: false, value: failures.get(Math.min(...failures.keys())) };
      },
      // Nothing is left then.
      reason: () => undefined,
      timedOut: (timeout, ended) => timedOut("invokeAll", timeout, count, ended),
    };
  });
}

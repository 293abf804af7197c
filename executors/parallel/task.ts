/**
 * Tasks of {@linkcode invokeAll} and {@linkcode invokeAny}.
 *
 * @module
 */

import type { ParallelOptions } from "./parallel.ts";

/**
 * A task: a function without parameters, or an array of a function and its arguments.
 *
 * @typeParam R The type that the function returns.
 */
// deno-lint-ignore no-explicit-any -- any parameters
export type Task<R = unknown> = (() => R) | readonly [fn: (...args: any[]) => R, ...args: unknown[]];

/**
 * A task whose arguments are those of its function; where they are not, what they should be.
 *
 * @typeParam T The type of the task.
 */
// deno-lint-ignore no-explicit-any -- any parameters
export type CheckedTask<T> = T extends readonly [infer F extends (...args: any[]) => unknown, ...infer A]
  ? A extends Parameters<F> ? T : readonly [F, ...Parameters<F>]
  : T;

/**
 * The type of a task's result.
 *
 * @typeParam T The type of the task.
 */
export type TaskResult<T> = T extends readonly [(...args: infer _A) => infer R, ...unknown[]] ? Awaited<R>
  : T extends () => infer R ? Awaited<R>
  : never;

/**
 * The types of the results of several tasks: for a tuple of tasks, a tuple.
 *
 * @typeParam T The type of the tasks.
 */
export type TaskResults<T extends readonly unknown[]> = { -readonly [K in keyof T]: TaskResult<T[K]> };

/** Options of {@linkcode invokeAll} and {@linkcode invokeAny}. */
export interface InvokeOptions extends ParallelOptions {
  /**
   * The maximum time for all tasks, in milliseconds from the call. By default there is no limit; `0` or less does not
   * wait.
   *
   * When it runs out, the future fails with a `TimeoutError`, and the tasks that are not done are aborted.
   */
  timeout?: number;
}

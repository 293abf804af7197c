/**
 * What `Executor.with` takes and returns.
 *
 * @module
 */

import type { Future } from "../futures/future.ts";
import type { MapInputs, MapOptions, MapResults, SettledMapOptions } from "./map.ts";

/** Options of {@linkcode Executor.prototype.with | with()}: how tasks are controlled. */
export interface TaskOptions {
  /**
   * The maximum time for which a task may run, in milliseconds. By default there is no limit.
   *
   * It counts from the moment when its function is called, not from `submit`. When it runs out, the task is stopped,
   * and its future fails with a {@linkcode TimeoutError}. In a map it is the time for each item.
   */
  timeout?: number;
  /**
   * A signal that stops the tasks.
   *
   * When it aborts, a task that has not started is cancelled. A running task is stopped, and its future fails with the
   * reason of the signal.
   */
  signal?: AbortSignal;
  /** The name of the tasks in the text form of futures, in errors, and in {@linkcode CurrentTask.name}. */
  name?: string;
  /**
   * The time that a task has to end by itself when it is stopped, in milliseconds. After that its process is killed, or
   * its thread is given up.
   *
   * @default {100}
   */
  grace?: number;
}

/** The result of {@linkcode Executor.prototype.with | with()}: an executor with options for its tasks. */
export interface ControlledExecutor {
  /**
   * Calls a function in a worker, with the options: see {@linkcode Executor.prototype.submit | Executor.submit()}.
   *
   * @typeParam A The types of the function's parameters.
   * @typeParam R The type that the function returns.
   * @param fn The function to call.
   * @param args The arguments of the function.
   * @returns The future of the function's result.
   */
  submit<A extends unknown[], R>(fn: (...args: A) => R, ...args: A): Future<Awaited<R>>;
  /**
   * Calls a function for each item of the inputs, with the options: see
   * {@linkcode Executor.prototype.map | Executor.map()}. With a `timeout` each item is sent as a task of its own.
   *
   * @typeParam A The types of the function's parameters.
   * @typeParam R The type that the function returns.
   * @param fn The function to call.
   * @param inputs An iterable for each parameter, then {@linkcode MapOptions} as a plain object, if any.
   * @returns The results, for one iteration.
   */
  map<A extends unknown[], R>(
    fn: (...args: A) => R,
    ...inputs: [...MapInputs<A>] | [...MapInputs<A>, MapOptions]
  ): MapResults<Awaited<R>>;
  /**
   * Calls a function for each item of the inputs, with the options, and yields an outcome for each: an error ends
   * nothing.
   *
   * @typeParam A The types of the function's parameters.
   * @typeParam R The type that the function returns.
   * @param fn The function to call.
   * @param inputs An iterable for each parameter, then {@linkcode SettledMapOptions} as a plain object.
   * @returns The outcomes, in the form of those of `Promise.allSettled`, for one iteration.
   */
  map<A extends unknown[], R>(
    fn: (...args: A) => R,
    ...inputs: [...MapInputs<A>, SettledMapOptions]
  ): MapResults<PromiseSettledResult<Awaited<R>>>;
  /**
   * Calls a function for each item of the inputs, where the type of the option `settled` is `boolean`.
   *
   * @typeParam A The types of the function's parameters.
   * @typeParam R The type that the function returns.
   * @param fn The function to call.
   * @param inputs An iterable for each parameter, then options as a plain object.
   * @returns The results, or the outcomes if `settled` is `true`, for one iteration.
   */
  map<A extends unknown[], R>(
    fn: (...args: A) => R,
    ...inputs: [...MapInputs<A>, Omit<MapOptions, "settled"> & { settled?: boolean }]
  ): MapResults<Awaited<R>> | MapResults<PromiseSettledResult<Awaited<R>>>;
  /**
   * Adds options: one that is given here replaces the same one that was given before.
   *
   * @param options The options.
   * @returns The same executor with these options, too.
   */
  with(options: TaskOptions): ControlledExecutor;
}

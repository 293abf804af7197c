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
   * and its future fails with a {@linkcode TimeoutError} that names the task and its worker. With `0` or less
   * that is as soon as it starts; `Infinity` is no limit. In a map it is the time for each item.
   *
   * The workers keep the time, so the limit holds while the calling thread computes or blocks.
   */
  timeout?: number;
  /**
   * A signal that stops the tasks.
   *
   * When it aborts, a task that has not started is cancelled, and never starts. A running task is stopped, and its
   * future fails with the reason of the signal. A signal that is aborted already makes `submit` return a cancelled
   * future.
   *
   * One signal can be given to any number of tasks. Its listener is removed when they are done.
   *
   * @example Stop all of them
   * ```ts
   * import { CancelledError, ThreadPoolExecutor } from "@concurrent/futures";
   * import { assertEquals, assertInstanceOf } from "@std/assert";
   *
   * await using pool = new ThreadPoolExecutor(1);
   * const rest = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
   * const controller = new AbortController();
   * const view = pool.with({ signal: controller.signal });
   * const [running, waiting] = [view.submit(rest, 60_000), view.submit(rest, 60_000)];
   * while (!running.running()) await rest(1);
   *
   * controller.abort("enough");
   * assertEquals(waiting.cancelled(), true);
   * assertEquals(running.exception(), "enough");
   * assertInstanceOf(await waiting.catch((error) => error), CancelledError);
   * ```
   *
   * @see {@link https://developer.mozilla.org/docs/Web/API/AbortController | MDN}
   */
  signal?: AbortSignal;
  /**
   * The name of the tasks in the text form of futures, in errors, in traces, and in {@linkcode CurrentTask.name}. By
   * default it is the name of the function, and futures show none.
   */
  name?: string;
  /**
   * The time that a task has to end by itself when it is stopped, in milliseconds. After that its process is killed, or
   * its thread is given up.
   *
   * With `0` or less that happens at once. With `Infinity` it never does, and the future fails when the task ends.
   *
   * @default {100}
   */
  grace?: number;
}

/**
 * The result of {@linkcode Executor.prototype.with | with()}: an executor with options for its tasks.
 *
 * It has no workers of its own and no `shutdown`: it uses those of the executor that it comes from.
 */
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
   * Adds options: one that is given here replaces the same one that was given before. `undefined` replaces nothing.
   *
   * @param options The options.
   * @returns The same executor with these options, too.
   * @throws {TypeError} If an option is unknown or has the wrong type.
   * @throws {RangeError} If `timeout` or `grace` is `NaN`.
   */
  with(options: TaskOptions): ControlledExecutor;
}

/**
 * {@linkcode parallel}: a function whose calls run elsewhere.
 *
 * @module
 */

import type { Future } from "../../futures/future.ts";
import { noteCallers } from "../_functions/describe.ts";
import type { Executor } from "../executor.ts";
import type { ControlledExecutor } from "../task_options.ts";
import { checkFunction, readOptions, withExecutor } from "./_options.ts";

/** Options of {@linkcode parallel} and {@linkcode parallelize}. */
export interface ParallelOptions {
  /**
   * The executor that runs the calls. By default it is a pool of threads that all calls without this option share.
   *
   * With `pool.with({ timeout: 1_000 })` each call has a time limit.
   */
  executor?: Executor | ControlledExecutor;
}

/**
 * Makes a function whose calls run in parallel: it has the same parameters, and returns a future at once.
 *
 * It stands for the decorator `@parallel` of Python's lelo. Give it an exported function if that uses anything from
 * around it: a function that is written in the call of `parallel` is sent as source text.
 *
 * @example Four calls at the same time
 * ```ts
 * import { parallel } from "@concurrent/futures/parallel";
 * import { assertEquals } from "@std/assert";
 *
 * const countDivisors = parallel((n: number) => {
 *   let count = 0;
 *   for (let divisor = 1; divisor <= n; divisor++) if (n % divisor === 0) count++;
 *   return count;
 * });
 * const counts = [11, 12, 13, 14].map((n) => countDivisors(n)); // four futures
 * assertEquals(await Promise.all(counts), [2, 6, 2, 4]);
 * ```
 *
 * @example In processes, with a time limit
 * ```ts
 * import { ProcessPoolExecutor } from "@concurrent/futures";
 * import { parallel } from "@concurrent/futures/parallel";
 * import { assertEquals } from "@std/assert";
 *
 * await using pool = new ProcessPoolExecutor(2);
 * const add = parallel((a: number, b: number) => a + b, { executor: pool.with({ timeout: 10_000 }) });
 * assertEquals(await add(1, 2), 3);
 * ```
 *
 * @typeParam A The types of the function's parameters.
 * @typeParam R The type that the function returns.
 * @param fn The function to run.
 * @param options The executor.
 * @returns The function. It throws what the `submit` of the executor throws, such as a `ShutdownError`.
 * @throws {TypeError} If `fn` is not a function, or an option is unknown or has the wrong type.
 */
export function parallel<A extends unknown[], R>(
  fn: (...args: A) => R,
  options: ParallelOptions = {},
): (...args: A) => Future<Awaited<R>> {
  checkFunction("argument of parallel()", fn);
  const { executor } = readOptions("parallel", options, ["executor"]);
  // The function stands in this call; those of the result may come from a module that does not know it.
  noteCallers(fn);
  const called = (...args: A): Future<Awaited<R>> => withExecutor(executor, (executor) => executor.submit(fn, ...args));
  return Object.defineProperty(called, "name", { value: fn.name, configurable: true });
}

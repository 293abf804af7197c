/**
 * {@linkcode Executor}: what all executors have in common.
 *
 * @module
 */

import type { Future } from "../futures/future.ts";
import { type MapTarget, splitArguments, startMap } from "./_map/map.ts";
import type { MapInputs, MapOptions, MapResults } from "./map.ts";

/**
 * Options of {@linkcode Executor.prototype.shutdown | shutdown()} and
 * {@linkcode Executor.prototype.shutdownSync | shutdownSync()}.
 */
export interface ShutdownOptions {
  /**
   * Whether to wait until all workers have ended. Without waiting, the call returns at once, and tasks still run.
   *
   * @default {true}
   */
  wait?: boolean;
  /**
   * Whether to cancel the tasks that no worker has started.
   *
   * @default {false}
   */
  cancelFutures?: boolean;
}

/** The name of the method by which an executor submits several items as one task. */
export const chunked: unique symbol = Symbol("chunked");

// deno-lint-ignore no-explicit-any -- any parameters and any result
type AnyFunction = (...args: any[]) => any;

/**
 * The base class of all executors: runs functions elsewhere, and returns a {@linkcode Future} for each call.
 *
 * An executor is shut down at the end of the block that declares it by `using` or `await using`, as with Python's
 * `with`. `using` blocks the calling thread, `await using` does not.
 *
 * A subclass has to implement {@linkcode Executor.prototype.submit | submit()}, which is all that
 * {@linkcode Executor.prototype.map | map()} needs. Those that have workers to end also override
 * {@linkcode Executor.prototype.shutdown | shutdown()} and
 * {@linkcode Executor.prototype.shutdownSync | shutdownSync()}, which do nothing here.
 *
 * @example An executor of your own
 * ```ts
 * import { Executor, Future } from "@concurrent/futures";
 * import { assertEquals } from "@std/assert";
 *
 * class InlineExecutor extends Executor {
 *   submit<A extends unknown[], R>(fn: (...args: A) => R, ...args: A) {
 *     const future = new Future<Awaited<R>>();
 *     future.setRunningOrNotifyCancel();
 *     try {
 *       future.setResult(fn(...args) as Awaited<R>);
 *     } catch (error) {
 *       future.setException(error);
 *     }
 *     return future;
 *   }
 * }
 *
 * const executor = new InlineExecutor();
 * assertEquals([...executor.map(Math.sqrt, [1, 4, 9])], [1, 2, 3]);
 * ```
 *
 * @see {@link https://docs.python.org/3/library/concurrent.futures.html#executor-objects | Python's manual}
 */
export abstract class Executor {
  /**
   * Schedules a call of a function, and returns its future.
   *
   * @typeParam A The types of the function's parameters.
   * @typeParam R The type that the function returns.
   * @param fn The function to call.
   * @param args The arguments of the call.
   * @returns The future of what the function returns or, if that is a promise, of what the promise resolves to.
   */
  abstract submit<A extends unknown[], R>(fn: (...args: A) => R, ...args: A): Future<Awaited<R>>;

  /**
   * Calls a function for each item of the inputs, several at a time, and yields the results in the order of the inputs.
   *
   * `for` blocks the calling thread while it waits for a result; `for await` does not. The iteration stops at the end
   * of the shortest input. If a call throws, the loop throws its error when it reaches that item; the iteration ends,
   * and the calls that have not started are cancelled. Leaving the loop early also cancels them.
   *
   * `map` reads and submits all inputs at once, unless {@linkcode MapOptions.buffersize | buffersize} limits it. Inputs
   * can be async iterables, but then only `for await` can read the results. If an input throws after the call, or the
   * executor is shut down before all is read, the loop throws that error after the results of the items that were read
   * before.
   *
   * @example Squares
   * ```ts
   * import { ThreadPoolExecutor } from "@concurrent/futures";
   * import { assertEquals } from "@std/assert";
   *
   * using pool = new ThreadPoolExecutor(2);
   * const square = (n: number) => n * n;
   * assertEquals([...pool.map(square, [1, 2, 3])], [1, 4, 9]);
   * ```
   *
   * @example Several inputs, and options
   * ```ts
   * import { ThreadPoolExecutor } from "@concurrent/futures";
   * import { assertEquals } from "@std/assert";
   *
   * await using pool = new ThreadPoolExecutor(2);
   * const power = (base: number, exponent: number) => base ** exponent;
   * const results: number[] = [];
   * const options = { timeout: 60_000 }; // milliseconds for all of them
   * for await (const n of pool.map(power, [2, 3, 4], [3, 2, 1], options)) {
   *   results.push(n);
   * }
   * assertEquals(results, [8, 9, 4]);
   * ```
   *
   * @typeParam A The types of the function's parameters.
   * @typeParam R The type that the function returns.
   * @param fn The function to call.
   * @param inputs An iterable for each parameter, then {@linkcode MapOptions} as a plain object, if any.
   * @returns The results, for one iteration.
   * @throws The error of an input, if it throws during the call.
   * @throws {TypeError} If `fn` is not a function, an input is not iterable, or an option has the wrong type.
   * @throws {RangeError} If `timeout` is `NaN`, or `chunksize` or `buffersize` is not an integer of at least 1.
   * @throws {ShutdownError} If the executor was shut down.
   * @throws {BrokenExecutor} If the executor is broken.
   * @see
   * {@link https://docs.python.org/3/library/concurrent.futures.html#concurrent.futures.Executor.map | Python's manual}
   */
  map<A extends unknown[], R>(
    fn: (...args: A) => R,
    ...inputs: [...MapInputs<A>] | [...MapInputs<A>, MapOptions]
  ): MapResults<Awaited<R>> {
    if (typeof fn !== "function") {
      throw new TypeError(`Cannot map with a value that is not a function: ${Deno.inspect(fn)}`);
    }
    const { inputs: iterables, options } = splitArguments(inputs);
    return startMap(this[chunked](fn), iterables, options);
  }

  /**
   * How items of a {@linkcode map} become futures. Executors that can run several items as one task override it.
   *
   * @param fn The function.
   * @returns The functions that submit items.
   * @ignore
   */
  protected [chunked](fn: AnyFunction): MapTarget {
    return {
      submit: (args) => this.submit(fn, ...args),
      chunksize: () => 1,
    };
  }

  /**
   * Stops taking tasks, and waits without blocking until all workers have ended.
   *
   * Tasks that are running or waiting still run, unless `cancelFutures` cancels those that have not started. A later
   * `submit` throws a {@linkcode ShutdownError}. It is safe to call `shutdown` again.
   *
   * @param options Whether to wait, and whether to cancel.
   * @returns A promise that resolves when all workers have ended, or at once with `wait: false`.
   * @see {@link https://docs.python.org/3/library/concurrent.futures.html#executor-objects | Python's manual}
   */
  shutdown(options: ShutdownOptions = {}): Promise<void> {
    return Promise.resolve(void options);
  }

  /**
   * Stops taking tasks, and blocks the calling thread until all workers have ended.
   *
   * Apart from that, it does what {@linkcode Executor.prototype.shutdown | shutdown()} does.
   *
   * @param options Whether to wait, and whether to cancel.
   */
  shutdownSync(options: ShutdownOptions = {}): void {
    void options;
  }

  /** Calls {@linkcode Executor.prototype.shutdownSync | shutdownSync()} at the end of a block with `using`. */
  [Symbol.dispose](): void {
    this.shutdownSync();
  }

  /**
   * Calls {@linkcode Executor.prototype.shutdown | shutdown()} at the end of a block with `await using`.
   *
   * @returns A promise that resolves when all workers have ended.
   */
  [Symbol.asyncDispose](): Promise<void> {
    return this.shutdown();
  }
}

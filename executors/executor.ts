/**
 * {@linkcode Executor}: what all executors have in common.
 *
 * @module
 */

import type { Future } from "../futures/future.ts";
import { type MapTarget, splitArguments, startMap } from "./_map/map.ts";
import type { MapInputs, MapOptions, MapResults } from "./map.ts";

/** Options of {@linkcode Executor.shutdown}. */
export interface ShutdownOptions {
  /**
   * Whether to wait until every worker is gone.
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
 * Runs functions somewhere else and gives {@linkcode Future}s for what they return.
 *
 * A subclass needs {@linkcode submit}; everything else works by that. As Python's `with` does, `using pool = …` shuts
 * down at the end of the block: it blocks, while `await using` does not.
 *
 * @example An executor of your own
 * ```ts
 * import { Executor, Future } from "@concurrent/futures";
 * import { assertEquals } from "@std/assert";
 *
 * class HereAndNow extends Executor {
 *   submit<A extends unknown[], R>(fn: (...args: A) => R, ...args: A): Future<Awaited<R>> {
 *     const future = new Future<Awaited<R>>();
 *     future.setResult(fn(...args) as Awaited<R>);
 *     return future;
 *   }
 * }
 *
 * assertEquals([...new HereAndNow().map(Math.sqrt, [1, 4, 9])], [1, 2, 3]);
 * ```
 *
 * @see Python's manual on Executor objects.
 */
export abstract class Executor {
  /**
   * Queues a call of a function.
   *
   * @typeParam A The function's parameters.
   * @typeParam R What it returns.
   * @param fn The function.
   * @param args Its arguments.
   * @returns The future of what the function returns, or of what its promise resolves to.
   */
  abstract submit<A extends unknown[], R>(fn: (...args: A) => R, ...args: A): Future<Awaited<R>>;

  /**
   * Calls a function for each item of the inputs, several at a time, like Python's `Executor.map`.
   *
   * Results come in the order of the inputs, up to the end of the shortest input. The first item that fails throws at
   * its place, ends the iteration and cancels the rest; to leave the loop early cancels the rest, too. The call reads
   * and submits all inputs, unless you give a `buffersize`. Inputs may be async iterables; then only `for await` can
   * read the results. An input that throws after the call, or a shutdown before all is read, ends the iteration behind
   * the items that were good.
   *
   * @example Squares
   * ```ts
   * import { ThreadPoolExecutor } from "@concurrent/futures";
   * import { assertEquals } from "@std/assert";
   *
   * using pool = new ThreadPoolExecutor(2);
   * assertEquals([...pool.map((n: number) => n * n, [1, 2, 3])], [1, 4, 9]);
   * ```
   *
   * @typeParam A The function's parameters.
   * @typeParam R What it returns.
   * @param fn The function.
   * @param inputs An iterable for each parameter, then options, if any, as a plain object.
   * @returns The results, to be iterated over once. `next()` throws the error of the first item that failed, or a
   * `TimeoutError` when the time is over, or a `TypeError` when it would have to block on an async input.
   * @throws {TypeError} `fn` is not a function, an input is not iterable, or an option is of the wrong type.
   * @throws {RangeError} `timeout` is `NaN`, or a count is not an integer of at least 1.
   * @throws {ShutdownError} The executor was shut down.
   * @throws {BrokenExecutor} The executor is broken.
   */
  map<A extends unknown[], R>(
    fn: (...args: A) => R,
    ...inputs: [...MapInputs<A>] | [...MapInputs<A>, MapOptions]
  ): MapResults<Awaited<R>> {
    if (typeof fn !== "function") {
      throw new TypeError(`Cannot map with what is not a function: ${Deno.inspect(fn)}`);
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
   * Takes no more work: later calls of `submit` throw a `ShutdownError`. Tasks that are running or queued still run,
   * unless they are cancelled. You may call it again.
   *
   * @param options Whether to wait, and whether to cancel.
   * @returns A promise that resolves when every worker is gone, or at once with `wait: false`.
   */
  shutdown(options: ShutdownOptions = {}): Promise<void> {
    return Promise.resolve(void options);
  }

  /**
   * As {@linkcode shutdown}, blocking the calling thread.
   *
   * @param options Whether to wait, and whether to cancel.
   */
  shutdownSync(options: ShutdownOptions = {}): void {
    void options;
  }

  /** Shuts down at the end of a `using` block, blocking until every worker is gone. */
  [Symbol.dispose](): void {
    this.shutdownSync();
  }

  /** Shuts down at the end of an `await using` block. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.shutdown();
  }
}

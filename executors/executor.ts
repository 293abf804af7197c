/**
 * {@linkcode Executor}: what all executors have in common.
 *
 * @module
 */

import type { Future } from "../futures/future.ts";
import { checkTaskOptions, type Controlled, submitControlled, View } from "./_map/controlled.ts";
import { type MapTarget, readArguments, startMap } from "./_map/map.ts";
import type { MapInputs, MapOptions, MapResults, SettledMapOptions } from "./map.ts";
import type { ControlledExecutor, TaskOptions } from "./task_options.ts";

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

/** The name of the method by which an executor submits tasks with options. */
export const controlled: unique symbol = Symbol("controlled");

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
   * and the calls that have not started are cancelled. Leaving the loop early also cancels them. With
   * {@linkcode MapOptions.ordered | ordered: false} results come as soon as they are there, and with
   * {@linkcode SettledMapOptions.settled | settled: true} an error ends nothing.
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
   * @example As they come
   * ```ts
   * import { ThreadPoolExecutor } from "@concurrent/futures";
   * import { assertEquals } from "@std/assert";
   *
   * await using pool = new ThreadPoolExecutor(2);
   * let sum = 0;
   * for await (const square of pool.map((n: number) => n * n, [1, 2, 3], { ordered: false })) sum += square;
   * assertEquals(sum, 14);
   * ```
   *
   * @typeParam A The types of the function's parameters.
   * @typeParam R The type that the function returns.
   * @param fn The function to call.
   * @param inputs An iterable for each parameter, then {@linkcode MapOptions} as a plain object, if any.
   * @returns The results, for one iteration.
   * @throws The error of an input, if it throws during the call.
   * @throws {TypeError} If `fn` is not a function, an input is not iterable, or an option is unknown or has the wrong
   * type.
   * @throws {RangeError} If `timeout` is `NaN`, or `chunksize` or `buffersize` is not an integer of at least 1.
   * @throws {ShutdownError} If the executor was shut down.
   * @throws {BrokenExecutor} If the executor is broken.
   * @see
   * {@link https://docs.python.org/3/library/concurrent.futures.html#concurrent.futures.Executor.map | Python's manual}
   */
  map<A extends unknown[], R>(
    fn: (...args: A) => R,
    ...inputs: [...MapInputs<A>] | [...MapInputs<A>, MapOptions]
  ): MapResults<Awaited<R>>;
  /**
   * Calls a function for each item of the inputs, and yields an outcome for each: an error ends nothing.
   *
   * @example Which of them failed
   * ```ts
   * import { ThreadPoolExecutor } from "@concurrent/futures";
   * import { assertEquals } from "@std/assert";
   *
   * using pool = new ThreadPoolExecutor(2);
   * const outcomes = pool.map((text: string) => JSON.parse(text), ["1", "{", "[2]"], { settled: true });
   * assertEquals([...outcomes].map(({ status }) => status), ["fulfilled", "rejected", "fulfilled"]);
   * ```
   *
   * @typeParam A The types of the function's parameters.
   * @typeParam R The type that the function returns.
   * @param fn The function to call.
   * @param inputs An iterable for each parameter, then {@linkcode SettledMapOptions} as a plain object.
   * @returns The outcomes, in the form of those of `Promise.allSettled`, for one iteration. The loop throws only what
   * ends the iteration: see {@linkcode SettledMapOptions.settled | settled}.
   * @throws What `map` throws without `settled`.
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
   * @throws What `map` throws without `settled`.
   */
  map<A extends unknown[], R>(
    fn: (...args: A) => R,
    ...inputs: [...MapInputs<A>, Omit<MapOptions, "settled"> & { settled?: boolean }]
  ): MapResults<Awaited<R>> | MapResults<PromiseSettledResult<Awaited<R>>>;
  /** Calls a function for each item of the inputs: all of the above. */
  map<A extends unknown[], R>(
    fn: (...args: A) => R,
    ...inputs: [...MapInputs<A>] | [...MapInputs<A>, MapOptions | SettledMapOptions]
  ): MapResults<unknown> {
    const call = readArguments(fn, inputs);
    return startMap(this[chunked](fn), call);
  }

  /**
   * Returns this executor with options for its tasks: a time limit, a signal that stops them, a name.
   *
   * What it returns has `submit` and `map`, and `with` for more options. It uses the workers of this executor, and is
   * not shut down.
   *
   * In an executor of your own, which only implements {@linkcode Executor.prototype.submit | submit()}, a `signal`
   * cancels tasks that have not started, and a `timeout` is refused.
   *
   * @example A time limit
   * ```ts
   * import { ProcessPoolExecutor } from "@concurrent/futures";
   * import { assertEquals } from "@std/assert";
   *
   * await using pool = new ProcessPoolExecutor(1);
   * const endless = pool.with({ timeout: 50, name: "endless" }).submit(() => {
   *   for (;;);
   * });
   * assertEquals((endless.exception() as Error).name, "TimeoutError");
   * assertEquals(await pool.submit(() => "the pool goes on"), "the pool goes on");
   * ```
   *
   * @param options The options.
   * @returns This executor with the options.
   * @throws {TypeError} If an option is unknown or has the wrong type, or if there is a `timeout` and this executor
   * cannot stop a running task.
   * @throws {RangeError} If `timeout` or `grace` is `NaN`.
   * @see {@link https://github.com/concurrent-futures/futures/blob/main/executors/README.md#how-do-i-stop-a-task}
   */
  with(options: TaskOptions): ControlledExecutor {
    return new View(this[controlled](), checkTaskOptions(options));
  }

  /**
   * How tasks with options are submitted. Executors that can stop tasks override it.
   *
   * @returns The functions that submit them.
   * @ignore
   */
  protected [controlled](): Controlled {
    const submit = (fn: AnyFunction, args: unknown[], options: TaskOptions) =>
      submitControlled((fn, args) => this.submit(fn, ...args), fn, args, options);
    return {
      check: ({ timeout }) => {
        if (timeout === undefined || timeout === Infinity) return;
        throw new TypeError(
          `The option timeout needs an executor that can stop a running task, and ${this.constructor.name} cannot: ` +
            timeout,
        );
      },
      submit,
      target: (fn, options) => ({ submit: (args) => submit(fn, args, options), chunksize: () => 1 }),
    };
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

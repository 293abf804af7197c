/**
 * What `Executor.map` takes and returns.
 *
 * @module
 */

/** Options of {@linkcode Executor.prototype.map | map()}: the last argument, as a plain object. */
export interface MapOptions {
  /**
   * The maximum time for the whole iteration, in milliseconds from the call of `map`. By default there is no limit.
   *
   * When it runs out, the loop throws a {@linkcode TimeoutError}, and the calls that have not started are cancelled.
   */
  timeout?: number;
  /**
   * The number of items that a worker gets at once, an integer of at least 1.
   *
   * Sending several small items together costs less time for each. By default the executor chooses: from the time that
   * items of the same function took before or, if there were none, from their number. Executors that cannot send
   * several items at once ignore this option.
   */
  chunksize?: number;
  /**
   * The maximum number of items whose results the loop has not read yet, an integer of at least 1.
   *
   * `map` then reads one more item for each result that is read, so inputs can be endless. By default it reads and
   * submits all inputs during the call.
   *
   * @example An endless input
   * ```ts
   * import { ThreadPoolExecutor } from "@concurrent/futures";
   * import { assertEquals } from "@std/assert";
   *
   * function* naturals() {
   *   for (let n = 1;; n++) yield n;
   * }
   * using pool = new ThreadPoolExecutor(2);
   * const square = (n: number) => n * n;
   * for (const n of pool.map(square, naturals(), { buffersize: 4 })) {
   *   if (n === 16) break;
   *   assertEquals(Math.sqrt(n) % 1, 0);
   * }
   * ```
   */
  buffersize?: number;
  /**
   * Whether results come in the order of the inputs.
   *
   * With `false` each comes as soon as it is there. Items that a worker gets at once, see
   * {@linkcode MapOptions.chunksize | chunksize}, come together, in the order of the inputs: with a `chunksize` of 1
   * each comes alone. The loop throws the first error that arrives, after the results that came before it; the
   * iteration ends, and the calls that have not started are cancelled. To know which item a result belongs to, let the
   * function return that, too.
   *
   * Python's `multiprocessing` has it as `imap_unordered`.
   *
   * @default {true}
   */
  ordered?: boolean;
  /**
   * Whether the loop gets an outcome for each item, instead of a result or an error: see
   * {@linkcode SettledMapOptions}.
   *
   * @default {false}
   */
  settled?: false;
}

/** Options of {@linkcode Executor.prototype.map | map()} with which the error of an item ends nothing. */
export interface SettledMapOptions extends Omit<MapOptions, "settled"> {
  /**
   * The loop gets an outcome for each item, as those of `Promise.allSettled`: `{ status: "fulfilled", value }` or
   * `{ status: "rejected", reason }`. An error ends nothing, and the items after it still run:
   *
   * - An item that throws, calls `Deno.exit()`, or takes or returns what cannot be sent, is rejected alone.
   * - If a process dies, the items that it got together are rejected.
   * - Cancelled items, such as by `shutdown({ cancelFutures: true })`, are rejected with a {@linkcode CancelledError}.
   *
   * The loop still throws what ends the iteration: a {@linkcode TimeoutError} when the `timeout` runs out, the error of
   * an input that throws, and that of an executor that was shut down or is broken.
   */
  settled: true;
}

/**
 * The result of {@linkcode Executor.prototype.map | map()}: yields the results of the calls in the order of the inputs.
 *
 * `for` blocks the calling thread while it waits; `for await` does not. It can be iterated once.
 *
 * @typeParam R The type of a result.
 */
export interface MapResults<R> extends IterableIterator<R, undefined>, AsyncIterable<R> {
  /**
   * Blocks the calling thread until the next result is there, and returns it.
   *
   * @throws The error of the call, if it has thrown.
   * @throws {TimeoutError} If the time of the whole iteration runs out.
   * @throws {TypeError} If an input is an async iterable: use `for await`.
   */
  next(): IteratorResult<R, undefined>;
  /** Ends the iteration, and cancels the calls that have not started. A loop that you leave early calls it. */
  return(): IteratorResult<R, undefined>;
  /** Returns this object, for `for`. */
  [Symbol.iterator](): MapResults<R>;
}

/**
 * The inputs of {@linkcode Executor.prototype.map | map()}: for each parameter of the function, an iterable of
 * arguments.
 *
 * @typeParam A The types of the function's parameters.
 */
export type MapInputs<A extends readonly unknown[]> = { [K in keyof A]: Iterable<A[K]> | AsyncIterable<A[K]> };

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

/**
 * What `Executor.map` takes and returns.
 *
 * @module
 */

/** Options of `Executor.map`. */
export interface MapOptions {
  /** Milliseconds for the whole iteration, from the call of `map`; not given: no limit. */
  timeout?: number;
  /**
   * How many items are sent to a worker together, an integer of at least 1. More save time where items are small; they are
   * run one after the other. Not given: chosen by what items of this function took before, or else by their number. Executors that
   * cannot send several at once ignore it.
   */
  chunksize?: number;
  /**
   * How many items are read, submitted and not yet delivered at the most, an integer of at least 1. Not given: all
   * inputs are read and submitted during the call. With it inputs may be endless.
   */
  buffersize?: number;
}

/** What `Executor.map` returns: results in the order of the inputs; `for` blocks, `for await` does not. */
export interface MapResults<R> extends IterableIterator<R, undefined>, AsyncIterable<R> {
  /** Blocks until the next result is there. */
  next(): IteratorResult<R, undefined>;
  /** Ends the iteration and cancels what has not started. */
  return(): IteratorResult<R, undefined>;
  /** The blocking iterator: this object itself. */
  [Symbol.iterator](): MapResults<R>;
}

/** For each parameter of a function, an iterable that gives its arguments. */
export type MapInputs<A extends readonly unknown[]> = { [K in keyof A]: Iterable<A[K]> | AsyncIterable<A[K]> };

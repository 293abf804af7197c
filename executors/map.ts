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
   * How many items go to a worker together, an integer of at least 1. A worker runs them one after the other, so more
   * of them save time where items are small. Not given: the executor chooses, by how long items of this function took
   * before or, where it does not know that, by their number. Executors that cannot send several items at once ignore
   * it.
   */
  chunksize?: number;
  /**
   * How many items may be read and submitted before their results are delivered, an integer of at least 1. With it,
   * inputs may be endless. Not given: the call reads and submits all inputs.
   */
  buffersize?: number;
}

/** What `Executor.map` returns: results in the order of the inputs. `for` blocks, `for await` does not. */
export interface MapResults<R> extends IterableIterator<R, undefined>, AsyncIterable<R> {
  /** Blocks until the next result is there. */
  next(): IteratorResult<R, undefined>;
  /** Ends the iteration, and cancels the tasks that no worker has started. */
  return(): IteratorResult<R, undefined>;
  /** The blocking iterator: this object itself. */
  [Symbol.iterator](): MapResults<R>;
}

/** For each parameter of a function, an iterable that gives its arguments. */
export type MapInputs<A extends readonly unknown[]> = { [K in keyof A]: Iterable<A[K]> | AsyncIterable<A[K]> };

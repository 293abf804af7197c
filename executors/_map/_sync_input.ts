/**
 * A map over inputs that can be read at once.
 *
 * @module
 */

import { type Limits, type MapTarget, Results } from "./_results.ts";

/** Inputs that can be read at once. */
export class SyncInput extends Results {
  readonly #inputs: Iterable<unknown>[];
  #iterators: Iterator<unknown>[] = [];
  #isRead: boolean;

  constructor(target: MapTarget, inputs: Iterable<unknown>[], limits: Limits) {
    super(target, inputs.length === 1, limits);
    this.#inputs = inputs;
    this.#isRead = inputs.length === 0;
  }

  start(): void {
    try {
      this.#readFirst();
    } catch (error) {
      throw this.fail(error);
    }
  }

  #readFirst(): void {
    if (this.buffersize === undefined && this.isColumn) {
      // The loops below would do the same, but this reads an array in one go.
      this.unsubmitted = [...this.#inputs[0]];
      this.inFlight = this.unsubmitted.length;
      this.#isRead = true;
    } else {
      this.#iterators = this.#inputs.map((input) => input[Symbol.iterator]());
    }
    if (this.buffersize !== undefined) {
      while (!this.#isRead && this.inFlight < this.buffersize) this.#read();
      this.submitChunks(this.#bufferedChunksize, true);
      return;
    }
    while (!this.#isRead) this.#read();
    this.submitChunks(this.#chunksize, true);
  }

  readonly #chunksize = (submitted: number, left: number): number =>
    this.chunksize ?? this.target.chunksize(submitted, left);

  readonly #bufferedChunksize = (): number => Math.min(this.chunksize ?? 1, this.buffersize!);

  protected resubmit(): void {
    const isBuffered = this.buffersize !== undefined;
    try {
      this.submitChunks(
        isBuffered ? this.#bufferedChunksize : this.#chunksize,
        !isBuffered || this.#isRead || this.pending.isEmpty,
      );
    } catch (error) {
      this.endInputs(error);
    }
  }

  protected endInputs(error: unknown): void {
    this.failInputs(error, this.#chunksize);
  }

  #read(): void {
    const item: unknown[] = [];
    for (const iterator of this.#iterators) {
      const next = this.#next(iterator);
      if (next.done) return;
      item.push(next.value);
    }
    this.inFlight++;
    this.unsubmitted.push(this.isColumn ? item[0] : item);
  }

  #next(iterator: Iterator<unknown>): IteratorResult<unknown> {
    // An iterator that has ended or thrown is not closed any more.
    let isEnd = true;
    try {
      const next = iterator.next();
      isEnd = next.done === true;
      return next;
    } finally {
      if (isEnd) {
        this.#isRead = true;
        this.#closeOthers(iterator);
      }
    }
  }

  protected refill(): void {
    if (this.buffersize === undefined || this.#isRead) return;
    try {
      this.#read();
      // A chunk waits to be full only while others are in flight.
      this.submitChunks(this.#bufferedChunksize, this.#isRead || this.pending.isEmpty);
    } catch (error) {
      this.failInputs(error, this.#bufferedChunksize);
    }
  }

  protected closeInputs(): void {
    if (this.#isRead) return;
    this.#isRead = true;
    this.#closeOthers(undefined);
  }

  #closeOthers(ended: Iterator<unknown> | undefined): void {
    const errors: unknown[] = [];
    for (const iterator of this.#iterators) {
      try {
        if (iterator !== ended) iterator.return?.();
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length > 0) throw errors[0];
  }
}

/**
 * The results of a map: the tasks under way, and how what they give is delivered in order.
 *
 * @module
 */

import { millisecondsUntil, whenPassed } from "../../futures/deadline.ts";
import { TimeoutError } from "../../futures/errors.ts";
import type { Future } from "../../futures/future.ts";

/** What running several items as one task gave: the results up to the first that failed, and that error. */
export type ChunkOutcome = [results: unknown[], ...error: [] | [unknown]];

/** How a map's items become futures. */
export interface MapTarget {
  /** Stays reachable while the map goes on: an executor that nobody can reach any more is shut down. */
  readonly executor?: object;
  /** Looks where the function comes from. The call stack tells, and is gone when an asynchronous input gives items. */
  locate?(): void;
  /** Submits one item. */
  submit(args: unknown[]): Future<unknown>;
  /**
   * Submits several items as one task, where the executor can; `undefined` when one of them cannot cross. In a column
   * each item is the only argument, else it is a list of arguments.
   */
  submitChunk?(items: unknown[], isColumn: boolean): Future<unknown> | undefined;
  /** How many items to submit together next, where the caller of `map` does not say. */
  chunksize(submitted: number, left: number): number;
}

/** One task of a map: what it was submitted as, and for how many items it stands. */
interface Part {
  readonly future: Future<unknown>;
  /** Whether the future's result is a {@linkcode ChunkOutcome}, not the item's own. */
  readonly isChunk: boolean;
}

/** What the options of a map say. */
export interface Limits {
  /** When the iteration ends, on the clock of `performance.now()`. */
  readonly deadline: number;
  readonly chunksize: number | undefined;
  readonly buffersize: number | undefined;
}

/** For how many milliseconds a map takes results or reads inputs before timers and I/O get their turn. */
export const TURN_MS = 4;

/** How many delivered parts leave the list at once: removing some moves all others, so many are removed at a time. */
const MAX_DELIVERED = 1024;

/** What both kinds of input have in common: the tasks in flight, and the delivery of their results in order. */
export abstract class Results {
  protected readonly target: MapTarget;
  protected readonly buffersize: number | undefined;
  protected readonly chunksize: number | undefined;
  protected readonly parts: Part[] = [];
  /** Items read and not yet delivered. */
  protected inFlight = 0;
  /** Items read and not yet submitted: in a column the only argument, else a list of them. */
  protected unsubmitted: unknown[] = [];
  protected readonly isColumn: boolean;
  protected isOver = false;
  /** The error that has ended the inputs early: it is thrown behind the results of what was read before. */
  protected inputError: { error: unknown } | undefined;
  readonly #deadline: number;
  #firstPart = 0;
  /** Results that have arrived, in order, up to the error that ends the iteration. */
  #ready: unknown[] = [];
  #delivered = 0;
  #failure: { error: unknown } | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  /** How often `for await` has asked for a result, and when it gives way to the event loop next. */
  #taken = 0;
  #turnEnds = performance.now() + TURN_MS;

  constructor(target: MapTarget, isColumn: boolean, { deadline, chunksize, buffersize }: Limits) {
    this.target = target;
    this.isColumn = isColumn;
    this.#deadline = deadline;
    this.chunksize = chunksize;
    this.buffersize = buffersize;
  }

  abstract start(): void;
  /** Reads on, after an item was delivered. */
  protected abstract refill(): void;
  /** Ends the inputs before their end. */
  protected abstract closeInputs(): void;

  #submitItems(items: unknown[]): void {
    const chunk = items.length > 1 ? this.target.submitChunk?.(items, this.isColumn) : undefined;
    if (chunk !== undefined) {
      this.parts.push({ future: chunk, isChunk: true });
      return;
    }
    // Submitted one by one, each fails alone and at its place.
    for (const item of items) {
      const args = this.isColumn ? [item] : item as unknown[];
      this.parts.push({ future: this.target.submit(args), isChunk: false });
    }
  }

  /** Submits in chunks what was read; a last chunk that is not full waits, unless these are all. */
  protected submitChunks(sizeFor: (submitted: number, left: number) => number, isAll: boolean): void {
    const items = this.unsubmitted;
    // First, as a submit may throw: what is left then must not be submitted behind the item that could not be.
    this.unsubmitted = [];
    for (let from = 0;;) {
      const left = items.length - from;
      const size = sizeFor(from, left);
      if (left <= 0 || (left < size && !isAll)) {
        this.unsubmitted = items.slice(from);
        return;
      }
      this.#submitItems(items.slice(from, from += size));
    }
  }

  /** Ends the inputs early: one of them has thrown, or the executor takes no more work. */
  protected failInputs(error: unknown, sizeFor: (submitted: number, left: number) => number): void {
    this.inputError = { error };
    try {
      // What was read before is still delivered.
      this.submitChunks(sizeFor, true);
    } catch {
      // The caller gets the first error.
    }
    try {
      this.closeInputs();
    } catch {
      // As above.
    }
  }

  protected get hasParts(): boolean {
    return this.#firstPart < this.parts.length;
  }

  /** Whether nothing can be delivered before more is read. */
  protected get needsInput(): boolean {
    return !this.isOver && !this.#hasNext() && this.#failure === undefined && !this.hasParts;
  }

  next(): IteratorResult<unknown, undefined> {
    if (!this.#hasNext() && this.#failure === undefined && this.hasParts) {
      const { future } = this.parts[this.#firstPart];
      try {
        // Its error, if it failed, is taken from the future below.
        future.exception(this.#deadline === Infinity ? undefined : millisecondsUntil(this.#deadline));
      } catch (error) {
        if (!future.done()) throw error instanceof TimeoutError ? this.timeOut() : this.fail(error);
      }
      this.#unpack();
    }
    return this.#deliver();
  }

  toString(): string {
    return `<MapResults inFlight=${this.inFlight}>`;
  }

  get [Symbol.toStringTag](): string {
    return "MapResults";
  }

  [Symbol.for("Deno.customInspect")](): string {
    return this.toString();
  }

  [Symbol.iterator](): this {
    return this;
  }

  return(): IteratorResult<unknown, undefined> {
    this.#end();
    return { done: true, value: undefined };
  }

  [Symbol.dispose](): void {
    this.#end();
  }

  [Symbol.asyncIterator](): AsyncIterator<unknown, undefined> {
    // One call after the other, also when the caller does not wait for the last one.
    const inTurn = <T>(fn: () => T | Promise<T>): Promise<T> => {
      const result = this.#turn.then(fn);
      this.#turn = result.catch(() => {});
      return result;
    };
    return {
      next: () => inTurn(() => this.nextAsync()),
      return: () => {
        // Not in turn: it must end a next() that is still waiting.
        this.#end();
        return Promise.resolve({ done: true, value: undefined });
      },
    };
  }

  protected async nextAsync(): Promise<IteratorResult<unknown, undefined>> {
    if ((++this.#taken & 15) === 0 && performance.now() >= this.#turnEnds) {
      // Promises alone would never let the event loop go on while workers are quicker than the caller.
      await new Promise((resolve) => setTimeout(resolve, 0));
      this.#turnEnds = performance.now() + TURN_MS;
    }
    if (!this.#hasNext() && this.#failure === undefined && this.hasParts) {
      const { future } = this.parts[this.#firstPart];
      if (!future.done() && !await this.doneInTime(future)) throw this.timeOut();
      this.#unpack();
    }
    return this.#deliver();
  }

  /** Waits for a promise or the deadline, whichever comes first; whether it was the promise. */
  protected async doneInTime(promise: PromiseLike<unknown>): Promise<boolean> {
    return await new Promise<boolean>((resolve) => {
      const callOff = whenPassed(this.#deadline, () => resolve(false));
      const isDone = () => {
        callOff();
        resolve(true);
      };
      promise.then(isDone, isDone);
    });
  }

  #hasNext(): boolean {
    return this.#delivered < this.#ready.length;
  }

  /** Takes the results of the first part, which is done, unless the caller has ended the iteration meanwhile. */
  #unpack(): void {
    if (this.isOver || !this.hasParts) return;
    const { future, isChunk } = this.parts[this.#firstPart];
    // Not kept, so that what was delivered can be freed.
    this.parts[this.#firstPart++] = undefined as unknown as Part;
    if (this.#firstPart >= MAX_DELIVERED && this.#firstPart * 2 >= this.parts.length) {
      this.parts.splice(0, this.#firstPart);
      this.#firstPart = 0;
    }
    this.#delivered = 0;
    try {
      const value = future.result(0);
      if (!isChunk) this.#ready = [value];
      else {
        const [results, ...error] = value as ChunkOutcome;
        this.#ready = results;
        if (error.length > 0) this.#failure = { error: error[0] };
      }
    } catch (error) {
      this.#ready = [];
      this.#failure = { error };
    }
  }

  #deliver(): IteratorResult<unknown, undefined> {
    if (this.#hasNext()) {
      const value = this.#ready[this.#delivered];
      this.#ready[this.#delivered++] = undefined;
      this.inFlight--;
      if (this.#failure === undefined) this.refill();
      return { done: false, value };
    }
    const ending = this.#failure ?? this.inputError;
    if (ending !== undefined && !this.isOver) throw this.fail(ending.error);
    this.#end();
    return { done: true, value: undefined };
  }

  /** Ends the iteration by an error, which the caller throws. */
  protected fail(error: unknown): unknown {
    try {
      this.#end();
    } catch {
      // As at the end of a loop, an error that came before counts for more than one of closing the inputs.
    }
    return error;
  }

  protected timeOut(): unknown {
    return this.fail(
      new TimeoutError("The next result of map() was not done before the timeout, which counts from the call of map()"),
    );
  }

  #end(): void {
    if (this.isOver) return;
    this.isOver = true;
    this.#failure = undefined;
    this.#ready = [];
    this.#delivered = 0;
    // The last first: workers take the first meanwhile, so those that have run are the first, without gaps.
    for (const { future } of this.parts.slice(this.#firstPart).reverse()) future.cancel();
    this.parts.length = this.#firstPart = 0;
    this.unsubmitted = [];
    this.closeInputs();
  }
}

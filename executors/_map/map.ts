/**
 * The object that `Executor.map` returns.
 *
 * @module
 */

import { deadlineAfter, millisecondsUntil, whenPassed } from "../../futures/deadline.ts";
import { inspect } from "../../futures/inspect.ts";
import { TimeoutError } from "../../futures/errors.ts";
import type { Future } from "../../futures/future.ts";
import type { MapOptions, MapResults } from "../map.ts";

/** What running several items as one task gave: the results up to the first that failed, and that error. */
export type ChunkOutcome = [results: unknown[], ...error: [] | [unknown]];

/** How a map's items become futures. */
export interface MapTarget {
  /** Submits one item. */
  submit(args: unknown[]): Future<unknown>;
  /**
   * Submits several items as one task, where the executor can; `undefined` when one of them cannot cross. A column has one argument for each
   * item, else each item is a list of arguments.
   */
  submitChunk?(items: unknown[], isColumn: boolean): Future<unknown> | undefined;
  /** How many items to submit together next, where the caller does not say. */
  chunksize(submitted: number, left: number): number;
}

/** One task of a map: what it was submitted as, and for how many items it stands. */
interface Part {
  readonly future: Future<unknown>;
  /** Whether the future's result is a {@linkcode ChunkOutcome}, not the item's own. */
  readonly isChunk: boolean;
}

type AnyIterable = Iterable<unknown> | AsyncIterable<unknown>;

/** Splits the arguments of `map` after the function into inputs and options. */
export function splitArguments(rest: unknown[]): { inputs: AnyIterable[]; options: MapOptions } {
  const last = rest.at(-1);
  const hasOptions = isOptions(last);
  const inputs = hasOptions ? rest.slice(0, -1) : rest;
  for (const input of inputs) {
    if (!isIterable(input) && !isAsyncIterable(input)) {
      throw new TypeError(`Cannot map over what is not iterable: ${inspect(input)}`);
    }
  }
  return { inputs: inputs as AnyIterable[], options: hasOptions ? last : {} };
}

function isOptions(value: unknown): value is MapOptions {
  if (typeof value !== "object" || value === null || isIterable(value) || isAsyncIterable(value)) return false;
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function isIterable(value: unknown): value is Iterable<unknown> {
  return value !== null && value !== undefined &&
    typeof (value as Iterable<unknown>)[Symbol.iterator] === "function";
}

function isAsyncIterable(value: unknown): value is AsyncIterable<unknown> {
  return value !== null && value !== undefined &&
    typeof (value as AsyncIterable<unknown>)[Symbol.asyncIterator] === "function";
}

function checkCount(name: string, value: number | undefined): number | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== "number") {
    throw new TypeError(`Cannot use ${name} as a number of items: ${inspect(value)}`);
  }
  if (!Number.isInteger(value) || value < 1) {
    throw new RangeError(`Cannot use ${name} as a number of items, wanted an integer of at least 1: ${value}`);
  }
  return value;
}

/** Starts a map. */
export function startMap<R>(target: MapTarget, inputs: AnyIterable[], options: MapOptions): MapResults<R> {
  const deadline = deadlineAfter(options.timeout);
  const chunksize = checkCount("chunksize", options.chunksize);
  const buffersize = checkCount("buffersize", options.buffersize);
  const results = inputs.every(isIterable)
    ? new SyncInput(target, inputs, deadline, chunksize, buffersize)
    : new AsyncInput(target, inputs, deadline, chunksize, buffersize);
  results.start();
  return results as unknown as MapResults<R>;
}

/** How long results are taken and inputs are read, in milliseconds, before timers and I/O get their turn. */
const TURN_MS = 4;

/** After how many parts that were delivered their places are given back: moving the others takes about as long. */
const MAX_DELIVERED = 1024;

/** What both kinds of input have in common: the parts in flight and how their results are delivered in order. */
abstract class Results {
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
  /** What has ended the inputs before their end: thrown behind the results of what was read before. */
  protected inputError: { error: unknown } | undefined;
  readonly #deadline: number;
  #firstPart = 0;
  /** Results that have arrived, in order, up to the error that ends the iteration. */
  #ready: unknown[] = [];
  #delivered = 0;
  #failure: { error: unknown } | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  /** How often `for await` has asked, and until when it need not give way to the event loop. */
  #taken = 0;
  #turnEnds = performance.now() + TURN_MS;

  constructor(
    target: MapTarget,
    inputs: AnyIterable[],
    deadline: number,
    chunksize: number | undefined,
    buffersize: number | undefined,
  ) {
    this.target = target;
    this.isColumn = inputs.length === 1;
    this.#deadline = deadline;
    this.chunksize = chunksize;
    this.buffersize = buffersize;
  }

  abstract start(): void;
  /** Reads on, after one item was delivered. */
  protected abstract refill(): void;
  /** Ends the inputs before their end. */
  protected abstract closeInputs(): void;

  #submitItems(items: unknown[]): void {
    const chunk = items.length > 1 ? this.target.submitChunk?.(items, this.isColumn) : undefined;
    if (chunk !== undefined) {
      this.parts.push({ future: chunk, isChunk: true });
      return;
    }
    // One by one each fails alone, at its place.
    for (const item of items) {
      const args = this.isColumn ? [item] : item as unknown[];
      this.parts.push({ future: this.target.submit(args), isChunk: false });
    }
  }

  /** Submits what was read, in chunks; the last one, if it is not full, only when there is no more. */
  protected submitChunks(sizeFor: (submitted: number, left: number) => number, isAll: boolean): void {
    const items = this.unsubmitted;
    // Should it throw: what was not submitted then must not come behind what could not be.
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

  /** Ends the inputs by an error of theirs, or of the executor that takes no more work. */
  protected failInputs(error: unknown, sizeFor: (submitted: number, left: number) => number): void {
    this.inputError = { error };
    try {
      // What was read before is still delivered.
      this.submitChunks(sizeFor, true);
    } catch {
      // The first error is the one to tell.
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

  /** Waits for a future and the deadline, whatever comes first. */
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

  /** Takes the results of the first part, which is done, unless the iteration has been ended meanwhile. */
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
      // As at the end of a loop: what the inputs throw when they are closed hides no error that came before.
    }
    return error;
  }

  protected timeOut(): unknown {
    return this.fail(new TimeoutError("Next result of map is not there before the timeout"));
  }

  #end(): void {
    if (this.isOver) return;
    this.isOver = true;
    this.#failure = undefined;
    this.#ready = [];
    this.#delivered = 0;
    // The last first: workers take the first ones meanwhile, so what has run are the first, without gaps.
    for (const { future } of this.parts.slice(this.#firstPart).reverse()) future.cancel();
    this.parts.length = this.#firstPart = 0;
    this.unsubmitted = [];
    this.closeInputs();
  }
}

/** Inputs that can be read at once. */
class SyncInput extends Results {
  readonly #inputs: Iterable<unknown>[];
  #iterators: Iterator<unknown>[] = [];
  #isRead: boolean;

  constructor(
    target: MapTarget,
    inputs: Iterable<unknown>[],
    deadline: number,
    chunksize: number | undefined,
    buffersize: number | undefined,
  ) {
    super(target, inputs, deadline, chunksize, buffersize);
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
      // As the loops below would, but an array is read all at once.
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
    const { chunksize, target } = this;
    this.submitChunks(chunksize ? () => chunksize : (submitted, left) => target.chunksize(submitted, left), true);
  }

  readonly #bufferedChunksize = (): number => Math.min(this.chunksize ?? 1, this.buffersize!);

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
    // It has to be closed no more when it has ended or thrown.
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
      // A chunk waits for its items only while others are in flight.
      this.submitChunks(this.#bufferedChunksize, this.#isRead || !this.hasParts);
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

/** Inputs of which at least one is asynchronous: read in the background, and only `for await` can wait for them. */
class AsyncInput extends Results {
  readonly #iterators: (Iterator<unknown> | AsyncIterator<unknown>)[];
  /** Those that have come to their end, or have thrown: they have not to be closed. */
  readonly #ended = new Set<Iterator<unknown> | AsyncIterator<unknown>>();
  #isRead = false;
  /** Called when something was read, or room was made. */
  #onChange: (() => void)[] = [];
  /** Ends a pause in which timers and I/O have their turn. */
  #endPause: () => void = () => {};

  constructor(
    target: MapTarget,
    inputs: AnyIterable[],
    deadline: number,
    chunksize: number | undefined,
    buffersize: number | undefined,
  ) {
    super(target, inputs, deadline, chunksize, buffersize);
    this.#iterators = inputs.map((input) =>
      isAsyncIterable(input) ? input[Symbol.asyncIterator]() : input[Symbol.iterator]()
    );
  }

  start(): void {
    void this.#readAll();
  }

  async #readAll(): Promise<void> {
    let [reads, turnEnds] = [0, performance.now() + TURN_MS];
    try {
      while (!this.#isRead) {
        while (this.inFlight >= (this.buffersize ?? Infinity) && !this.#isRead) await this.#change();
        if (!this.#isRead) await this.#read();
        if ((++reads & 15) === 0 && performance.now() >= turnEnds) {
          // An input that is quick would never let the event loop go on.
          await this.#pause();
          turnEnds = performance.now() + TURN_MS;
        }
      }
    } catch (error) {
      this.failInputs(error, this.#chunksize);
    }
    this.#changed();
  }

  async #pause(): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, 0);
      this.#endPause = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#endPause = () => {};
  }

  async #read(): Promise<void> {
    const next = await Promise.all(this.#iterators.map((iterator) => this.#next(iterator)));
    if (this.isOver) return;
    if (next.some(({ done }) => done)) {
      this.#isRead = true;
      const closed = this.#iterators.filter((iterator) => !this.#ended.has(iterator)).map(async (iterator) => {
        await iterator.return?.();
      });
      // All of them, before the first error is told.
      for (const result of await Promise.allSettled(closed)) if (result.status === "rejected") throw result.reason;
    } else {
      this.inFlight++;
      this.unsubmitted.push(this.isColumn ? next[0].value : next.map(({ value }) => value));
    }
    this.submitChunks(this.#chunksize, this.#isRead || this.inFlight >= (this.buffersize ?? Infinity));
    this.#changed();
  }

  async #next(iterator: Iterator<unknown> | AsyncIterator<unknown>): Promise<IteratorResult<unknown>> {
    try {
      const next = await iterator.next();
      if (next.done) this.#ended.add(iterator);
      return next;
    } catch (error) {
      this.#ended.add(iterator);
      throw error;
    }
  }

  readonly #chunksize = (): number => Math.min(this.chunksize ?? 1, this.buffersize ?? Infinity);

  async #change(): Promise<void> {
    await new Promise<void>((resolve) => this.#onChange.push(resolve));
  }

  #changed(): void {
    for (const resolve of this.#onChange.splice(0)) resolve();
  }

  override next(): never {
    throw new TypeError("Cannot payload on a map over an async iterable: use for await");
  }

  protected override async nextAsync(): Promise<IteratorResult<unknown, undefined>> {
    while (this.needsInput && !(this.#isRead && this.unsubmitted.length === 0)) {
      if (!await this.doneInTime(this.#change())) throw this.timeOut();
    }
    return await super.nextAsync();
  }

  protected refill(): void {
    this.#changed();
  }

  protected closeInputs(): void {
    if (!this.#isRead) {
      this.#isRead = true;
      // An input that is being read ends after that; its own error has nobody left to hear it.
      for (const iterator of this.#iterators) {
        if (!this.#ended.has(iterator)) void (async () => await iterator.return?.())().catch(() => {});
      }
      this.#endPause();
    }
    this.#changed();
  }
}

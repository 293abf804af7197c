/**
 * The results of a map: the tasks under way, and how what they give is delivered.
 *
 * @module
 */

import { nextTurn, whenPassed } from "../../futures/deadline.ts";
import { TimeoutError } from "../../futures/errors.ts";
import { type Future, internals } from "../../futures/future.ts";
import { blockUntil } from "../../futures/wakeup.ts";
import { AsTheyCome, InOrder, type Part, type Pending } from "./_pending.ts";

/** What running several items as one task gave: the results up to the first that failed, and that error. */
export type ChunkOutcome = [results: unknown[], ...error: [] | [unknown]];

/** The same where a failure ends nothing: each result or error, and the places of the errors, if there are any. */
export type SettledOutcome = [outcomes: unknown[], failed?: readonly number[]];

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
   * each item is the only argument, else it is a list of arguments. Its result is a {@linkcode ChunkOutcome}; where a
   * failure ends nothing, a {@linkcode SettledOutcome}.
   */
  submitChunk?(items: unknown[], isColumn: boolean, isSettled: boolean): Future<unknown> | undefined;
  /** How many items may be submitted now; `undefined`, or not there: any number. */
  room?(): number | undefined;
  /**
   * A future that is done when there is room again, and fails where there will be none. A callback of it uses the room.
   *
   * @throws There will be none.
   */
  whenRoom?(): Future<void>;
  /**
   * Takes arguments that are the same for all items, by their places.
   *
   * @param isReadLater Whether items are still to be read when the call of `map` is over.
   * @returns Where the items go that have something else in these places, and what that is.
   */
  bind?(constants: ReadonlyMap<number, unknown>, isReadLater: boolean): Bound;
  /** Called when no more items are submitted; again, too. */
  close?(): void;
  /** How many items to submit together next, where the caller of `map` does not say. */
  chunksize(submitted: number, left: number): number;
}

/** See {@linkcode MapTarget.bind}. */
export interface Bound {
  readonly target: MapTarget;
  readonly standIns: ReadonlyMap<number, unknown>;
}

/** What the options of a map say. */
export interface Limits {
  /** When the iteration ends, on the clock of `performance.now()`. */
  readonly deadline: number;
  readonly chunksize: number | undefined;
  readonly buffersize: number | undefined;
  readonly ordered: boolean;
  readonly settled: boolean;
}

/** For how many milliseconds a map takes results or reads inputs before timers and I/O get their turn. */
export const TURN_MS = 4;

/** So many submitted items leave the list of those that wait for room at once: that moves those behind them. */
const MAX_SUBMITTED = 1024;

/** What both kinds of input have in common: the tasks in flight, and the delivery of their results. */
export abstract class Results {
  protected readonly target: MapTarget;
  protected readonly buffersize: number | undefined;
  protected readonly chunksize: number | undefined;
  protected readonly pending: Pending;
  /** Items read and not yet delivered. */
  protected inFlight = 0;
  /** Items read and not yet submitted: in a column the only argument, else a list of them. */
  protected unsubmitted: unknown[] = [];
  protected readonly isColumn: boolean;
  protected isOver = false;
  /** The error that has ended the inputs early: it is thrown behind the results of what was read before. */
  protected inputError: { error: unknown } | undefined;
  readonly #deadline: number;
  /** How many of the items read have been submitted, where others wait for room, and the future of that. */
  #submitted = 0;
  #room: Future<void> | undefined;
  /** Whether a failure is delivered as a result, and ends nothing. */
  readonly #isSettled: boolean;
  /** The results of the last part that was taken, up to the error that ends the iteration. */
  #ready: unknown[] = [];
  #delivered = 0;
  #failure: { error: unknown } | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  /** How often `for await` has asked for a result, and when it gives way to the event loop next. */
  #taken = 0;
  #turnEnds = performance.now() + TURN_MS;

  constructor(target: MapTarget, isColumn: boolean, { deadline, chunksize, buffersize, ordered, settled }: Limits) {
    this.target = target;
    this.isColumn = isColumn;
    this.#deadline = deadline;
    this.#isSettled = settled;
    this.chunksize = chunksize;
    this.buffersize = buffersize;
    this.pending = ordered ? new InOrder() : new AsTheyCome();
  }

  abstract start(): void;
  /** Reads on, after an item was delivered. */
  protected abstract refill(): void;
  /** Ends the inputs before their end. */
  protected abstract closeInputs(): void;
  /** Submits on, since there is room. */
  protected abstract resubmit(): void;
  /** Ends the inputs early: the executor takes no more work. */
  protected abstract endInputs(error: unknown): void;

  #submitItems(items: unknown[]): void {
    const chunk = items.length > 1 ? this.target.submitChunk?.(items, this.isColumn, this.#isSettled) : undefined;
    if (chunk !== undefined) {
      this.pending.add({ future: chunk, items: items.length, isChunk: true });
      return;
    }
    // Submitted one by one, each fails alone and at its place.
    for (const item of items) {
      const args = this.isColumn ? [item] : item as unknown[];
      this.pending.add({ future: this.target.submit(args), items: 1, isChunk: false });
    }
  }

  /** Submits in chunks what was read; a last chunk that is not full waits, unless these are all. */
  protected submitChunks(sizeFor: (submitted: number, left: number) => number, isAll: boolean): void {
    const items = this.unsubmitted;
    // First, as a submit may throw: what is left then must not be submitted behind the item that could not be.
    this.unsubmitted = [];
    let from = this.#submitted;
    this.#submitted = 0;
    for (;;) {
      const left = items.length - from;
      const size = sizeFor(from, left);
      if (left <= 0 || (left < size && !isAll)) {
        this.unsubmitted = items.slice(from);
        return;
      }
      const room = this.target.room?.() ?? Infinity;
      if (room > 0) this.#submitItems(items.slice(from, from += Math.min(size, room)));
      else if (this.#mustWait()) {
        const isKept = from < MAX_SUBMITTED || from * 2 < items.length;
        this.unsubmitted = isKept ? items : items.slice(from);
        this.#submitted = isKept ? from : 0;
        return;
      }
    }
  }

  /** Has what is left submitted when there is room; `false` when there is by now. */
  #mustWait(): boolean {
    if (this.#room !== undefined) return true;
    const room = this.target.whenRoom!();
    if (room.done()) return false;
    this.#room = room;
    room.addDoneCallback(() => {
      this.#room = undefined;
      if (this.isOver) return;
      const error = room.exception(0);
      if (error === null) this.resubmit();
      else this.endInputs(error);
    });
    return true;
  }

  /** Whether items that were read wait for room. */
  protected get isHeldUp(): boolean {
    return this.#room !== undefined;
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

  /** Whether nothing can be delivered before more is read. */
  protected get needsInput(): boolean {
    return !this.isOver && !this.#hasNext() && this.#failure === undefined && this.pending.isEmpty;
  }

  /** Whether a part must be taken before anything can be delivered. */
  #needsPart(): boolean {
    return !this.#hasNext() && this.#failure === undefined && !this.pending.isEmpty;
  }

  next(): IteratorResult<unknown, undefined> {
    // First, and apart: that is so for most items.
    return this.#hasNext() ? this.#deliver() : this.#nextOfPart();
  }

  #nextOfPart(): IteratorResult<unknown, undefined> {
    if (this.needsInput && this.isHeldUp) {
      if (!blockUntil(() => !this.needsInput || !this.isHeldUp, this.#deadline)) throw this.timeOut();
    }
    if (this.#needsPart()) {
      this.#block();
      this.#unpack();
    }
    return this.#deliver();
  }

  /** Blocks until the next part is done. */
  #block(): void {
    let isDone: boolean;
    try {
      isDone = this.pending.block(this.#deadline);
    } catch (error) {
      throw this.fail(error);
    }
    if (!isDone) throw this.timeOut();
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
      await nextTurn();
      this.#turnEnds = performance.now() + TURN_MS;
    }
    while (this.needsInput && this.#room !== undefined) {
      if (!await this.doneInTime(this.#room)) throw this.timeOut();
    }
    // Again, as a blocking next() may take what this one has waited for.
    while (this.#needsPart()) {
      if (this.pending.isNextDone()) this.#unpack();
      else if (!await this.doneInTime(this.pending.changed()) && !this.pending.look()) throw this.timeOut();
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

  /** Takes the results of the next part, which is done, unless the caller has ended the iteration meanwhile. */
  #unpack(): void {
    if (this.isOver || this.pending.isEmpty) return;
    const part = this.pending.take();
    this.#delivered = 0;
    if (this.#isSettled) {
      this.#ready = settledOf(part);
      return;
    }
    try {
      const value = part.future.result(0);
      if (!part.isChunk) this.#ready = [value];
      else {
        const outcome = value as ChunkOutcome;
        this.#ready = outcome[0];
        if (outcome.length > 1) this.#failure = { error: withOrigin(part, outcome[1]) };
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
    for (const future of this.pending.drop().reverse()) future.cancel();
    this.unsubmitted = [];
    this.#submitted = 0;
    this.target.close?.();
    this.closeInputs();
  }
}

/** What became of each item of a part that is done. A chunk that has failed as a whole gave no item anything else. */
function settledOf(part: Part): PromiseSettledResult<unknown>[] {
  const { future, items, isChunk } = part;
  let value: unknown;
  try {
    value = future.result(0);
  } catch (reason) {
    return Array.from({ length: items }, () => ({ status: "rejected", reason }));
  }
  if (!isChunk) return [{ status: "fulfilled", value }];
  const [outcomes, failed = []] = value as SettledOutcome;
  const settled = outcomes.map((value): PromiseSettledResult<unknown> => ({ status: "fulfilled", value }));
  for (const place of failed) settled[place] = { status: "rejected", reason: withOrigin(part, outcomes[place]) };
  return settled;
}

/** The error of an item of a chunk, which says where the map was called, if that is known. */
function withOrigin({ future }: Part, error: unknown): unknown {
  internals.controlOf(future)?.origin?.addTo(error);
  return error;
}

/**
 * A map over inputs of which at least one is asynchronous.
 *
 * @module
 */

import { timers } from "../../futures/builtins.ts";
import { type Limits, type MapTarget, Results, TURN_MS } from "./_results.ts";

/** Inputs of which at least one is asynchronous: read in the background, and only `for await` can wait for them. */
export class AsyncInput extends Results {
  readonly #iterators: (Iterator<unknown> | AsyncIterator<unknown>)[];
  /** Those that have ended or thrown, and so are not closed any more. */
  readonly #ended = new Set<Iterator<unknown> | AsyncIterator<unknown>>();
  /** CLOSING: all was read, and the other inputs are being closed, whose errors end the iteration. */
  #state: "READING" | "CLOSING" | "READ" = "READING";
  /** Called when something was read, or when there is room to read more. */
  #onChange: (() => void)[] = [];
  /** Ends the pause that gives timers and I/O their turn. */
  #endPause: () => void = () => {};

  constructor(target: MapTarget, iterators: (Iterator<unknown> | AsyncIterator<unknown>)[], limits: Limits) {
    super(target, iterators.length === 1, limits);
    this.#iterators = iterators;
  }

  start(): void {
    void this.#readAll();
  }

  get #isReading(): boolean {
    return this.#state === "READING";
  }

  async #readAll(): Promise<void> {
    let [reads, turnEnds] = [0, performance.now() + TURN_MS];
    try {
      while (this.#isReading) {
        while ((this.inFlight >= (this.buffersize ?? Infinity) || this.isHeldUp) && this.#isReading) {
          await this.#change();
        }
        if (this.#isReading) await this.#read();
        if ((++reads & 15) === 0 && performance.now() >= turnEnds) {
          // A quick input would never let the event loop go on.
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
      const timer = timers.setTimeout(resolve, 0);
      this.#endPause = () => {
        timers.clearTimeout(timer);
        resolve();
      };
    });
    this.#endPause = () => {};
  }

  async #read(): Promise<void> {
    const next = await Promise.all(this.#iterators.map((iterator) => this.#next(iterator)));
    if (this.isOver) return;
    if (next.some(({ done }) => done)) {
      this.#state = "CLOSING";
      const closed = this.#iterators.filter((iterator) => !this.#ended.has(iterator)).map(async (iterator) => {
        await iterator.return?.();
      });
      // All are closed before the first error is thrown.
      for (const result of await Promise.allSettled(closed)) if (result.status === "rejected") throw result.reason;
      this.#state = "READ";
    } else {
      this.inFlight++;
      this.unsubmitted.push(this.isColumn ? next[0].value : next.map(({ value }) => value));
    }
    this.submitChunks(this.#chunksize, !this.#isReading || this.inFlight >= (this.buffersize ?? Infinity));
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

  protected resubmit(): void {
    try {
      this.submitChunks(this.#chunksize, !this.#isReading || this.inFlight >= (this.buffersize ?? Infinity));
    } catch (error) {
      this.endInputs(error);
    }
    this.#changed();
  }

  protected endInputs(error: unknown): void {
    this.failInputs(error, this.#chunksize);
    this.#changed();
  }

  readonly #chunksize = (): number => Math.min(this.chunksize ?? 1, this.buffersize ?? Infinity);

  async #change(): Promise<void> {
    await new Promise<void>((resolve) => this.#onChange.push(resolve));
  }

  #changed(): void {
    for (const resolve of this.#onChange.splice(0)) resolve();
  }

  override next(): never {
    throw new TypeError("Cannot block on a map over an async iterable. To fix it, read the results with for await");
  }

  protected override async nextAsync(): Promise<IteratorResult<unknown, undefined>> {
    while (this.needsInput && (this.#state !== "READ" || this.unsubmitted.length > 0)) {
      if (!await this.doneInTime(this.#change())) throw this.timeOut();
    }
    return await super.nextAsync();
  }

  protected refill(): void {
    this.#changed();
  }

  protected closeInputs(): void {
    const wasReading = this.#isReading;
    this.#state = "READ";
    if (wasReading) {
      // An input that is being read ends after that, and nobody is left to hear of its error.
      for (const iterator of this.#iterators) {
        if (!this.#ended.has(iterator)) void (async () => await iterator.return?.())().catch(() => {});
      }
      this.#endPause();
    }
    this.#changed();
  }
}

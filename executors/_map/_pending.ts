/**
 * The tasks of a map whose results are not delivered, and which of them comes next: the first one that was submitted,
 * or the first one that is done.
 *
 * @module
 */

import { millisecondsUntil } from "../../futures/deadline.ts";
import { InvalidStateError, TimeoutError } from "../../futures/errors.ts";
import { type Future, internals, type Waiter } from "../../futures/future.ts";
import { blockUntil } from "../../futures/wakeup.ts";

/** One task of a map: what it was submitted as, and for how many items it stands. */
export interface Part {
  readonly future: Future<unknown>;
  readonly items: number;
  /** Whether the future's result is that of a chunk, not the item's own. */
  readonly isChunk: boolean;
}

/** The tasks of a map that are under way, or whose results wait to be delivered. */
export interface Pending {
  readonly isEmpty: boolean;
  add(part: Part): void;
  /** Whether the next one is done. */
  isNextDone(): boolean;
  /** Whether it is, after a look at all that may be: a result can be there of which this thread has not heard. */
  look(): boolean;
  /**
   * Blocks until the next one is done.
   *
   * @returns Whether it is, or none is left; `false` when the deadline has passed.
   * @throws {InvalidStateError} Nobody will complete it.
   */
  block(deadline: number): boolean;
  /** Resolves when the next one may be done. */
  changed(): PromiseLike<unknown>;
  /** Takes the next one, which must be done. */
  take(): Part;
  /** Forgets all, and returns the futures of those that may be under way, in the order in which they were submitted. */
  drop(): Future<unknown>[];
}

/** So many delivered parts leave the list at once: that moves those behind them, and takes about as long for each. */
const MAX_DELIVERED = 1024;

/** The first one that was submitted comes next. */
export class InOrder implements Pending {
  readonly parts: Part[] = [];
  /** How many parts at the head of the list have been delivered. */
  #first = 0;

  get isEmpty(): boolean {
    return this.#first === this.parts.length;
  }

  add(part: Part): void {
    this.parts.push(part);
  }

  get #next(): Future<unknown> {
    return this.parts[this.#first].future;
  }

  isNextDone(): boolean {
    return this.#next.done();
  }

  look(): boolean {
    return this.isNextDone();
  }

  block(deadline: number): boolean {
    const future = this.#next;
    try {
      // Its error, if it failed, is taken from the future later.
      future.exception(deadline === Infinity ? undefined : millisecondsUntil(deadline));
      return true;
    } catch (error) {
      // It is cancelled, else.
      if (future.done()) return true;
      if (error instanceof TimeoutError) return false;
      throw error;
    }
  }

  changed(): PromiseLike<unknown> {
    return this.#next;
  }

  take(): Part {
    const part = this.parts[this.#first];
    // Not kept, so that what was delivered can be freed.
    this.parts[this.#first++] = undefined as unknown as Part;
    if (this.#first >= MAX_DELIVERED && this.#first * 2 >= this.parts.length) {
      this.parts.splice(0, this.#first);
      this.#first = 0;
    }
    return part;
  }

  drop(): Future<unknown>[] {
    const dropped = this.parts.slice(this.#first).map(({ future }) => future);
    this.parts.length = this.#first = 0;
    return dropped;
  }
}

/** The first one that is done comes next. */
export class AsTheyCome implements Pending, Waiter {
  /** Those that are not done as far as this thread has heard, in the order in which they were submitted. */
  readonly #underWay = new Map<Future<unknown>, Part>();
  /** Those of them that no executor completes. */
  readonly #orphans = new Set<Future<unknown>>();
  /** Those that are done, in the order in which this thread has heard of it; so many of them were delivered. */
  #done: Part[] = [];
  #delivered = 0;
  #onDone: (() => void) | undefined;

  get isEmpty(): boolean {
    return this.#underWay.size === 0 && !this.isNextDone();
  }

  add(part: Part): void {
    const { future } = part;
    if (internals.isDone(future)) this.#done.push(part);
    else {
      this.#underWay.set(future, part);
      if (!internals.canComplete(future)) this.#orphans.add(future);
      internals.addWaiter(future, this);
    }
  }

  completed(future: Future<unknown>): void {
    this.#done.push(this.#underWay.get(future)!);
    this.#underWay.delete(future);
    this.#orphans.delete(future);
    this.#onDone?.();
  }

  isNextDone(): boolean {
    return this.#delivered < this.#done.length;
  }

  look(): boolean {
    if (this.isNextDone()) return true;
    for (const future of [...this.#underWay.keys()]) {
      if (!internals.isDone(future)) continue;
      internals.removeWaiter(future, this);
      this.completed(future);
    }
    return this.isNextDone();
  }

  block(deadline: number): boolean {
    const isHopeless = () => deadline === Infinity && this.#orphans.size === this.#underWay.size;
    // A callback may end the iteration: then none is left.
    blockUntil(() => this.isNextDone() || isHopeless(), deadline);
    if (this.isNextDone()) return true;
    if (this.#underWay.size > 0 && isHopeless()) {
      throw new InvalidStateError(
        `Cannot block without a timeout on results that no executor completes: ${this.#underWay.size} are left`,
      );
    }
    return this.isEmpty;
  }

  async changed(): Promise<void> {
    await new Promise<void>((resolve) => this.#onDone = resolve);
    this.#onDone = undefined;
  }

  take(): Part {
    const part = this.#done[this.#delivered];
    // As above.
    this.#done[this.#delivered++] = undefined as unknown as Part;
    if (!this.isNextDone()) {
      this.#done = [];
      this.#delivered = 0;
    }
    return part;
  }

  drop(): Future<unknown>[] {
    const dropped = [...this.#underWay.keys()];
    for (const future of dropped) internals.removeWaiter(future, this);
    this.#underWay.clear();
    this.#orphans.clear();
    this.#done = [];
    this.#delivered = 0;
    this.#onDone?.();
    return dropped;
  }
}

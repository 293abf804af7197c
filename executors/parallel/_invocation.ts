/**
 * A future that stands for several tasks: what `invokeAll()` and `invokeAny()` return.
 *
 * @module
 */

import { millisecondsUntil } from "../../futures/deadline.ts";
import { TimeoutError } from "../../futures/errors.ts";
import { type Future, type FutureOwner, internals, type Waiter } from "../../futures/future.ts";
import { abortAll } from "../../futures/signals.ts";
import { addSource, lookAgainAfter, lookIfDue, removeSource, type Source, undelivered } from "../../futures/wakeup.ts";

/** How a task ended. */
export type Outcome = { readonly succeeded: boolean; readonly value: unknown };

/** Decides when several tasks have an outcome together. */
export interface Rule {
  /** The function that was called, for messages. */
  readonly call: string;
  /** Hears of a task that ended, by its place. Returns what all of them come to, once that is certain. */
  ended(place: number, outcome: Outcome): Outcome | undefined;
  /** The reason that stops the tasks which still run once all is decided. */
  readonly reason: () => unknown;
  /** The error where the time runs out, after so many of the tasks have ended. */
  timedOut(timeout: number, ended: number): Error;
}

/**
 * Owns the future of several tasks. Its state is that of the future: `RUNNING` from the beginning on, so it cannot be
 * cancelled, only aborted; and `FINISHED` once the rule has decided, the time has run out, or somebody has aborted it.
 *
 * All of that happens on the thread that made it: in a delivery, where the futures of the tasks say that they are done
 * (`completed()`); when somebody asks whether it is done (`peek()`); when the thread looks at the clock, blocked or
 * from its event loop (`lookAgain()`); and in a call of `Future.abort()` (`stop()`). The first one decides, and has the
 * tasks aborted that are left.
 */
export class Invocation implements FutureOwner, Waiter, Source {
  readonly future: Future<unknown>;
  readonly #rule: Rule;
  readonly #timeout: number;
  readonly #deadline: number;
  /** The places of those that are not done: an executor may give the same future for several tasks. */
  readonly #left = new Map<Future<unknown>, number[]>();
  readonly #count: number;
  #ended = 0;
  #isDecided = false;

  /** @param futures Those of the tasks, in their order. */
  constructor(futures: readonly Future<unknown>[], rule: Rule, timeout: number | undefined, deadline: number) {
    this.#rule = rule;
    this.#timeout = timeout ?? Infinity;
    this.#deadline = deadline;
    this.#count = futures.length;
    for (const [place, future] of futures.entries()) {
      const places = this.#left.get(future);
      if (places === undefined) this.#left.set(future, [place]);
      else places.push(place);
    }
    this.future = internals.create(this, { fn: rule.call });
    for (const future of this.#left.keys()) {
      if (this.#isDecided) return;
      if (internals.isDone(future)) this.completed(future);
      else internals.addWaiter(future, this);
    }
    if (this.#isDecided || deadline === Infinity) return;
    addSource(this);
    this.lookAgain();
  }

  peek(): "running" {
    // A program that asks again and again, without ever blocking or yielding to the event loop, gets no delivery.
    for (const future of this.#left.keys()) future.done();
    // In the order of their ends, as they will be delivered.
    for (const item of undelivered()) this.completed(item as Future<unknown>);
    lookIfDue();
    return "running";
  }

  revoke(): boolean {
    return false;
  }

  stop(_slot: number, reason: unknown): boolean {
    if (this.#isDecided) return false;
    this.#decide({ succeeded: false, value: reason }, reason);
    return true;
  }

  canComplete(): boolean {
    if (this.#deadline !== Infinity) return true;
    for (const future of this.#left.keys()) if (internals.canComplete(future)) return true;
    return false;
  }

  completed(future: Future<unknown>): void {
    const places = this.#left.get(future);
    // Else it is another one, was aborted, or was seen by `peek()` before its delivery.
    if (this.#isDecided || places === undefined) return;
    this.#left.delete(future);
    const ended = outcomeOf(future);
    for (const place of places) {
      this.#ended++;
      const outcome = this.#rule.ended(place, ended);
      if (outcome !== undefined) return this.#decide(outcome, this.#rule.reason());
    }
  }

  collect(): boolean {
    return false;
  }

  isBusy(): boolean {
    return false;
  }

  lookAgain(): void {
    const left = millisecondsUntil(this.#deadline);
    if (left > 0) return lookAgainAfter(left);
    const error = this.#rule.timedOut(this.#timeout, this.#ended);
    this.#decide({ succeeded: false, value: error }, error);
  }

  describe(): string {
    return `${this.#rule.call}(): ${this.#count - this.#ended} of ${this.#count} tasks are not done`;
  }

  #decide({ succeeded, value }: Outcome, reason: unknown): void {
    this.#isDecided = true;
    removeSource(this);
    const left = [...this.#left.keys()];
    for (const future of left) internals.removeWaiter(future, this);
    this.#left.clear();
    // First: a callback of a task that is cancelled now may block until this future is done.
    internals.settle(this.future, succeeded, value);
    abortAll(left, reason);
  }
}

/** Of a future that is done. */
function outcomeOf(future: Future<unknown>): Outcome {
  try {
    return { succeeded: true, value: future.result() };
  } catch (value) {
    return { succeeded: false, value };
  }
}

/** The error of tasks that took too long. */
export function timedOut(rule: string, timeout: number, count: number, ended: number, cause?: unknown): TimeoutError {
  return new TimeoutError(
    `The future of ${rule}() was not done within ${timeout} ms: ${ended} (of ${count}) tasks have ended`,
    cause === undefined ? undefined : { cause },
  );
}

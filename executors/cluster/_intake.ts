/**
 * How a node takes in jobs: it begins each as soon as the engine says that it has got it, in the order in which they
 * were added.
 *
 * The engine hands a job over only when the server has answered whether there is another one. And it gets jobs in two
 * ways: it asks the server for them, and the server gives it one for each job that has ended. When two answers come at
 * once, it may say of the second one first that it has got it.
 *
 * @module
 */

import { setImmediate } from "node:timers";

/** A job that the engine has got. */
export interface Coming {
  /** At its end is the number of its first task among those of its executor. */
  readonly id?: string;
  /** When it was added. */
  readonly timestamp: number;
  /** Why the engine lets it fail without handing it over, as where another job failed that it waited for. */
  readonly deferredFailure?: string;
}

/** Begins jobs. */
export class Intake<J extends Coming, R> {
  readonly #begin: (job: J) => Promise<R>;
  /** Those that have not begun, in order. */
  #coming: { readonly job: J; readonly begin: () => void }[] = [];
  /** What becomes of those that the engine has not handed over. */
  readonly #outcomes = new WeakMap<J, Promise<R>>();

  constructor(begin: (job: J) => Promise<R>) {
    this.#begin = begin;
  }

  /** The engine has got a job: begins it in this turn of the event loop, after all that come before it. */
  announce(job: J): void {
    if (!job.deferredFailure) this.#take(job);
  }

  /** The engine hands over a job; returns what becomes of it. */
  run(job: J): Promise<R> {
    return this.#outcomes.get(job) ?? this.#take(job);
  }

  #take(job: J): Promise<R> {
    const { promise, resolve } = Promise.withResolvers<R>();
    // It may fail before the engine hands it over, and hears of that then.
    promise.catch(() => {});
    this.#outcomes.set(job, promise);
    // The engine may get others before that, with what it has read from the connection.
    if (this.#coming.length === 0) setImmediate(() => this.#beginAll());
    const at = this.#coming.findLastIndex((other) => isBefore(other.job, job)) + 1;
    this.#coming.splice(at, 0, { job, begin: () => resolve(this.#begin(job)) });
    return promise;
  }

  #beginAll(): void {
    const coming = this.#coming;
    this.#coming = [];
    for (const { begin } of coming) begin();
  }
}

function isBefore(a: Coming, b: Coming): boolean {
  return a.timestamp < b.timestamp || (a.timestamp === b.timestamp && numberOf(a) <= numberOf(b));
}

function numberOf({ id }: Coming): number {
  return Number.parseFloat(id!.slice(id!.lastIndexOf("-") + 1));
}

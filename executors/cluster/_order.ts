/**
 * The order in which a node begins jobs.
 *
 * The engine gets jobs in two ways: it asks the server for them, and the server gives it one for each job that has
 * ended. When two answers come at once, it may hand over the second job, ask the server again, and hand over the first
 * job only when the server has answered. But it says at once which jobs it has got.
 *
 * @module
 */

import { setImmediate } from "node:timers";

/** What gives the order of jobs: when they were added, and the number at the end of their ids. */
export interface Ordered {
  readonly id?: string;
  readonly timestamp: number;
}

/** A job that the engine has got; once it has handed it over, with how to begin it. */
interface Coming {
  readonly job: Ordered;
  begin?: () => void;
}

/** How long a job waits for an earlier one that the engine has got and not handed over, in milliseconds. */
const OVERTAKE_MS = 100;

/** Lets jobs begin in their order. */
export class JobOrder {
  /** Those that have not begun. */
  #coming: Coming[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** Learns that the engine has got a job. */
  expect(job: Ordered): Coming {
    const coming: Coming = { job };
    const at = this.#coming.findLastIndex((coming) => isBefore(coming.job, job)) + 1;
    this.#coming.splice(at, 0, coming);
    return coming;
  }

  /** Resolves when a job that was handed over may begin. */
  async turn(job: Ordered): Promise<void> {
    const coming = this.#coming.find((coming) => isFor(coming, job)) ?? this.expect(job);
    await new Promise<void>((resolve) => {
      coming.begin = resolve;
      // The engine may get others before that, with what it has read from the connection.
      setImmediate(() => this.#beginNext());
    });
  }

  #beginNext(): void {
    while (this.#coming[0]?.begin !== undefined) this.#coming.shift()!.begin!();
    if (this.#coming.some(({ begin }) => begin !== undefined)) {
      this.#timer ??= setTimeout(() => this.#waitNoMore(), OVERTAKE_MS);
    } else {
      clearTimeout(this.#timer);
      this.#timer = undefined;
    }
  }

  /** The engine hands over all that it gets. But if it does not, nothing should hang. */
  #waitNoMore(): void {
    this.#coming = this.#coming.filter(({ begin }) => begin !== undefined);
    this.#beginNext();
  }
}

/** Whether this is what was expected of a job. */
function isFor({ job, begin }: Coming, { id }: Ordered): boolean {
  return job.id === id && begin === undefined;
}

function isBefore(a: Ordered, b: Ordered): boolean {
  return a.timestamp < b.timestamp || (a.timestamp === b.timestamp && numberOf(a) <= numberOf(b));
}

/** The number of a job's first task among those of its executor. */
function numberOf({ id }: Ordered): number {
  return Number.parseFloat(id!.slice(id!.lastIndexOf("-") + 1));
}

/**
 * Asks the server what became of jobs that nothing has been heard of: what nodes say may be lost on its way.
 *
 * @module
 */

import type { Redis } from "ioredis";
import { type Address, keyStart } from "./_address.ts";
import { MAX_BATCH } from "./_connection.ts";
import type { InFlight, Job } from "./_in_flight.ts";
import { outcomeField } from "./_jobs.ts";

/** How long nothing needs to have been heard of a job before the server is asked for it, in milliseconds. */
const SILENT_MS = 2_000;

/** See above. */
export class Sweep {
  readonly #inFlight: InFlight;
  readonly #client: Redis;
  readonly #keyStart: string;
  /** Is told of jobs that the server does not know. */
  readonly #onLost: (job: Job) => void;
  #isSweeping = false;

  constructor(inFlight: InFlight, client: Redis, address: Address, onLost: (job: Job) => void) {
    this.#inFlight = inFlight;
    this.#client = client;
    this.#keyStart = keyStart(address);
    this.#onLost = onLost;
  }

  get isSweeping(): boolean {
    return this.#isSweeping;
  }

  /** Asks for all jobs the next time, since nobody has heard what was said while there was no connection. */
  startAnew(): void {
    this.#isSweeping = false;
    for (const job of this.#inFlight.jobs.values()) job.heardAt = -Infinity;
  }

  /** Asks for the jobs that nothing has been heard of for too long. */
  async sweepSilent(): Promise<void> {
    this.#isSweeping = true;
    const until = performance.now() - SILENT_MS;
    await this.sweep([...this.#inFlight.jobs.values()].filter((job) => job.isAdded && job.heardAt < until));
    this.#isSweeping = false;
  }

  /** Asks for jobs, and settles those that have ended. */
  async sweep(jobs: readonly Job[]): Promise<void> {
    try {
      for (let i = 0; i < jobs.length; i += MAX_BATCH) await this.#sweepBatch(jobs.slice(i, i + MAX_BATCH));
    } catch {
      // The connection has broken: there will be another sweep.
    }
  }

  async #sweepBatch(jobs: readonly Job[]): Promise<void> {
    const pipeline = this.#client.pipeline();
    // One command for each, so that a state is never read with another state's value.
    const places = jobs.map(placesOf);
    for (const [i, { id }] of jobs.entries()) {
      const outcomes = places[i].map(outcomeField);
      pipeline.hmget(this.#keyStart + id, "timestamp", "finishedOn", "returnvalue", "failedReason", ...outcomes);
    }
    const replies = await pipeline.exec() ?? [];
    for (const [i, [error, values]] of replies.entries()) {
      if (error !== null || !this.#inFlight.jobs.has(jobs[i].id)) continue;
      this.#onReply(jobs[i], values as (string | null)[], places[i]);
    }
  }

  #onReply(
    job: Job,
    [timestamp, finishedOn, value, reason, ...outcomes]: (string | null)[],
    places: readonly number[],
  ): void {
    job.heardAt = performance.now();
    if (timestamp === null) this.#onLost(job);
    else if (finishedOn === null) {
      for (const [i, outcome] of outcomes.entries()) {
        if (outcome !== null) this.#inFlight.completeTask(job, places[i], outcome);
      }
    } else if (value !== null) this.#inFlight.completeByText(job, value);
    else this.#inFlight.failByReason(job, reason ?? "");
  }
}

/** The places of the tasks that a job still carries beside others: they may have ended before it has. */
function placesOf({ tasks }: Job): number[] {
  if (tasks.length === 1) return [];
  return [...tasks.keys()].filter((place) => tasks[place].state === "sent" || tasks[place].state === "begun");
}

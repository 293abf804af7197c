/**
 * By which process of which node a task was run, and when, as its executor is told.
 *
 * @module
 */

import { sharedNow } from "../../futures/builtins.ts";
import { Encoded, Encoding } from "../_values/encoded.ts";
import type { Consumer } from "../_queue/consumer.ts";
import { RecordType, type TaskTimes } from "../_queue/protocol.ts";
import type { RanOn } from "./_jobs.ts";

/** How far the clock of a node may be from that of this machine, in milliseconds. */
const MAX_SKEW_MS = 1_000;

/** For a task of which no node has said where it ran. */
export const NOT_TOLD: Partial<TaskTimes> = { worker: -1 };

/** The numbers that stand for the names of workers. */
export class WorkerNames {
  readonly #consumer: Consumer;
  readonly #numbers = new Map<string, number>();

  constructor(consumer: Consumer) {
    this.#consumer = consumer;
  }

  /** Where and when a task ran, by what its node says, whose clock may be wrong. */
  timesOf({ takenAt }: { readonly takenAt: number }, [name, began, ended]: RanOn): TaskTimes {
    let worker = this.#numbers.get(name);
    if (worker === undefined) {
      this.#numbers.set(name, worker = this.#numbers.size);
      // Before the result, which has the number.
      this.#consumer.report(
        RecordType.WORKER_NAME,
        new Encoded(Encoding.JSON, JSON.stringify([worker, name])),
      );
    }
    const now = sharedNow();
    if (began >= takenAt - MAX_SKEW_MS && ended <= now + MAX_SKEW_MS) return { worker, began, ended };
    return { worker, began: Math.max(takenAt, now - (ended - began)), ended: now };
  }
}

/**
 * What a pool shows to those who watch it.
 *
 * @module
 */

import { type Future, internals } from "../../futures/future.ts";
import type { TaskTimes } from "../_queue/protocol.ts";
import type { TaskQueue } from "../_queue/task_queue.ts";
import type { PoolStats } from "../pool_stats.ts";
import type { PoolTrace } from "../pool_trace.ts";
import type { Functions } from "./_functions.ts";
import type { PoolKind } from "./kind.ts";
import type { Tally } from "./_tally.ts";
import type { TaskTable } from "./_task_table.ts";
import { Trace } from "./_trace.ts";
import type { Workers } from "./_workers.ts";

/** What is looked at. */
interface WatchParts {
  readonly kind: PoolKind;
  readonly workers: Workers;
  readonly queue: TaskQueue;
  readonly tasks: TaskTable;
  readonly tally: Tally;
  readonly functions: Functions;
  /** Takes the results that have arrived. */
  readonly collect: () => void;
}

/** Looks at one pool. */
export class Watch {
  readonly #parts: WatchParts;

  constructor(parts: WatchParts) {
    this.#parts = parts;
  }

  /** The tasks that a worker has begun, and how many workers run one. */
  get begun(): { items: number; busy: number } {
    const { tasks, tally } = this.#parts;
    return tasks.begun((future) => tally.itemsOf(future));
  }

  /** How many workers there are, how many of them start, and how many have taken another one's place. */
  get #workers(): { count: number; starting: number; restarts: number } {
    const { kind, workers, queue } = this.#parts;
    if (kind.stop === "terminate") return { count: workers.count, starting: workers.starting, restarts: 0 };
    const { children, starting, restarts } = queue.children;
    return workers.count === 0 ? { count: 0, starting: 0, restarts } : { count: children, starting, restarts };
  }

  /** Calls a function for each task that ends from now on, with where it ran and when, if one has run it. */
  hear(listener: (future: Future<unknown>, times: TaskTimes | undefined) => void): void {
    this.#parts.tally.addWitness((_task, _endings, times, future) => listener(future, times));
  }

  /** Begins a trace. */
  trace(): PoolTrace {
    const { kind, tally, functions } = this.#parts;
    return new Trace({
      name: kind.name,
      tally,
      workerName: (worker) => kind.workerName?.(worker) ?? `${kind.name}_${worker}`,
      taskName: ({ fn }, future) => {
        const control = internals.controlOf(future);
        return control?.name || (fn === undefined ? control?.fn || "anonymous" : functions.nameOf(fn));
      },
    });
  }

  /** See `PoolStats`. */
  stats(): PoolStats {
    const { tally, collect } = this.#parts;
    collect();
    const { items: running, busy } = this.begun;
    const { count: workers, starting, restarts } = this.#workers;
    const { done, failed, cancelled, lost } = tally.counts;
    return {
      workers,
      idle: Math.max(0, workers - starting - busy),
      running,
      queued: tally.unfinished - running,
      done,
      failed,
      cancelled,
      lost,
      restarts,
      runTime: tally.runTime,
      waitTime: tally.waitTime,
    };
  }

  /** In a line. */
  toString(): string {
    const { workers, idle, running, queued, done, failed } = this.stats();
    return `<${this.#parts.kind.name} workers=${workers} idle=${idle} running=${running} queued=${queued} ` +
      `done=${done} failed=${failed}>`;
  }
}

/**
 * A record of a pool's tasks: when each waited, where it ran, and how it ended.
 *
 * @module
 */

import { sharedNow } from "../../futures/builtins.ts";
import type { Future } from "../../futures/future.ts";
import type { TaskTimes } from "../_queue/protocol.ts";
import type { ChromeTrace, ChromeTraceEvent, PoolTrace, TracedTask } from "../pool_trace.ts";
import type { Endings, Measured, Tally } from "./_tally.ts";

/** What a trace has to know of its pool. */
export interface TraceParts {
  /** What the pool is called. */
  readonly name: string;
  readonly tally: Tally;
  /** What a worker is called. */
  readonly workerName: (worker: number) => string;
  /** What a task is called. */
  readonly taskName: (task: Measured, future: Future<unknown>) => string;
}

/** The row of tasks that no worker has run, or none has told of. */
const NO_WORKER = 0;

/** See `PoolTrace`. */
export class Trace implements PoolTrace {
  readonly #parts: TraceParts;
  /** When it began, by the clock that all threads share. */
  readonly #began = sharedNow();
  readonly #events: ChromeTraceEvent[] = [];
  /** The names of the rows. */
  readonly #rows = new Map<number, string>();
  readonly #witness = this.#note.bind(this);

  constructor(parts: TraceParts) {
    this.#parts = parts;
    parts.tally.addWitness(this.#witness);
  }

  #note(task: Measured, endings: Endings, times: TaskTimes | undefined, future: Future<unknown>): void {
    // It was measured before the trace began, as others were not.
    if (task.at < this.#began) return;
    const name = this.#parts.taskName(task, future);
    const ran = endings.reduce((sum, [ending, count]) => ending === "cancelled" ? sum : sum + count, 0);
    const part = times === undefined ? 0 : Math.max(0, times.ended - times.began) / Math.max(1, ran);
    const at = times?.began ?? sharedNow();
    const wait = Math.max(0, at - task.at);
    let before = 0;
    for (const [outcome, count] of endings) {
      const hasRun = times !== undefined && outcome !== "cancelled";
      for (let i = 0; i < count; i++) {
        // Not a sum of parts, each rounded to what the shared clock can tell: it may reach into the next chunk.
        const start = Math.max(0, at - this.#began) + before * part;
        this.#add(name, hasRun ? times.worker : undefined, start, hasRun ? part : 0, {
          wait,
          outcome,
          ...task.isChunk ? { together: task.items } : {},
        });
        if (hasRun) before++;
      }
    }
  }

  /** @param start How long after the trace, in milliseconds. */
  #add(name: string, worker: number | undefined, start: number, ms: number, args: TracedTask): void {
    const tid = worker === undefined ? NO_WORKER : worker + 1;
    if (!this.#rows.has(tid)) this.#rows.set(tid, worker === undefined ? "no worker" : this.#parts.workerName(worker));
    const [ts, dur] = [start * 1_000, ms * 1_000];
    this.#events.push({ name, cat: "task", ph: "X", pid: Deno.pid, tid, ts, dur, args });
  }

  stop(): void {
    this.#parts.tally.removeWitness(this.#witness);
  }

  [Symbol.dispose](): void {
    this.stop();
  }

  toJSON(): ChromeTrace {
    const about = (what: string, tid: number, args: ChromeTraceEvent["args"]): ChromeTraceEvent => {
      return { name: what, ph: "M", pid: Deno.pid, tid, args };
    };
    // In the order of the workers, which viewers would sort by name else; what no worker has run comes last.
    const place = (tid: number) => tid === NO_WORKER ? Infinity : tid;
    const rows = [...this.#rows].sort(([a], [b]) => place(a) < place(b) ? -1 : 1);
    return {
      traceEvents: [
        about("process_name", NO_WORKER, { name: this.#parts.name }),
        ...rows.flatMap(([tid, name], i) => [
          about("thread_name", tid, { name }),
          about("thread_sort_index", tid, { sort_index: i }),
        ]),
        ...this.#events,
      ],
      displayTimeUnit: "ms",
    };
  }
}

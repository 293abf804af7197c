/**
 * How a pool takes what its workers have published: the results of tasks, and what a worker says of itself.
 *
 * @module
 */

import { SerializationError } from "../../futures/errors.ts";
import { type Future, internals } from "../../futures/future.ts";
import { withoutFrames } from "../../futures/own_frames.ts";
import { decodeValue, encodeValue } from "../_values/codec.ts";
import { Encoded } from "../_values/encoded.ts";
import { fromPosted } from "../_queue/posted.ts";
import { HAS_TIMES, msOf, type PostedResult, RecordType } from "../_queue/protocol.ts";
import type { Functions } from "./_functions.ts";
import type { LossReport, PoolKind } from "./kind.ts";
import { nameOf, timeoutError } from "./_stops.ts";
import { withSubmission } from "./_submission.ts";
import type { Ending, Tally } from "./_tally.ts";
import type { TaskEvents } from "./_task_events.ts";
import type { TaskTable } from "./_task_table.ts";
import type { TaskQueue } from "../_queue/task_queue.ts";
import type { RunningWorker, Workers } from "./_workers.ts";

/** What a collector works with. */
interface CollectorParts {
  readonly kind: PoolKind;
  readonly workers: Workers;
  readonly queue: TaskQueue;
  readonly tasks: TaskTable;
  readonly tally: Tally;
  readonly functions: Functions;
  readonly events: TaskEvents;
  /** Hears what a worker says of itself; this may stop the workers. */
  readonly onReport: (type: number, value: unknown) => void;
  /** Hears that a worker has told the end of a task that was stopped. */
  readonly onStopped: (serial: number) => void;
}

/** Collects the results of one pool. */
export class Collector {
  readonly #kind: PoolKind;
  readonly #workers: Workers;
  readonly #queue: TaskQueue;
  readonly #tasks: TaskTable;
  readonly #tally: Tally;
  readonly #functions: Functions;
  readonly #events: TaskEvents;
  readonly #onReport: (type: number, value: unknown) => void;
  readonly #onStopped: (serial: number) => void;
  /** The place of the worker whose results are collected next. */
  #next = 0;

  constructor({ kind, workers, queue, tasks, tally, functions, events, onReport, onStopped }: CollectorParts) {
    this.#kind = kind;
    this.#workers = workers;
    this.#queue = queue;
    this.#tasks = tasks;
    this.#tally = tally;
    this.#functions = functions;
    this.#events = events;
    this.#onReport = onReport;
    this.#onStopped = onStopped;
  }

  /**
   * Collects from all workers.
   *
   * @param until When to stop, on the clock of `performance.now()`.
   * @returns Whether it has stopped before the end.
   */
  collect(until: number): boolean {
    for (let n = this.#workers.count; n > 0; n--) {
      // Begins where it was interrupted, so that no worker's results wait forever behind those of another worker.
      this.#next %= this.#workers.count;
      if (this.#collectFrom(this.#workers.at(this.#next++), until)) return true;
      if (this.#workers.count === 0) break;
    }
    return false;
  }

  #collectFrom({ results, port, serial }: RunningWorker, until: number): boolean {
    // Settling can stop the workers, when one reports that it cannot work.
    for (let n = 1; this.#workers.count > 0; n++) {
      const record = results.peek();
      if (record === undefined) break;
      let { type } = record;
      let payload: Encoded;
      try {
        payload = Encoded.read(record.encoding, results.memory, record.offset, record.byteLength);
      } catch (error) {
        ({ type, payload } = unreadable(type, error));
      }
      results.drop();
      this.#onRecord(serial, record.slot, type, record.detail, payload);
      if ((n & 31) === 0 && performance.now() >= until) return true;
    }
    while (this.#workers.count > 0 && results.hasPosted()) {
      const { slot, type, detail, payload: posted } = receive(port);
      results.countReceived();
      let read: { type: number; payload: Encoded };
      try {
        read = { type, payload: fromPosted(posted) };
      } catch (error) {
        read = unreadable(type, error);
      }
      this.#onRecord(serial, slot, read.type, detail, read.payload);
      if (performance.now() >= until) return true;
    }
    return false;
  }

  #onRecord(serial: number, slot: number, type: number, detail: number, payload: Encoded): void {
    const future = this.#tasks.futureOf(slot);
    switch (type & ~HAS_TIMES) {
      case RecordType.VALUE:
      case RecordType.ERROR:
      case RecordType.LOST:
      case RecordType.TIMED_OUT:
        this.#settle(serial, slot, future, type, detail, payload);
        return;
      case RecordType.CANCELLED:
        this.#settleStopped(slot, future, false);
        this.#tasks.free(slot);
        return;
      case RecordType.PROGRESS:
        if (future !== undefined) internals.progress(future, readable(payload));
        return;
      case RecordType.ABORT_ACKNOWLEDGED:
        this.#tasks.unpin(slot);
        return;
      default:
        this.#onReport(type, readable(payload));
    }
  }

  #settle(
    serial: number,
    slot: number,
    future: Future<unknown> | undefined,
    type: number,
    detail: number,
    payload: Encoded,
  ): void {
    if (this.#kind.detail === "msPerItem") this.#learn(slot, detail);
    else if (future !== undefined) this.#events.setAttempts(future, detail);
    const isMeasured = type >= HAS_TIMES;
    const isStopped = this.#tasks.hasStops && this.#settleStopped(slot, future, isMeasured);
    // One that was stopped may have failed before.
    if (isStopped || future === undefined || (type & ~HAS_TIMES) === RecordType.TIMED_OUT) this.#onStopped(serial);
    this.#tasks.free(slot);
    this.#tasks.collected = (this.#tasks.collected + 1) | 0;
    if (future === undefined || isStopped) return;
    type &= ~HAS_TIMES;
    let ending: Ending = type === RecordType.VALUE ? "returned" : type === RecordType.ERROR ? "threw" : "stopped";
    let value: unknown;
    try {
      value = decodeValue(payload);
      if (type === RecordType.LOST) value = this.#lossOf(slot, future, value);
      else if (type === RecordType.TIMED_OUT) value = timeoutError(future, value);
    } catch (error) {
      value = error;
      if (ending === "returned") ending = "threw";
    }
    const hasReturned = ending === "returned";
    if (!hasReturned) withSubmission(future, value);
    internals.settle(future, hasReturned, value);
    this.#tasks.unsettled--;
    const steps = this.#kind.detail === "msPerItem" ? detail : 0;
    this.#tally.settle(future, hasReturned, value, isMeasured ? this.#queue.timesOf(slot) : undefined, steps, ending);
  }

  /** The error of a task that was lost. The report may be about another one, behind which it waited. */
  #lossOf(slot: number, future: Future<unknown>, report: unknown): Error {
    const isItself = (report as LossReport).slot === slot;
    return withoutFrames(() => this.#kind.errorOf!(report, isItself ? nameOf(future) : undefined));
  }

  /** Fails the future of a task that was stopped, whatever has come of it; `false` where it was not stopped. */
  #settleStopped(slot: number, future: Future<unknown> | undefined, isMeasured: boolean): boolean {
    const stop = this.#tasks.stopOf(slot);
    if (future === undefined || stop === undefined) return false;
    this.#tally.fail(future, stop.reason, "stopped", isMeasured ? this.#queue.timesOf(slot) : undefined);
    this.#tasks.unsettled--;
    return true;
  }

  #learn(slot: number, steps: number): void {
    const fn = steps === 0 ? undefined : this.#tasks.timedFunctionOf(slot);
    if (fn !== undefined) this.#functions.learn(fn, msOf(steps));
  }
}

/** In place of a result that cannot be read: why. */
function unreadable(type: number, error: unknown): { type: number; payload: Encoded } {
  const reason = error instanceof Error ? error.message : error;
  const refusal = new SerializationError(`Cannot read result from a worker: ${reason}`, "result", {
    cause: error,
  });
  const payload = encodeValue(refusal, { root: "error", sameProcess: true });
  const kind = type & ~HAS_TIMES;
  const isOutcome = kind === RecordType.VALUE || kind === RecordType.LOST || kind === RecordType.TIMED_OUT;
  return { type: isOutcome ? RecordType.ERROR | (type & HAS_TIMES) : type, payload };
}

/** What a payload says, or why it cannot be read: a worker whose task has changed it may send anything. */
function readable(payload: Encoded): unknown {
  try {
    return decodeValue(payload);
  } catch (error) {
    return error;
  }
}

type Receive = (port: MessagePort) => { message: PostedResult } | undefined;
let receiveMessageOnPort: Receive | undefined;

/** Takes a posted result synchronously: a blocked thread hears no events. */
function receive(port: MessagePort): PostedResult {
  // Loaded when it is needed first: Node's module costs milliseconds, and most programs never need it.
  receiveMessageOnPort ??= (globalThis as unknown as {
    process: { getBuiltinModule(name: string): { receiveMessageOnPort: Receive } };
  }).process.getBuiltinModule("node:worker_threads").receiveMessageOnPort;
  const received = receiveMessageOnPort(port);
  if (received === undefined) throw new Error("Unreachable: a result was counted before it was posted");
  return received.message;
}

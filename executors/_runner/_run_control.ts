/**
 * What a task that runs can know of itself, and how it is told to end. Made for those tasks alone that ask for it, or
 * have a name or a timeout.
 *
 * @module
 */

import { Atomics, performance } from "../../futures/builtins.ts";
import { TimeoutError } from "../../futures/errors.ts";
import { RecordType, type TaskLimits } from "../_queue/protocol.ts";
import { type LiveSignal, makeLiveSignal } from "../_values/live_signal.ts";
import type { CurrentTask } from "../current_task.ts";
import type { Run, RunnerTask } from "./_run.ts";

/** Kept, because a task may replace it. */
const Exception = DOMException;

/** What a task finds that is to end, and what a run ends by; its future fails with the reason that others know. */
export function abortError(): DOMException {
  return new Exception("The task was aborted", "AbortError");
}

/** What a task is told of itself that a run executes for somebody else: a node of a cluster does so. */
export type RunAs = Omit<CurrentTask, "signal">;

/** What this needs of a run. */
interface ControlledRun extends Run {
  readonly task: RunnerTask;
}

/** What this needs of the worker. */
interface ControllingWorker {
  readonly name: string;
  readonly port: {
    isStopping(task: RunnerTask): boolean;
    onCall(task: RunnerTask): void;
    listenForStops?(): void;
    readonly endsStopped: boolean;
  };
  nameOf(fn: number): string;
}

/** See above. */
export class RunControl {
  readonly #worker: ControllingWorker;
  readonly #run: ControlledRun;
  /** The name that its caller has given to the task. */
  readonly name: string | undefined;
  /** What it is for the task that it runs, where that is another one. */
  runsAs: RunAs | undefined;
  readonly #limits: TaskLimits | undefined;
  /** When its time is over, on the clock of `performance.now()`. */
  #deadline = Infinity;
  #live: LiveSignal | undefined;
  #current: CurrentTask | undefined;
  #isAwaiting = false;
  #isStopped = false;

  constructor(worker: ControllingWorker, run: ControlledRun, name?: string, limits?: TaskLimits) {
    this.#worker = worker;
    this.#run = run;
    this.name = name;
    this.#limits = limits;
  }

  /** The function of the task is called: its time begins. */
  begin(): void {
    if (this.#limits === undefined) return;
    this.#deadline = performance.now() + this.#limits.timeout;
    this.#worker.port.onCall(this.#run.task);
    if (this.#isAwaiting) void this.#keepDeadline(this.#limits.grace);
  }

  /** The task goes on after this turn: its event loop tells it when its time is over. */
  onAwait(): void {
    if (this.#limits === undefined) return;
    this.#isAwaiting = true;
    if (this.#deadline !== Infinity) void this.#keepDeadline(this.#limits.grace);
  }

  /** The task has ended in time, and what it has left behind is not told otherwise later. */
  endInTime(): void {
    this.#deadline = Infinity;
  }

  /** Whether its time is over. */
  get isLate(): boolean {
    return this.#limits !== undefined && performance.now() >= this.#deadline;
  }

  /** The task as it knows itself: the same object each time. */
  get current(): CurrentTask {
    if (this.#current !== undefined) return this.#current;
    this.#worker.port.listenForStops?.();
    this.#live = makeLiveSignal(() => this.look());
    // It may have been told so before it has begun, and is not told again.
    if (this.look() !== undefined) void this.#fireLater(this.#live);
    const { signal } = this.#live;
    if (this.runsAs !== undefined) return this.#current = { ...this.runsAs, signal };
    const name = this.name ?? this.#worker.nameOf(this.#run.task.fn);
    return this.#current = { name, worker: this.#worker.name, signal, attempt: 1 };
  }

  async #fireLater(live: LiveSignal): Promise<void> {
    await undefined;
    live.fire();
  }

  /** Whether the task is to end, and why. */
  look(): [reason: unknown] | undefined {
    const { task, isOver } = this.#run;
    if (!isOver) this.#worker.port.listenForStops?.();
    if (this.#isStopped || (!isOver && this.#worker.port.isStopping(task))) {
      return [abortError()];
    }
    if (!this.isLate) return undefined;
    return [new TimeoutError(`The task has run for longer than its timeout: ${this.#limits!.timeout} ms`)];
  }

  /** The task is to end: its event loop tells it, and may end it after a while. */
  stop(grace: number): void {
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.#live?.fire();
    if (this.#worker.port.endsStopped) void this.#endAfter(grace);
  }

  async #keepDeadline(grace: number): Promise<void> {
    await this.#passed(this.#deadline);
    if (this.#run.isOver) return;
    this.#live?.fire();
    if (this.#worker.port.endsStopped) await this.#endAfter(grace);
  }

  async #endAfter(grace: number): Promise<void> {
    await this.#passed(performance.now() + grace);
    // What it is ended by counts for nothing: its future fails with the reason that others know.
    this.#run.end(RecordType.ERROR, abortError());
  }

  /** Waits until a time is over, or the run is. */
  async #passed(time: number): Promise<void> {
    const word = new Int32Array(new SharedArrayBuffer(4));
    const { onOver } = this.#run;
    this.#run.onOver = () => {
      Atomics.notify(word, 0);
      onOver?.();
    };
    for (let left = time - performance.now(); left > 0 && !this.#run.isOver; left = time - performance.now()) {
      // Not a timer: tasks may replace those, and to look at them alone takes milliseconds.
      const wait = Atomics.waitAsync(word, 0, 0, left);
      if (wait.async) await wait.value;
    }
  }
}

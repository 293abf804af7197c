/**
 * What one kind of pool does differently from the others.
 *
 * @module
 */

import type { BrokenExecutor } from "../../futures/errors.ts";
import type { Definition } from "../_functions/definition.ts";

/** A call that each worker does before its first task. */
export interface InitializerCall {
  readonly fn: (...args: never[]) => unknown;
  readonly args: readonly unknown[];
}

/** What the pool itself reads in the report of a broker, if it is there. */
export interface LossReport {
  /** The slot of the task that ran in a process that has died. */
  readonly slot?: number;
}

/** What is special about one kind of pool. */
export interface PoolKind {
  /** What the pool is called in messages. */
  readonly name: string;
  /** How many consumers there can be. */
  readonly maxConsumers: number;
  /** How many tasks may wait; not given: any number. */
  readonly maxQueued?: number;
  /** How long a consumer may have nothing to do before it ends, in milliseconds; not given: it stays. */
  readonly idleTimeout?: number;
  /** Whether errors say where their tasks were submitted. */
  readonly submittedAt?: boolean;
  /** For how many workers the chunks of a map are made. */
  readonly mapWorkers: number;
  /** Whether consumers share memory with this thread beyond the pool's. */
  readonly sameProcess: boolean;
  /** Whether signals among the arguments of a task can be followed. */
  readonly carriesSignals?: boolean;
  /** What workers call before they take a task. */
  readonly initializer?: InitializerCall;
  /** What the field `detail` of a result means: see `ResultRecord`. */
  readonly detail: "msPerItem" | "attempts";
  /** Whether workers can be sent once, apart from the tasks, what many calls have in common. */
  readonly bindsArguments: boolean;
  /** Whether a chunk can go on behind an item that fails. */
  readonly settlesChunks: boolean;
  /**
   * How a consumer ends, and what runs one task. A thread hears nothing while it computes: it is terminated, and
   * another one takes its place. A broker is asked, because it has to end what it has started before.
   */
  readonly stop: "terminate" | "ask";
  /** How long `cancel()` waits for a prefetched task to be recalled, in milliseconds; not given: a second. */
  readonly recallMs?: number;
  /** Whether the first consumer gets to work before the function of the first task is described. */
  readonly startsAhead?: boolean;
  /** Starts the Web Worker of a consumer. */
  startWorker(index: number): Worker;
  /** What the worker of an index is called, or the process of a number. */
  workerName?(index: number): string;
  /** Hears what a worker of a number is called, where only the broker knows that; before the first task that it ran. */
  onWorkerName?(number: number, name: string): void;
  /**
   * What the kind of worker wants to know besides `ConsumerStart` and the initializer; called for each worker, before
   * it is started, unless it has been started ahead without a message.
   */
  startOptions?(): object;
  /** An error for a future of a pool that broke: a new one for each. */
  brokenError(message: string, cause: unknown): BrokenExecutor;
  /**
   * An error for a future whose task, or pool, was lost, by the report of a broker.
   *
   * @param task The name of the task of which the report says that it ran, if it has one.
   */
  errorOf?(report: unknown, task?: string): Error;
  /**
   * Present where not every function can be sent.
   *
   * @throws {TaskNotFoundError} This one cannot.
   */
  checkDefinition?(definition: Definition): void;
}

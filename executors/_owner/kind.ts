/**
 * What one kind of pool does differently from the others.
 *
 * @module
 */

import type { BrokenExecutor } from "../../futures/errors.ts";
import type { Future } from "../../futures/future.ts";
import type { Definition } from "../_functions/definition.ts";

/** What is heard of a task besides its result. */
export type TaskEvent =
  /** What the task says of its progress. */
  | { readonly progress: unknown }
  /** How often it was begun; known when it is done. */
  | { readonly attempts: number };

/** What is special about one kind of pool. */
export interface PoolKind {
  /** What the pool is called in messages. */
  readonly name: string;
  /** How many consumers there can be. */
  readonly maxConsumers: number;
  /** Whether consumers share memory with this thread beyond the pool's. */
  readonly sameProcess: boolean;
  /** Whether consumers run code of the user's before they take a task. */
  readonly initializes?: boolean;
  /** What the detail of a result says: see `ResultRecord`. */
  readonly detail: "msPerItem" | "attempts";
  /** How a consumer ends: a broker is asked to, because it has to end what it has started before. */
  readonly stop: "terminate" | "ask";
  /** How long `cancel()` waits for a prefetched task to be recalled, in milliseconds; not given: a second. */
  readonly recallMs?: number;
  /** Starts the Web Worker of a consumer. */
  startWorker(index: number): Worker;
  /** What the kind of worker wants to know besides `ConsumerStart`; called for each worker. */
  startOptions(): object;
  /** An error for a future of a pool that broke: a new one for each. */
  brokenError(message: string, cause: unknown): BrokenExecutor;
  /** An error for a future whose task, or pool, was lost, by the report of a broker. */
  errorOf?(report: unknown): Error;
  /**
   * Present where not every function can be sent.
   *
   * @throws {TaskNotFoundError} This one cannot.
   */
  checkDefinition?(definition: Definition): void;
  /** Hears of tasks. */
  onEvent?(future: Future<unknown>, event: TaskEvent): void;
}

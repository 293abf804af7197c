/**
 * The futures of a cluster, and the cluster with options for its tasks.
 *
 * @module
 */

import type { Future } from "../../futures/future.ts";
import type { ControlledExecutor, TaskOptions } from "../task_options.ts";

/**
 * The future of a task that a {@linkcode ClusterExecutor} runs: a
 * {@linkcode https://jsr.io/@concurrent/futures/doc/~/Future | Future} with one more member.
 *
 * - `attempts`: how many times a node has started the task. It is known when the future is done, and is more than 1 if
 *   the task was tried again or its node was lost.
 *
 * @typeParam T The type of the task's result.
 */
export type ClusterFuture<T> = Future<T> & {
  /**
   * How many times a node has started the task. It is known when the future is done, and is more than 1 if the task was
   * tried again or its node was lost.
   */
  readonly attempts: number;
};

/** The result of {@linkcode ClusterExecutor.prototype.with | with()}: a cluster with options for its tasks. */
export interface ControlledCluster extends ControlledExecutor {
  /**
   * Calls a function on a node, with the options: see
   * {@linkcode ClusterExecutor.prototype.submit | ClusterExecutor.submit()}.
   *
   * @typeParam A The types of the function's parameters.
   * @typeParam R The type that the function returns.
   * @param fn The function to call.
   * @param args The arguments of the function.
   * @returns The future of the function's result.
   */
  submit<A extends unknown[], R>(fn: (...args: A) => R, ...args: A): ClusterFuture<Awaited<R>>;
  /**
   * Adds options: one that is given here replaces the same one that was given before.
   *
   * @param options The options.
   * @returns The same cluster with these options, too.
   */
  with(options: TaskOptions): ControlledCluster;
}

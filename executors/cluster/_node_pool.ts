/**
 * The processes that run a node's tasks. No other file of the cluster knows of the executor of another kind.
 *
 * @module
 */

import type { Future } from "../../futures/future.ts";
import { ProcessPoolExecutor, type ProcessPoolExecutorOptions } from "../processes/process_pool_executor.ts";
import type { Functions } from "./_functions.ts";
import type { Call, Returned } from "./_run_job.ts";

/** What the processes may do. */
export type Permissions = NonNullable<ProcessPoolExecutorOptions["permissions"]>;

/** See above. */
export class NodePool {
  readonly #executor: ProcessPoolExecutor;
  readonly #functions: Pick<Functions, "runTask" | "tryModule">;

  /**
   * @param workers How many processes run tasks at once.
   * @param functions What the processes call.
   */
  constructor(workers: number, permissions: Permissions, functions: Pick<Functions, "runTask" | "tryModule">) {
    this.#executor = new ProcessPoolExecutor({ maxWorkers: workers, permissions, onWorkerCrash: "replace" });
    this.#functions = functions;
  }

  /**
   * Runs a task.
   *
   * @param onProgress Is called with what the task reports while it runs.
   * @throws {BrokenProcessPool} No process can be started any more.
   */
  run(call: Call, onProgress: (value: unknown) => void): Future<Returned> {
    const future = this.#executor.with({ grace: 0 }).submit(this.#functions.runTask, call);
    future.addProgressCallback(onProgress);
    return future;
  }

  /** Ends the process that runs a task, or cancels the task if it has not begun. */
  abort(future: Future<Returned>): void {
    future.abort();
  }

  /** Loads one of the modules of tasks in a process. */
  async tryModule(url: string): Promise<void> {
    await this.#executor.submit(this.#functions.tryModule, url);
  }

  /** Whether the pool takes no more tasks. Otherwise the death of a process fails only the task that it ran. */
  isBroken(): boolean {
    try {
      this.#executor.submit(this.#functions.tryModule, "").cancel();
      return false;
    } catch {
      return true;
    }
  }

  /** Takes no more tasks, and waits until those that it has are done. */
  async shutdown(): Promise<void> {
    await this.#executor.shutdown();
  }
}

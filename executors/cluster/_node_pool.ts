/**
 * The processes that run a node's tasks. No other file of the cluster knows of the executor of another kind.
 *
 * @module
 */

import { type Future, internals } from "../../futures/future.ts";
import { poolOf } from "../_owner/executor_core.ts";
import { ProcessPoolExecutor, type ProcessPoolExecutorOptions } from "../processes/process_pool_executor.ts";
import type { Functions } from "./_functions.ts";
import type { Call, Returned } from "./_run_job.ts";

/** What the processes may do. */
export type Permissions = NonNullable<ProcessPoolExecutorOptions["permissions"]>;

/** How long a task may run, and how long it has to end by itself when that is over. */
export interface Limits {
  readonly timeout?: number;
  readonly grace?: number;
}

/** Where a task ran, and when, by this machine's clock. */
export interface Ran {
  /** Which of all processes that were ever started. */
  readonly worker: number;
  readonly began: number;
  readonly ended: number;
}

/** See above. */
export class NodePool {
  readonly #executor: ProcessPoolExecutor;
  readonly #functions: Pick<Functions, "forProcesses">;
  readonly #ran = new WeakMap<Future<unknown>, Ran>();

  /**
   * @param workers How many processes run tasks at once.
   * @param functions What the processes call.
   */
  constructor(workers: number, permissions: Permissions, functions: Pick<Functions, "forProcesses">) {
    this.#executor = new ProcessPoolExecutor({ maxWorkers: workers, permissions, onWorkerCrash: "replace" });
    poolOf(this.#executor).watch.hear((future, times) => times && this.#ran.set(future, times));
    this.#functions = functions;
  }

  /**
   * Runs a task.
   *
   * @param module The URL of its module.
   * @param onProgress Is called with what the task reports while it runs.
   * @throws {BrokenProcessPool} No process can be started any more.
   */
  run(module: string, call: Call, { timeout, grace }: Limits, onProgress: (value: unknown) => void): Future<Returned> {
    const { runTask } = this.#functions.forProcesses(module);
    const future = timeout === undefined
      ? this.#executor.submit(runTask, call)
      : this.#executor.with({ timeout, grace }).submit(runTask, call);
    future.addProgressCallback(onProgress);
    return future;
  }

  /**
   * Has a task end: by its signal, and after its grace with its process. Cancels it if it has not begun.
   *
   * @param grace How long it has to end by itself, in milliseconds; by default 100.
   */
  abort(future: Future<Returned>, grace: number | undefined): void {
    if (grace !== undefined) internals.setControl(future, { fn: "", ...internals.controlOf(future), grace });
    future.abort();
  }

  /** Whether a task that has failed was stopped because it ran for too long. */
  hasTimedOut(future: Future<Returned>): boolean {
    return internals.controlOf(future)?.hasTimedOut === true;
  }

  /** Where and when a task ran that is done. */
  ranOf(future: Future<Returned>): Ran | undefined {
    return this.#ran.get(future);
  }

  /** Loads modules of tasks in a process: what each comes to, in their order. */
  tryModules(urls: readonly string[]): Future<void>[] {
    // All at once: a process can load those that were known when it was started.
    return urls.map((url) => this.#executor.submit(this.#functions.forProcesses(url).tryModule));
  }

  /** Whether the pool takes no more tasks. Otherwise the death of a process fails only the task that it ran. */
  isBroken(): boolean {
    try {
      poolOf(this.#executor).whenRoom(true);
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

/**
 * Runs functions in parallel, in threads and child processes, and returns futures that you can await or block on:
 * Python's `concurrent.futures` for Deno. Threads need `--allow-read`; processes need `--allow-run`, too.
 *
 * @example Parallel in twelve lines
 * ```ts
 * import { ThreadPoolExecutor } from "@concurrent/futures";
 *
 * function countPrimes(limit: number): number {
 *   let count = 0;
 *   for (let n = 2, d; n < limit; n++) {
 *     for (d = 2; d * d <= n && n % d !== 0; d++);
 *     if (d * d > n) count++;
 *   }
 *   return count;
 * }
 * using pool = new ThreadPoolExecutor(); // all cores, until the block ends
 * console.log([...pool.map(countPrimes, [1e5, 2e5])]); // [ 9592, 17984 ]
 * console.log(pool.submit(countPrimes, 3e5).result()); // 25997: it blocks
 * ```
 *
 * 1. Put tasks into a module of their own and export them: workers import them from there. A function that is not
 *    exported is sent as source text, and must not use variables from around it.
 * 2. Guard a main module that exports tasks with `if (import.meta.main) { … }`, because workers import it, too.
 * 3. Values are copied: a task does not see what the program changes after `submit`.
 *
 * Read on: [which executor, functions and values][guide] · [threads] · [processes and security][processes] ·
 * [many machines][clusters] · [without a pool][parallel] · [a bar for loops][progress] ·
 * [coming from Python][futures]
 *
 * [guide]: https://github.com/concurrent-futures/futures/blob/main/executors/README.md
 * [threads]: https://github.com/concurrent-futures/futures/blob/main/executors/threads/README.md
 * [processes]: https://github.com/concurrent-futures/futures/blob/main/executors/processes/README.md
 * [clusters]: https://github.com/concurrent-futures/futures/blob/main/executors/cluster/README.md
 * [parallel]: https://github.com/concurrent-futures/futures/blob/main/executors/parallel/README.md
 * [progress]: https://github.com/concurrent-futures/futures/blob/main/executors/progress/README.md
 * [futures]: https://github.com/concurrent-futures/futures/blob/main/futures/README.md
 *
 * @module
 */

export { asCompleted, type AsCompletedOptions, type CompletedFutures } from "./futures/as_completed.ts";
export {
  BrokenExecutor,
  BrokenProcessPool,
  BrokenThreadPool,
  CancelledError,
  InvalidStateError,
  type ProcessEnd,
  QueueFullError,
  SerializationError,
  ShutdownError,
  TaskExitError,
  TaskNotFoundError,
  TimeoutError,
} from "./futures/errors.ts";
export { Future, type FutureState } from "./futures/future.ts";
export {
  ALL_COMPLETED,
  type DoneAndNotDone,
  FIRST_COMPLETED,
  FIRST_EXCEPTION,
  type ReturnWhen,
  wait,
  type WaitOptions,
  waitSync,
} from "./futures/wait.ts";
export { Executor, type ShutdownOptions } from "./executors/executor.ts";
export { type CurrentJob, type CurrentTask, currentTask, reportProgress } from "./executors/current_task.ts";
export { type MapInputs, type MapOptions, type MapResults, type SettledMapOptions } from "./executors/map.ts";
export { type PoolStats, type PoolTimes } from "./executors/pool_stats.ts";
export { type ChromeTrace, type ChromeTraceEvent, type PoolTrace, type TracedTask } from "./executors/pool_trace.ts";
export { ProcessPoolExecutor, type ProcessPoolExecutorOptions } from "./executors/processes/process_pool_executor.ts";
export { registerError } from "./executors/register_error.ts";
export { repeat } from "./executors/repeat.ts";
export { type ControlledExecutor, type TaskOptions } from "./executors/task_options.ts";
export { taskRef } from "./executors/task_ref.ts";
export { ThreadPoolExecutor, type ThreadPoolExecutorOptions } from "./executors/threads/thread_pool_executor.ts";
export { transfer } from "./executors/transfer.ts";

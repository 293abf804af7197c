/**
 * Python's `concurrent.futures` for Deno: run functions in parallel, and await or block on their futures.
 *
 * @example Five lines
 * ```ts
 * import { ThreadPoolExecutor } from "@concurrent/futures";
 * import { assertEquals } from "@std/assert";
 *
 * using pool = new ThreadPoolExecutor();
 * const future = pool.submit((n: number) => n * n, 7);
 * assertEquals(future.result(), 49); // blocks, as in Python
 * assertEquals(await future, 49); // or is awaited
 * ```
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
export { type MapInputs, type MapOptions, type MapResults } from "./executors/map.ts";
export { ProcessPoolExecutor, type ProcessPoolExecutorOptions } from "./executors/processes/process_pool_executor.ts";
export { registerError } from "./executors/register_error.ts";
export { taskRef } from "./executors/task_ref.ts";
export { ThreadPoolExecutor, type ThreadPoolExecutorOptions } from "./executors/threads/thread_pool_executor.ts";
export { transfer } from "./executors/transfer.ts";

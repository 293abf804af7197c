/**
 * {@linkcode ThreadPoolExecutor}: an executor on Web Workers.
 *
 * On purpose not as in Python: threads share no memory but `SharedArrayBuffer`s, so arguments and results are copied;
 * `map` sends several items at once, also here; an error of the initializer is the `cause` of the pool's.
 *
 * @module
 */

import { checkCount } from "../../futures/check.ts";
import { inspect } from "../../futures/inspect.ts";
import { BrokenThreadPool } from "../../futures/errors.ts";
import type { Future } from "../../futures/future.ts";
import { entry } from "../_owner/entry.ts";
import type { MapTarget } from "../_map/map.ts";
import { checkBag, checkInitializer, requestReadOfOwnModules } from "../_owner/options.ts";
import { ExecutorCore } from "../_owner/executor_core.ts";
import { chunked, Executor, type ShutdownOptions } from "../executor.ts";

/** Options of {@linkcode ThreadPoolExecutor}. */
export interface ThreadPoolExecutorOptions {
  /**
   * The maximum number of threads, an integer of at least 1.
   *
   * @default {Math.min(32, navigator.hardwareConcurrency + 4)}
   */
  maxWorkers?: number;
  /**
   * The beginning of the threads' names. They are `<prefix>_0`, `<prefix>_1` and so on; a task reads its own in
   * `self.name`.
   *
   * @default {"ThreadPoolExecutor-<n>"}
   */
  threadNamePrefix?: string;
  /**
   * A function to call in each thread before its first task. If it throws, the pool is broken.
   *
   * The unfinished futures, and later calls of `submit`, then fail with a {@linkcode BrokenThreadPool}, whose `cause`
   * is the error of the initializer.
   *
   * @example Prepare each thread
   * ```ts
   * import { ThreadPoolExecutor } from "@concurrent/futures";
   * import { assertEquals } from "@std/assert";
   *
   * using pool = new ThreadPoolExecutor({
   *   maxWorkers: 2,
   *   initializer: (level: string) => Object.assign(globalThis, { level }),
   *   initargs: ["debug"],
   * });
   * const level = () => Reflect.get(globalThis, "level");
   * assertEquals(pool.submit(level).result(), "debug");
   * ```
   */
  // deno-lint-ignore no-explicit-any -- any parameters: constructors cannot be generic
  initializer?: (...args: any[]) => unknown;
  /**
   * The arguments of the initializer, which are copied for each thread.
   *
   * @default {[]}
   */
  initargs?: readonly unknown[];
}

/** How many pools have been given a name. */
let named = 0;

/**
 * Runs functions in threads of this process: Web Workers that take tasks from a queue in shared memory.
 *
 * Use threads for computations on several cores, for calls that block, and for many small tasks. `submit` runs one
 * call, {@linkcode Executor.prototype.map | map()} one for each item of its inputs.
 *
 * - Threads start on demand: each `submit` starts one if none is idle, up to `maxWorkers`.
 * - A thread runs one task at a time. A task that returns a promise holds its thread until the promise settles.
 * - Threads keep running while this thread computes or blocks.
 * - A program that ends without shutting the pool down still runs all its tasks.
 * - The program needs `--allow-read` for the modules that threads load.
 *
 * Limits:
 *
 * - A thread cannot be killed while it computes. An endless loop in a task keeps the program alive until `Deno.exit()`.
 * - If a thread runs out of memory, the program ends.
 * - Tasks have the permissions of the program. Use a {@linkcode ProcessPoolExecutor} for code that you do not trust.
 * - A task that waits for another task of the same pool waits forever if no thread is left for that one.
 *
 * @example Submit a call, map a list, wait for several
 * ```ts
 * import { asCompleted, ThreadPoolExecutor } from "@concurrent/futures";
 * import { assertEquals } from "@std/assert";
 *
 * await using pool = new ThreadPoolExecutor({ maxWorkers: 2 });
 * const power = (x: number, y: number) => x ** y;
 * const length = (word: string) => word.length;
 *
 * assertEquals(await pool.submit(power, 2, 10), 1024);
 * assertEquals([...pool.map(length, ["a", "bc"])], [1, 2]);
 * for await (const future of asCompleted([pool.submit(length, "abc")])) {
 *   assertEquals(future.result(), 3);
 * }
 * ```
 *
 * @see {@link https://github.com/concurrent-futures/futures/blob/main/executors/README.md | The guide to executors}
 * @see {@link https://docs.python.org/3/library/concurrent.futures.html#threadpoolexecutor | Python's manual}
 */
export class ThreadPoolExecutor extends Executor {
  readonly #core: ExecutorCore;

  /**
   * Creates an executor. It starts no thread until there is a task.
   *
   * @param options The maximum number of threads, or an object of options.
   * @throws {RangeError} If `maxWorkers` is not an integer of at least 1.
   * @throws {TypeError} If an option has the wrong type.
   * @throws {SerializationError} If `initargs` contain something to {@linkcode transfer} that is not a buffer.
   * @throws {InvalidStateError} If a worker is importing this module. To fix it, put the program into
   * `if (import.meta.main) { … }`.
   */
  constructor(options: number | ThreadPoolExecutorOptions = {}) {
    super();
    const {
      maxWorkers = Math.min(32, navigator.hardwareConcurrency + 4),
      threadNamePrefix = "",
      initializer,
      initargs = [],
    } = typeof options === "number" ? { maxWorkers: options } : checkBag(options);
    checkCount("maxWorkers", maxWorkers);
    const call = checkInitializer(initializer, initargs);
    if (typeof threadNamePrefix !== "string") {
      throw new TypeError(`The option threadNamePrefix must be a string: ${inspect(threadNamePrefix)}`);
    }
    const prefix = threadNamePrefix || `ThreadPoolExecutor-${named++}`;
    this.#core = new ExecutorCore(this, {
      name: "ThreadPoolExecutor",
      maxConsumers: maxWorkers,
      mapWorkers: maxWorkers,
      sameProcess: true,
      initializer: call,
      detail: "msPerItem",
      stop: "terminate",
      startWorker: (index) => startThread(`${prefix}_${index}`),
      brokenError: (message, cause) => new BrokenThreadPool(message, { cause }),
    });
  }

  /**
   * Schedules a call of a function in a thread, and returns its future.
   *
   * The arguments are copied during the call. The thread finds the function again in one of three ways:
   *
   * - by its {@linkcode taskRef};
   * - as an export of the module that calls `submit`, of one that this module imports, or of the main module;
   * - otherwise by its source text, which must not use names from around it.
   *
   * @example A function that returns a promise
   * ```ts
   * import { ThreadPoolExecutor } from "@concurrent/futures";
   * import { assertEquals } from "@std/assert";
   *
   * using pool = new ThreadPoolExecutor();
   * const later = async (ms: number) => {
   *   await new Promise((resolve) => setTimeout(resolve, ms));
   *   return ms;
   * };
   * assertEquals(await pool.submit(later, 5), 5);
   * ```
   *
   * @typeParam A The types of the function's parameters.
   * @typeParam R The type that the function returns.
   * @param fn The function to call.
   * @param args The arguments of the call. If one cannot be sent, `submit` does not throw: the future fails with a
   * {@linkcode SerializationError}.
   * @returns The future of what the function returns or, if that is a promise, of what the promise resolves to.
   * @throws {TypeError} If `fn` is not a function.
   * @throws {BrokenThreadPool} If the pool is broken.
   * @throws {ShutdownError} If the pool was shut down.
   * @throws {InvalidStateError} If a worker is importing this module. To fix it, put the program into
   * `if (import.meta.main) { … }`.
   */
  override submit<A extends unknown[], R>(fn: (...args: A) => R, ...args: A): Future<Awaited<R>> {
    return this.#core.pool.submit(fn, args) as Future<Awaited<R>>;
  }

  /**
   * Sends several items at once.
   *
   * @ignore
   */
  // deno-lint-ignore no-explicit-any -- any function will do
  protected override [chunked](fn: (...args: any[]) => unknown): MapTarget {
    return this.#core.target(fn);
  }

  /**
   * Stops taking tasks, and waits without blocking until all threads have ended.
   *
   * Tasks that are running or waiting still run, unless `cancelFutures` cancels those that have not started. A later
   * `submit` throws a {@linkcode ShutdownError}. It is safe to call `shutdown` again.
   *
   * @param options Whether to wait, and whether to cancel.
   * @returns A promise that resolves when all threads have ended, or at once with `wait: false`.
   */
  override shutdown(options: ShutdownOptions = {}): Promise<void> {
    return this.#core.shutdown(options);
  }

  /**
   * Stops taking tasks, and blocks the calling thread until all threads have ended.
   *
   * Apart from that, it does what {@linkcode ThreadPoolExecutor.prototype.shutdown | shutdown()} does. Tasks that need
   * the calling thread, such as a server that runs on it, then wait forever.
   *
   * @param options Whether to wait, and whether to cancel.
   */
  override shutdownSync(options: ShutdownOptions = {}): void {
    this.#core.shutdownSync(options);
  }
}

const THREAD_WORKER = entry(import.meta.resolve("./_thread_worker.ts"), () => import("./_thread_worker.ts"));

function startThread(name: string): Worker {
  requestReadOfOwnModules("start a thread", THREAD_WORKER);
  return new Worker(THREAD_WORKER, { type: "module", name });
}

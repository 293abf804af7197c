/**
 * {@linkcode ThreadPoolExecutor}: an executor on Web Workers.
 *
 * On purpose not as in Python: threads share no memory but `SharedArrayBuffer`s, so arguments and results are copied;
 * `map` sends several items at once, also here; an error of the initializer is the `cause` of the pool's.
 *
 * @module
 */

import { checkBoolean, checkCount, checkDuration } from "../../futures/check.ts";
import { inspect } from "../../futures/inspect.ts";
import { BrokenThreadPool } from "../../futures/errors.ts";
import type { Future } from "../../futures/future.ts";
import { entry } from "../_owner/entry.ts";
import type { Controlled } from "../_map/controlled.ts";
import type { MapTarget } from "../_map/map.ts";
import { checkBag, checkInitializer, requestReadOfOwnModules } from "../_owner/options.ts";
import { ExecutorCore } from "../_owner/executor_core.ts";
import { chunked, controlled, Executor, type ShutdownOptions } from "../executor.ts";
import type { PoolStats } from "../pool_stats.ts";
import type { PoolTrace } from "../pool_trace.ts";

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
  /**
   * The maximum number of tasks that may wait, an integer of at least 1. By default there is no limit.
   *
   * A task waits until a worker starts it or somebody cancels it. Each item of a `map` is a task. If as many tasks
   * wait, `submit` throws a {@linkcode QueueFullError}, and `map` waits by itself. To wait for room, use `ready()`.
   */
  maxQueued?: number;
  /**
   * The time for which a thread may have nothing to do before it ends, in milliseconds, more than 0. By default it
   * stays.
   *
   * All threads may end like that. The next task starts one again, with its initializer. Java's `ThreadPoolExecutor`
   * has it as the keep-alive time.
   */
  idleTimeout?: number;
  /**
   * Whether the error of a task says where that was submitted.
   *
   * Its stack then ends with a line `submitted at <file>:<line>:<column>`, and with the callers of that line. For a
   * `map` it is where `map` was called. To note this takes some microseconds for each call of `submit`, more than a
   * quick task costs in a thread, so it is off by default.
   *
   * @default {false}
   *
   * @example Which of many calls has failed
   * ```ts
   * import { ThreadPoolExecutor } from "@concurrent/futures";
   * import { assertMatch } from "@std/assert";
   *
   * using pool = new ThreadPoolExecutor({ maxWorkers: 1, submittedAt: true });
   * const parse = (text: string) => JSON.parse(text);
   * const error = pool.submit(parse, "{").exception() as Error;
   * assertMatch(error.stack!, /submitted at .*:\d+:\d+/);
   * ```
   */
  submittedAt?: boolean;
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
 * - A thread cannot be killed while it computes. A task that is stopped should look at {@linkcode CurrentTask.signal};
 *   if it does not, its thread is given up, and keeps a core busy until the task or the program ends. An endless loop
 *   that nobody stops keeps the program alive until `Deno.exit()`.
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
   * @throws {RangeError} If `maxWorkers` or `maxQueued` is not an integer of at least 1, or `idleTimeout` is not more
   * than 0.
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
      maxQueued,
      idleTimeout,
      submittedAt = false,
    } = typeof options === "number" ? { maxWorkers: options } : checkBag(options);
    checkCount("maxWorkers", maxWorkers);
    const call = checkInitializer(initializer, initargs);
    if (maxQueued !== undefined) checkCount("maxQueued", maxQueued);
    checkBoolean("submittedAt", submittedAt);
    if (idleTimeout !== undefined) checkDuration("idleTimeout", idleTimeout);
    if (typeof threadNamePrefix !== "string") {
      throw new TypeError(`The option threadNamePrefix must be a string: ${inspect(threadNamePrefix)}`);
    }
    const prefix = threadNamePrefix || `ThreadPoolExecutor-${named++}`;
    this.#core = new ExecutorCore(this, {
      name: "ThreadPoolExecutor",
      maxConsumers: maxWorkers,
      maxQueued,
      idleTimeout,
      submittedAt,
      mapWorkers: maxWorkers,
      sameProcess: true,
      carriesSignals: true,
      initializer: call,
      detail: "msPerItem",
      bindsArguments: true,
      settlesChunks: true,
      stop: "terminate",
      workerName: (index) => `${prefix}_${index}`,
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
   * @throws {QueueFullError} If as many tasks wait as `maxQueued` allows.
   * @throws {InvalidStateError} If a worker is importing this module. To fix it, put the program into
   * `if (import.meta.main) { … }`.
   */
  override submit<A extends unknown[], R>(fn: (...args: A) => R, ...args: A): Future<Awaited<R>> {
    return this.#core.pool.submit(fn, args) as Future<Awaited<R>>;
  }

  /**
   * Waits until there is room for another task, if the option `maxQueued` limits how many may wait.
   *
   * If several callers wait, each place is offered to the one that came first. Call `submit` right after the `await`:
   * another call of `submit` may take the place otherwise.
   *
   * @example A producer that is quicker than its workers
   * ```ts
   * import { ThreadPoolExecutor } from "@concurrent/futures";
   * import { assertEquals } from "@std/assert";
   *
   * await using pool = new ThreadPoolExecutor({ maxWorkers: 1, maxQueued: 2 });
   * const futures = [];
   * for (let n = 1; n <= 5; n++) {
   *   await pool.ready();
   *   futures.push(pool.submit((n: number) => n * n, n));
   * }
   * assertEquals(await Promise.all(futures), [1, 4, 9, 16, 25]);
   * ```
   *
   * @returns A promise that resolves when there is room, or at once without `maxQueued`. It rejects with a
   * {@linkcode ShutdownError} if the pool is shut down, and with a {@linkcode BrokenThreadPool} if it is broken.
   */
  ready(): Promise<void> {
    return this.#core.ready();
  }

  /**
   * Returns what the pool does now, and how its tasks ended so far. Calling it each second costs next to nothing.
   *
   * The counts are exact. Of the times of many quick tasks only some are measured, because measuring each would take
   * longer than running it: see {@linkcode PoolStats.runTime}.
   *
   * @example How long tasks take
   * ```ts
   * import { ThreadPoolExecutor } from "@concurrent/futures";
   * import { assert, assertEquals } from "@std/assert";
   *
   * await using pool = new ThreadPoolExecutor({ maxWorkers: 1 });
   * await pool.submit(() => new Promise((resolve) => setTimeout(resolve, 20)));
   * const { workers, idle, done, runTime } = pool.stats();
   * assertEquals([workers, idle, done], [1, 1, 1]);
   * assert(runTime.mean >= 15);
   * assertEquals(String(pool), "<ThreadPoolExecutor workers=1 idle=1 running=0 queued=0 done=1 failed=0>");
   * ```
   *
   * @returns The numbers of this moment.
   */
  stats(): PoolStats {
    return this.#core.stats();
  }

  /**
   * Starts a trace, which records each task that is submitted from now on, when it ends.
   *
   * Write the trace to a file, and open it in {@link https://ui.perfetto.dev} or `chrome://tracing`: a row for each
   * thread, a bar for each task with its name, how long it waited, and how it ended. Tasks that no worker ran have
   * a row of their own.
   *
   * Measuring a task takes about as long as a task that does nothing. The trace grows, so stop it in time. Two traces
   * of a pool are independent of each other.
   *
   * @example Where the time goes
   * ```ts
   * import { ThreadPoolExecutor } from "@concurrent/futures";
   * import { assertEquals } from "@std/assert";
   *
   * await using pool = new ThreadPoolExecutor({ maxWorkers: 2 });
   * using trace = pool.trace();
   * await pool.submit(function rest() {
   *   return new Promise((resolve) => setTimeout(resolve, 20));
   * });
   * trace.stop();
   * const [task] = trace.toJSON().traceEvents.filter(({ ph }) => ph === "X");
   * assertEquals([task.name, task.tid, task.dur! >= 15_000], ["rest", 1, true]);
   * // For a viewer: await Deno.writeTextFile("trace.json", JSON.stringify(trace));
   * ```
   *
   * @returns The trace.
   */
  trace(): PoolTrace {
    return this.#core.trace();
  }

  /** Returns the text form, such as `<ThreadPoolExecutor workers=4 idle=2 running=2 queued=17 done=1200 failed=1>`. */
  override toString(): string {
    return this.#core.toString();
  }

  /** The text form that `console.log` shows. */
  [Symbol.for("Deno.customInspect")](): string {
    return this.toString();
  }

  /** The text form that Node's `util.inspect` shows. */
  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return this.toString();
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
   * Submits tasks with options.
   *
   * @ignore
   */
  protected override [controlled](): Controlled {
    return this.#core.controlled;
  }

  /**
   * Stops taking tasks, and waits without blocking until all threads have ended.
   *
   * Tasks that are running or waiting still run, unless `cancelFutures` cancels those that have not started. A later
   * `submit` throws a {@linkcode ShutdownError}. It is safe to call `shutdown` again. Threads that were given up,
   * because a stopped task did not end, are not waited for.
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

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
   * How many threads there are at the most, an integer of at least 1.
   *
   * @default {Math.min(32, navigator.hardwareConcurrency + 4)}
   */
  maxWorkers?: number;
  /**
   * What the threads' names begin with: they are called `<prefix>_<i>`, and find it in `self.name`.
   *
   * @default {"ThreadPoolExecutor-<n>"}
   */
  threadNamePrefix?: string;
  /** Called in each thread before its first task. If it throws, the pool is broken. */
  // deno-lint-ignore no-explicit-any -- any parameters: constructors cannot be generic
  initializer?: (...args: any[]) => unknown;
  /**
   * The initializer's arguments, copied for each thread: what cannot be copied, such as a port, is refused.
   *
   * @default {[]}
   */
  initargs?: readonly unknown[];
}

/** How many pools have been given a name. */
let named = 0;

/**
 * Runs functions in threads: Web Workers that take tasks out of a queue in shared memory by themselves, so they go on
 * while this thread computes or blocks.
 *
 * Threads are started on demand: one per submit while none is idle, up to `maxWorkers`. Each runs one task at a time; a
 * task that returns a promise holds its thread until the promise settles. A program that ends without shutting down
 * still runs all that it submitted.
 *
 * A thread cannot be killed while it computes: an endless loop in a task keeps the program alive until `Deno.exit()`.
 * Running out of memory in a thread ends the program. Tasks may do what the program may. Use processes where that
 * matters, and for code that is not trusted. A task that waits for another task of the same pool can wait for ever.
 *
 * @example Submit, map, wait
 * ```ts
 * import { asCompleted, ThreadPoolExecutor } from "@concurrent/futures";
 * import { assertEquals } from "@std/assert";
 *
 * await using pool = new ThreadPoolExecutor({ maxWorkers: 2 });
 * assertEquals(await pool.submit((x: number, y: number) => x ** y, 2, 10), 1024);
 * assertEquals([...pool.map((word: string) => word.length, ["a", "bc"])], [1, 2]);
 * for await (const future of asCompleted([pool.submit(() => "done")])) {
 *   assertEquals(future.result(), "done");
 * }
 * ```
 *
 * @see Python's manual on ThreadPoolExecutor.
 */
export class ThreadPoolExecutor extends Executor {
  readonly #core: ExecutorCore;

  /**
   * Makes an executor; threads are started when there is work.
   *
   * @param options How many threads at the most, or an object of options.
   * @throws {RangeError} `maxWorkers` is not an integer of at least 1.
   * @throws {TypeError} An option is of the wrong type.
   * @throws {SerializationError} `initargs` transfer something else than buffers.
   * @throws {InvalidStateError} A worker is importing a task's module just now: guard the program with
   * `if (import.meta.main)`.
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
      throw new TypeError(`Cannot use threadNamePrefix as text: ${inspect(threadNamePrefix)}`);
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
   * Queues a call of a function in a thread. The arguments are copied now.
   *
   * The function is found again in the thread by a {@linkcode taskRef}, else as an export of the module that calls
   * this, of one that it imports, or of the main module; else its source text is sent, which must not use names from
   * around it.
   *
   * @example Several kinds of functions
   * ```ts
   * import { ThreadPoolExecutor } from "@concurrent/futures";
   * import { assertEquals } from "@std/assert";
   *
   * using pool = new ThreadPoolExecutor();
   * assertEquals(pool.submit((a: bigint, b: bigint) => a ** b, 323n, 3n).result(), 33698267n);
   * assertEquals(await pool.submit(async (ms: number) => {
   *   await new Promise((resolve) => setTimeout(resolve, ms));
   *   return ms;
   * }, 5), 5);
   * ```
   *
   * @typeParam A The function's parameters.
   * @typeParam R What it returns.
   * @param fn The function.
   * @param args Its arguments. One that cannot cross fails the future with a `SerializationError`; this method does not
   * throw for it.
   * @returns The future of what the function returns, or what its promise resolves to.
   * @throws {TypeError} `fn` is not a function.
   * @throws {BrokenThreadPool} The pool is broken.
   * @throws {ShutdownError} The pool was shut down.
   * @throws {InvalidStateError} A worker is importing a task's module just now.
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
   * Takes no more work. What is running or queued still runs, unless it is cancelled; later calls of `submit` throw a
   * `ShutdownError`. May be called again.
   *
   * @param options Whether to wait, and whether to cancel what is queued.
   * @returns A promise that resolves when every thread is gone; with `wait: false` at once.
   */
  override shutdown(options: ShutdownOptions = {}): Promise<void> {
    return this.#core.shutdown(options);
  }

  /**
   * As {@linkcode shutdown}, blocking the calling thread. Tasks that need this thread, such as a server that runs on
   * it, then wait for ever.
   *
   * @param options Whether to wait, and whether to cancel what is queued.
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

/**
 * An executor whose workers are on other machines.
 *
 * @module
 */

import { TaskNotFoundError } from "../../futures/errors.ts";
import type { Future } from "../../futures/future.ts";
import type { ConsumerStart } from "../_queue/protocol.ts";
import type { Definition } from "../_functions/definition.ts";
import { entry } from "../_owner/entry.ts";
import type { MapTarget } from "../_map/map.ts";
import { requestReadOfOwnModules } from "../_owner/options.ts";
import { ExecutorCore } from "../_owner/executor_core.ts";
import { chunked, Executor, type ShutdownOptions } from "../executor.ts";
import type { PoolStats } from "../pool_stats.ts";
import { BrokenCluster } from "./errors.ts";
import type { TlsOptions } from "./_address.ts";
import type { ClusterBrokerStart } from "./_cluster_broker.ts";
import type { ClusterReport } from "./_in_flight.ts";
import { checkOptions } from "./_options.ts";
import { reportedError } from "./_report_error.ts";

/** How long a task that has thrown waits until it is tried again. */
export interface Backoff {
  /**
   * How the pauses grow.
   *
   * - `"fixed"`: the same pause each time.
   * - `"exponential"`: each pause is twice as long as the one before.
   */
  type: "fixed" | "exponential";
  /** The first pause, in milliseconds. */
  delay: number;
  /**
   * The part of each pause that is random, from 0 to 1.
   *
   * @default {0}
   */
  jitter?: number;
}

/** Options of {@linkcode ClusterExecutor}. */
export interface ClusterExecutorOptions {
  /**
   * The URL of the server, such as `redis://user:password@host:6379/0`, or `rediss:` for TLS.
   *
   * @default {"redis://127.0.0.1:6379"}
   */
  redis?: string | URL;
  /** Certificates for `rediss:`, if those of the system are not enough. */
  tls?: TlsOptions;
  /**
   * The name of the queue, without a colon. A node serves one queue.
   *
   * @default {"futures"}
   */
  queue?: string;
  /**
   * The beginning of all keys on the server, without a colon. It has to be the same on the nodes.
   *
   * @default {"bull"}
   */
  prefix?: string;
  /**
   * The modules that the nodes know by another name than that of their file: a path or a URL for each name.
   *
   * A node gives a module such a name with `--module name=path`.
   */
  modules?: { [name: string]: string | URL };
  /**
   * The number of times that a task that throws is tried, including the first one; an integer of at least 1.
   *
   * @default {1}
   */
  attempts?: number;
  /** The pause before a task is tried again: milliseconds, or a {@linkcode Backoff}. By default there is none. */
  backoff?: number | Backoff;
  /**
   * The priority of the tasks, from 1 (the first in line) to 2,097,151. By default they have none, and run before all
   * that have one.
   */
  priority?: number;
  /**
   * How long the server keeps results, in milliseconds; at least 1,000.
   *
   * A program that was cut off from the server finds its results again within that time. Large results are removed as
   * soon as they have arrived.
   *
   * @default {600_000}
   */
  keepResults?: number;
  /**
   * How long the server can be out of reach before all futures fail with a {@linkcode BrokenCluster}, in milliseconds
   * since its last answer.
   *
   * @default {60_000}
   */
  unreachableAfter?: number;
  /**
   * The maximum number of tasks that may wait, an integer of at least 1. By default there is no limit.
   *
   * A task waits until a node has started it and has said so, or until somebody cancels it. Each item of a `map` is a
   * task. If as many tasks wait, `submit` throws a `QueueFullError`, and `map` waits by itself.
   */
  maxQueued?: number;
}

/**
 * The future of a task that a {@linkcode ClusterExecutor} runs: a
 * {@linkcode https://jsr.io/@concurrent/futures/doc/~/Future | Future} with two more members.
 *
 * - `attempts`: how many times a node has started the task. It is known when the future is done, and is more than 1 if
 *   the task was tried again or its node was lost.
 * - `onProgress(callback)`: calls a function with each value that the task gives to {@linkcode reportProgress} from now
 *   on. An error that the function throws is reported as an uncaught error.
 *
 * @typeParam T The type of the task's result.
 */
export type ClusterFuture<T> = Future<T> & {
  /**
   * How many times a node has started the task. It is known when the future is done, and is more than 1 if the task was
   * tried again or its node was lost.
   */
  readonly attempts: number;
  /**
   * Calls a function with each value that the task gives to {@linkcode reportProgress} from now on.
   *
   * @param callback The function to call. An error that it throws is reported as an uncaught error.
   */
  onProgress(callback: (value: unknown) => void): void;
};

/** How long `cancel()` waits for the broker to take a task back, in milliseconds: the server or a node may be slow. */
const RECALL_MS = 5_000;

/** For how many workers the chunks of a map are made, since nobody knows how many there are. */
const MAP_WORKERS = 8;

/**
 * Runs functions on other machines, which get their tasks from a queue on a Redis or Valkey server.
 *
 * The tasks run on *nodes*: processes on these machines, started by the command `@concurrent/futures/node`. The methods
 * and futures are those of every {@linkcode https://jsr.io/@concurrent/futures/doc/~/Executor | Executor}: `map()` and
 * `cancel()` work as on one machine, futures can be awaited or block, and errors arrive as instances of their class.
 *
 * - A task has to be a function that a module exports, and each node needs that module. Only its name and its arguments
 *   are sent, never its source text.
 * - A task runs **at least once**. If its node dies, another node runs it again, so a task that changes something
 *   outside must be able to run twice. {@linkcode currentJob} tells it which job it is.
 * - The program needs `--allow-net` for the server, `--allow-env`, and `--allow-read`.
 * - There are no initializers.
 *
 * The engine is [BullMQ](https://docs.bullmq.io). Its dashboards show the jobs, and programs in other languages can add
 * jobs and run them.
 *
 * @example Many tasks on many machines
 * ```ts ignore
 * // A sketch: it needs a server, a node, and tasks.ts on both sides.
 * import { ClusterExecutor } from "@concurrent/futures/cluster";
 * import { resize } from "./tasks.ts";
 *
 * await using pool = new ClusterExecutor({ redis: "redis://10.0.0.1:6379" });
 * for await (const name of pool.map(resize, ["a.jpg", "b.jpg"])) {
 *   console.log(name);
 * }
 * ```
 *
 * @example A server that cannot be reached
 * ```ts
 * import { taskRef } from "@concurrent/futures";
 * import {
 *   BrokenCluster,
 *   ClusterExecutor,
 * } from "@concurrent/futures/cluster";
 * import { assertInstanceOf } from "@std/assert";
 *
 * using pool = new ClusterExecutor({
 *   redis: "redis://127.0.0.1:1", // no server listens there
 *   unreachableAfter: 100,
 * });
 * const path = import.meta.resolve("@std/path");
 * const basename = taskRef<(path: string) => string>(path, "basename");
 * const future = pool.submit(basename, "docs/index.md");
 * assertInstanceOf(future.exception(), BrokenCluster);
 * ```
 *
 * @see
 * {@link https://github.com/concurrent-futures/futures/blob/main/executors/cluster/README.md | The guide to clusters}
 */
export class ClusterExecutor extends Executor {
  readonly #core: ExecutorCore;

  /**
   * Creates an executor. It does not connect to the server until there is a task.
   *
   * @param options Where the server and the queue are, and how tasks are treated.
   * @throws {TypeError} If an option has the wrong type, `redis` is not such a URL, or a name is empty or has a colon.
   * @throws {RangeError} If a number is out of range, or `backoff.type` has none of its values.
   */
  constructor(options: ClusterExecutorOptions = {}) {
    super();
    const { address, settings, aliases, unreachableAfter, maxQueued } = checkOptions(options);
    const id = crypto.randomUUID();
    this.#core = new ExecutorCore(this, {
      name: "ClusterExecutor",
      maxConsumers: 1,
      maxQueued,
      mapWorkers: MAP_WORKERS,
      sameProcess: false,
      detail: "attempts",
      stop: "ask",
      startWorker: () => startBroker(address.redis),
      startOptions: (): Omit<ClusterBrokerStart, keyof ConsumerStart> => ({
        address,
        settings,
        aliases,
        id,
        unreachableAfter,
      }),
      brokenError: (message, cause) => new BrokenCluster(message, { cause }),
      errorOf: (report) => reportedError(report as ClusterReport, address.queue),
      checkDefinition: refuseWithoutExport,
      recallMs: RECALL_MS,
    });
  }

  /**
   * Schedules a call of a function on a node, and returns its future.
   *
   * The arguments are copied during the call. Cancelling a task can take some milliseconds, and up to five seconds if a
   * node does not answer.
   *
   * @example Progress and attempts
   * ```ts ignore
   * // A sketch: it needs a server, a node, and tasks.ts on both sides.
   * import { ClusterExecutor } from "@concurrent/futures/cluster";
   * import { resize } from "./tasks.ts";
   *
   * await using pool = new ClusterExecutor({ attempts: 3 });
   * const future = pool.submit(resize, "a.jpg");
   * future.onProgress((percent) => console.log(percent));
   * console.log(await future, future.attempts);
   * ```
   *
   * @typeParam A The types of the function's parameters.
   * @typeParam R The type that the function returns.
   * @param fn A function that a module exports, or a `taskRef`. The future fails with a `TaskNotFoundError` if no
   * module exports it, or no node has it.
   * @param args The arguments of the call. If one cannot be sent, `submit` does not throw: the future fails with a
   * `SerializationError`.
   * @returns The future of what the function returns or, if that is a promise, of what the promise resolves to.
   * @throws {TypeError} If `fn` is not a function.
   * @throws {BrokenCluster} If the server is out of reach.
   * @throws {ShutdownError} If the executor was shut down.
   * @throws {QueueFullError} If as many tasks wait as `maxQueued` allows.
   */
  override submit<A extends unknown[], R>(fn: (...args: A) => R, ...args: A): ClusterFuture<Awaited<R>> {
    const { pool } = this.#core;
    const future = pool.submit(fn, args);
    const { events } = pool;
    Object.defineProperties(future, {
      attempts: { get: () => events.attempts(future) },
      onProgress: { value: (callback: (value: unknown) => void) => future.addProgressCallback(callback) },
    });
    return future as ClusterFuture<Awaited<R>>;
  }

  /**
   * Stops a task, even one that is running: its node ends the process, and the future fails with a
   * {@linkcode TaskAbortedError}.
   *
   * A task that has not started is cancelled instead. A task that is done does not change.
   *
   * @example A task that never ends
   * ```ts ignore
   * // A sketch: it needs a server, a node, and tasks.ts on both sides.
   * import { ClusterExecutor } from "@concurrent/futures/cluster";
   * import { loop } from "./tasks.ts";
   *
   * await using pool = new ClusterExecutor();
   * const future = pool.submit(loop);
   * setTimeout(() => pool.abort(future), 10_000);
   * await future.catch((error) => console.log(error.name)); // TaskAbortedError
   * ```
   *
   * @param future A future of this executor.
   */
  abort(future: Future<unknown>): void {
    if (!future.cancel()) this.#core.pool.abort(future as Future<unknown>);
  }

  /**
   * Waits until there is room for another task, if the option `maxQueued` limits how many may wait.
   *
   * If several callers wait, each place is offered to the one that came first. Call `submit` right after the `await`:
   * another call of `submit` may take the place otherwise.
   *
   * @returns A promise that resolves when there is room, or at once without `maxQueued`. It rejects with a
   * `ShutdownError` if the executor is shut down, and with a {@linkcode BrokenCluster} if it is broken.
   */
  ready(): Promise<void> {
    return this.#core.ready();
  }

  /**
   * Returns what the tasks of this executor do now, and how they ended so far.
   *
   * The executor knows no workers: `workers`, `idle`, `lost` and `restarts` are 0. A task runs from when its node says
   * so until its result has arrived.
   *
   * @returns The numbers of this moment.
   */
  stats(): PoolStats {
    return this.#core.stats();
  }

  /** Text form, such as `<ClusterExecutor workers=0 idle=0 running=2 queued=17 done=1200 failed=1>`. */
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
   * Sends several items in one job.
   *
   * @ignore
   */
  // deno-lint-ignore no-explicit-any -- any function will do
  protected override [chunked](fn: (...args: any[]) => unknown): MapTarget {
    return this.#core.target(fn);
  }

  /**
   * Stops taking tasks, and waits without blocking until all futures are done and the connection is closed.
   *
   * Tasks that are running or waiting still run, unless `cancelFutures` cancels those that have not started. The nodes
   * stay up, and jobs of other programs are not touched. It is safe to call `shutdown` again.
   *
   * @param options Whether to wait, and whether to cancel.
   * @returns A promise that resolves when all futures are done and the connection is closed, or at once with
   * `wait: false`.
   */
  override shutdown(options: ShutdownOptions = {}): Promise<void> {
    return this.#core.shutdown(options);
  }

  /**
   * Stops taking tasks, and blocks the calling thread until all futures are done and the connection is closed.
   *
   * Apart from that, it does what {@linkcode ClusterExecutor.prototype.shutdown | shutdown()} does.
   *
   * @param options Whether to wait, and whether to cancel.
   */
  override shutdownSync(options: ShutdownOptions = {}): void {
    this.#core.shutdownSync(options);
  }
}

function refuseWithoutExport(definition: Definition): void {
  if (definition.how !== "source") return;
  throw new TaskNotFoundError(
    `Cannot send the function ${definition.name || "(anonymous)"} to other machines, because no module exports it. ` +
      "To fix it, export it from a module that the nodes load with --module. " +
      `Its text begins: ${definition.source.slice(0, 80)}`,
  );
}

const BROKER = entry(import.meta.resolve("./_cluster_broker.ts"), () => import("./_cluster_broker.ts"));

function startBroker(redis: string): Worker {
  requestReadOfOwnModules("connect to a cluster", BROKER);
  const { hostname, port } = new URL(redis);
  const host = `${hostname}:${port || 6379}`;
  if (Deno.permissions.requestSync({ name: "net", host }).state !== "granted") {
    throw new Deno.errors.NotCapable(
      `Cannot connect to a cluster without permission to reach ${host}. To fix it, run again with --allow-net=${host}`,
    );
  }
  // The engine's libraries look at the whole environment.
  if (Deno.permissions.requestSync({ name: "env" }).state !== "granted") {
    throw new Deno.errors.NotCapable(
      "Cannot connect to a cluster without permission to read the environment. To fix it, run again with --allow-env",
    );
  }
  return new Worker(BROKER, { type: "module", name: "ClusterExecutor" });
}

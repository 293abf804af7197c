/**
 * An executor whose workers are on other machines.
 *
 * @module
 */

import { TaskNotFoundError } from "../../futures/errors.ts";
import type { Future } from "../../futures/future.ts";
import type { ConsumerStart } from "../_queue/protocol.ts";
import type { Definition } from "../_functions/definition.ts";
import type { Controlled } from "../_map/controlled.ts";
import type { MapTarget } from "../_map/map.ts";
import { ExecutorCore } from "../_owner/executor_core.ts";
import type { ClusterFuture, ControlledCluster } from "./cluster_future.ts";
import { chunked, controlled, Executor, type ShutdownOptions } from "../executor.ts";
import type { PoolStats } from "../pool_stats.ts";
import type { PoolTrace } from "../pool_trace.ts";
import type { TaskOptions } from "../task_options.ts";
import { BrokenCluster } from "./errors.ts";
import type { TlsOptions } from "./_address.ts";
import type { ClusterBrokerStart } from "./_cluster_broker.ts";
import type { ClusterReport } from "./_in_flight.ts";
import { checkOptions } from "./_options.ts";
import { reportedError } from "./_report_error.ts";
import { startBroker } from "./_start_broker.ts";

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
  /** Whether the stack of a task's error ends with the line that has submitted it. By default it does not. */
  submittedAt?: boolean;
}

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
 *   outside must be able to run twice. `currentTask().job` tells it which job it is.
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
    const { address, settings, aliases, unreachableAfter, maxQueued, submittedAt } = checkOptions(options);
    const id = crypto.randomUUID();
    /** What processes of nodes are called in traces, by the numbers that the broker gives them. */
    const names = new Map<number, string>();
    this.#core = new ExecutorCore(this, {
      name: "ClusterExecutor",
      maxConsumers: 1,
      maxQueued,
      submittedAt,
      mapWorkers: MAP_WORKERS,
      sameProcess: false,
      carriesSignals: true,
      detail: "attempts",
      // A job knows no arguments that lie elsewhere.
      bindsArguments: false,
      // Nor a chunk that goes on behind a failure; the broker puts several tasks into one job anyway.
      settlesChunks: false,
      stop: "ask",
      startWorker: () => startBroker(address.redis),
      workerName: (number) => names.get(number) ?? "no worker",
      onWorkerName: (number, name) => names.set(number, name),
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
   * future.addProgressCallback((percent) => console.log(percent));
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
    return this.#countAttempts(this.#core.pool.submit(fn, args)) as ClusterFuture<Awaited<R>>;
  }

  #countAttempts(future: Future<unknown>): Future<unknown> {
    const { events } = this.#core.pool;
    return Object.defineProperty(future, "attempts", { get: () => events.attempts(future) });
  }

  /**
   * Returns this executor with options for its tasks: a time limit, a signal that stops them, a name.
   *
   * A node keeps the time limit, also while this program is cut off. A task that is stopped is not tried again. If it
   * does not end within its `grace`, its node kills the process that runs it, and starts another one. No other task
   * suffers from that.
   *
   * @example A task that may take a minute
   * ```ts ignore
   * // A sketch: it needs a server, a node, and tasks.ts on both sides.
   * import { ClusterExecutor } from "@concurrent/futures/cluster";
   * import { resize } from "./tasks.ts";
   *
   * await using pool = new ClusterExecutor();
   * const future = pool.with({ timeout: 60_000, name: "a.jpg" }).submit(resize, "a.jpg");
   * console.log(await future, future.attempts);
   * ```
   *
   * @param options The options.
   * @returns This executor with the options.
   * @throws {TypeError} If an option is unknown or has the wrong type.
   * @throws {RangeError} If `timeout` or `grace` is `NaN`.
   */
  override with(options: TaskOptions): ControlledCluster {
    return super.with(options) as ControlledCluster;
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

  /**
   * Starts a trace, which records each task that is submitted from now on, when it ends: see
   * {@linkcode https://jsr.io/@concurrent/futures/doc/~/PoolTrace | PoolTrace}.
   *
   * Each process of a node has a row, with the name of the node and a number. The times are those of the node's clock,
   * unless that is off by a second or more.
   *
   * @returns The trace.
   */
  trace(): PoolTrace {
    return this.#core.trace();
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
   * Submits tasks with options.
   *
   * @ignore
   */
  protected override [controlled](): Controlled {
    const { submit, target } = this.#core.controlled;
    return { submit: (fn, args, options) => this.#countAttempts(submit(fn, args, options)), target };
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

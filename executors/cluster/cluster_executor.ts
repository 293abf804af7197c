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
import { BrokenCluster } from "./errors.ts";
import type { TlsOptions } from "./_address.ts";
import type { ClusterBrokerStart } from "./_cluster_broker.ts";
import type { ClusterReport } from "./_in_flight.ts";
import { checkOptions } from "./_options.ts";
import { reportedError } from "./_report_error.ts";

/** How a job waits before it is tried again. */
export interface Backoff {
  /** `"fixed"`: the same pause each time; `"exponential"`: twice as long each time. */
  type: "fixed" | "exponential";
  /** The first pause, in milliseconds. */
  delay: number;
  /** How much pauses differ at random, from 0 to 1. */
  jitter?: number;
}

/** Options of {@linkcode ClusterExecutor}. */
export interface ClusterExecutorOptions {
  /**
   * The server: `redis://user:password@host:6379/0`, or `rediss:` for TLS.
   *
   * @default {"redis://127.0.0.1:6379"}
   */
  redis?: string | URL;
  /** For `rediss:`: certificates as PEM texts, where those of the system are not enough. */
  tls?: TlsOptions;
  /**
   * The queue's name. Nodes serve one queue each.
   *
   * @default {"futures"}
   */
  queue?: string;
  /**
   * What the server's keys begin with.
   *
   * @default {"bull"}
   */
  prefix?: string;
  /**
   * The names by which nodes know modules (their `--module name=path`), where those are not the names of the files:
   * paths or URLs by name.
   */
  modules?: { [name: string]: string | URL };
  /**
   * How often a task that throws is tried, with the first time.
   *
   * @default {1}
   */
  attempts?: number;
  /** The pause before it is tried again: milliseconds, or more exactly. Not given: none. */
  backoff?: number | Backoff;
  /** From 1, the first in line, to 2,097,151; not given: before all that have one. */
  priority?: number;
  /**
   * How long the server keeps results of this executor, in milliseconds: a program that was cut off finds them again
   * for so long. Large ones go as soon as they have arrived.
   *
   * @default {600_000}
   */
  keepResults?: number;
  /**
   * How long the server may be out of reach, in milliseconds since its last answer, before all futures fail with a
   * {@linkcode BrokenCluster}.
   *
   * @default {60_000}
   */
  unreachableAfter?: number;
}

/** A future of a cluster's task. */
export type ClusterFuture<T> = Future<T> & {
  /**
   * How many times a node has begun the task, once that is done; more than once where it was tried again or its node
   * was lost.
   */
  readonly attempts: number;
  /**
   * Calls a function with each value that the task gives to `reportProgress` from now on; see there.
   *
   * @param callback What to call. What it throws is reported as an uncaught error.
   */
  onProgress(callback: (value: unknown) => void): void;
};

/** How long `cancel()` waits for the broker to take a task back, in milliseconds: the server or a node may be slow. */
const RECALL_MS = 5_000;

/** For how many workers the chunks of a map are made, since nobody knows how many there are. */
const MAP_WORKERS = 8;

/**
 * Runs functions on other machines: on nodes, which are processes started there, and which take their work from a queue
 * on a Redis or Valkey server. Everything else is as with the other executors: futures block or are awaited, also while
 * this thread computes; errors arrive with their class; what is cancelled never runs.
 *
 * A task is a function that a module exports, and which the nodes have, too: what travels is its name. Nodes are told
 * which modules they may call. A task is run **at least once**: when its node dies, another one begins it again, so one
 * with effects outside must be able to bear that (see `currentJob`).
 *
 * The engine is BullMQ: its dashboards show the jobs, and programs in other languages can add and run some.
 *
 * @see {@link https://docs.bullmq.io}
 */
export class ClusterExecutor extends Executor {
  readonly #core: ExecutorCore;

  /**
   * Makes an executor; it connects when there is work.
   *
   * @param options Where the queue is, and how jobs are to be treated.
   * @throws {TypeError} An option is of the wrong type.
   * @throws {RangeError} An option is a number, or a name, that it may not be.
   */
  constructor(options: ClusterExecutorOptions = {}) {
    super();
    const { address, settings, aliases, unreachableAfter } = checkOptions(options);
    const id = crypto.randomUUID();
    this.#core = new ExecutorCore(this, {
      name: "ClusterExecutor",
      maxConsumers: 1,
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
   * Queues a call of a function on some node. The arguments are copied now.
   *
   * @param fn A function that a module exports under its name, or a `taskRef`.
   * @param args Its arguments.
   * @returns The future of what the function returns, or what its promise resolves to. It fails with a
   * `TaskNotFoundError` where no module exports the function, or no node knows it.
   * @throws {TypeError} `fn` is not a function.
   * @throws {BrokenCluster} The server is out of reach.
   * @throws {ShutdownError} The executor was shut down.
   */
  override submit<A extends unknown[], R>(fn: (...args: A) => R, ...args: A): ClusterFuture<Awaited<R>> {
    const { pool } = this.#core;
    const future = pool.submit(fn, args);
    const { events } = pool;
    Object.defineProperties(future, {
      attempts: { get: () => events.attempts(future) },
      onProgress: { value: (callback: (value: unknown) => void) => events.onProgress(future, callback) },
    });
    return future as ClusterFuture<Awaited<R>>;
  }

  /**
   * Ends the process that runs a task, wherever that is, so that its future fails; a task that has not begun is
   * cancelled. For tasks which {@linkcode Future.cancel} cannot stop any more.
   *
   * @param future A future of this executor.
   */
  abort(future: Future<unknown>): void {
    if (!future.cancel()) this.#core.pool.abort(future as Future<unknown>);
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
   * Takes no more work. What was submitted still runs, unless it is cancelled; nodes stay up, and jobs of others in the
   * queue are not touched.
   *
   * @param options Whether to wait, and whether to cancel what no node has begun.
   * @returns A promise that resolves when every future is done and the connection is closed; with `wait: false` at
   * once.
   */
  override shutdown(options: ShutdownOptions = {}): Promise<void> {
    return this.#core.shutdown(options);
  }

  /**
   * As {@linkcode shutdown}, blocking the calling thread.
   *
   * @param options Whether to wait, and whether to cancel what no node has begun.
   */
  override shutdownSync(options: ShutdownOptions = {}): void {
    this.#core.shutdownSync(options);
  }
}

function refuseWithoutExport(definition: Definition): void {
  if (definition.how !== "source") return;
  throw new TaskNotFoundError(
    `Cannot send ${definition.name || "a function without a name"} to other machines: no module exports it. ` +
      `They call it by its name, so export it from a module that the nodes have, too. Its text begins: ${
        definition.source.slice(0, 80)
      }`,
  );
}

const BROKER = entry(import.meta.resolve("./_cluster_broker.ts"), () => import("./_cluster_broker.ts"));

function startBroker(redis: string): Worker {
  requestReadOfOwnModules("connect to a cluster", BROKER);
  const { hostname, port } = new URL(redis);
  const host = `${hostname}:${port || 6379}`;
  if (Deno.permissions.requestSync({ name: "net", host }).state !== "granted") {
    throw new Deno.errors.NotCapable(
      `Cannot connect to a cluster without permission to reach ${host}: run again with --allow-net=${host}`,
    );
  }
  // The engine's libraries look at the whole environment.
  if (Deno.permissions.requestSync({ name: "env" }).state !== "granted") {
    throw new Deno.errors.NotCapable(
      "Cannot connect to a cluster without permission to read the environment: run again with --allow-env",
    );
  }
  return new Worker(BROKER, { type: "module", name: "ClusterExecutor" });
}

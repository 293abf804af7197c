/**
 * What the executors that have a pool do alike. They hold it, and do not extend it: a class that users see may extend
 * only what they see, too.
 *
 * @module
 */

import type { Controlled } from "../_map/controlled.ts";
import type { Bound, MapTarget } from "../_map/map.ts";
import type { PoolStats } from "../pool_stats.ts";
import type { PoolTrace } from "../pool_trace.ts";
import { BoundTarget } from "./_bound_target.ts";
import type { Constants } from "./_constants.ts";
import type { Executor, ShutdownOptions } from "../executor.ts";
import type { TaskOptions } from "../task_options.ts";
import { nextChunksize } from "./chunk_size.ts";
import type { AnyFunction } from "./_functions.ts";
import type { PoolKind } from "./kind.ts";
import { Pool } from "./pool.ts";

const pools = new WeakMap<Executor, Pool>();

/** The pool of an executor that has one. */
export function poolOf(executor: Executor): Pool {
  return pools.get(executor)!;
}

/** Shuts down the pools of executors that nobody can reach any more, so that their workers do not stay. */
const forgotten = new FinalizationRegistry<Pool>((pool) => pool.shutdown(false));

/** An executor's pool, and what `Executor` asks of it. */
export class ExecutorCore {
  /** Submits, cancels and collects. It must not lead to the executor, which would never be forgotten then. */
  readonly pool: Pool;
  readonly #kind: PoolKind;
  readonly #executor: Executor;

  constructor(executor: Executor, kind: PoolKind) {
    this.#kind = kind;
    this.#executor = executor;
    this.pool = new Pool(kind);
    pools.set(executor, this.pool);
    forgotten.register(executor, this.pool, this);
  }

  /** How the items of a map become futures. */
  target(fn: AnyFunction, taskOptions?: TaskOptions): MapTarget {
    const { pool } = this;
    // Here, and once for all items: what reads the inputs may submit them when the call of map() is over.
    const options = pool.noted(taskOptions);
    const { mapWorkers, detail, settlesChunks } = this.#kind;
    const target = {
      executor: this.#executor,
      locate: () => pool.locate(fn),
      submit: (args: unknown[]) => pool.submit(fn, args, detail === "msPerItem", options),
      room: pool.isBounded ? () => pool.offerRoom() : undefined,
      whenRoom: () => pool.whenRoom(true),
      bind: (constants: Constants, isReadLater: boolean) => this.#bind(fn, constants, isReadLater, options),
    };
    // Each item has its own time.
    if (options?.timeout !== undefined) return { ...target, chunksize: () => 1 };
    return {
      ...target,
      submitChunk: (items, isColumn, isSettled) =>
        isSettled && !settlesChunks ? undefined : pool.submitChunk(fn, items, isColumn, isSettled, options),
      chunksize: (submitted, left) => nextChunksize(submitted, left, mapWorkers, pool.msPerItem(fn)),
    };
  }

  #bind(fn: AnyFunction, constants: Constants, isReadLater: boolean, options: TaskOptions | undefined): Bound {
    const { pool } = this;
    const { standIn, constants: standIns } = pool.bind(fn, constants, isReadLater);
    const target = standIn === undefined
      ? this.target(fn, options)
      : new BoundTarget(this.target(standIn, options), () => pool.unbind(standIn));
    return { target, standIns };
  }

  /** How tasks with options become futures. */
  get controlled(): Controlled {
    return {
      submit: (fn, args, options) => this.pool.submit(fn, args, false, options),
      target: (fn, options) => this.target(fn, options),
    };
  }

  /** Resolves when there is room for a task; see `ThreadPoolExecutor.ready()`. */
  async ready(): Promise<void> {
    await this.pool.whenRoom(false);
  }

  /** What the pool does, and what became of its tasks. */
  stats(): PoolStats {
    return this.pool.watch.stats();
  }

  /** Begins a trace of the pool's tasks. */
  trace(): PoolTrace {
    return this.pool.watch.trace();
  }

  /** The pool in a line. */
  toString(): string {
    return this.pool.watch.toString();
  }

  /** See `Executor.shutdown()`. */
  async shutdown(options: ShutdownOptions): Promise<void> {
    if (this.#beginShutdown(options)) await this.pool.closed;
  }

  /** See `Executor.shutdownSync()`. */
  shutdownSync(options: ShutdownOptions): void {
    if (this.#beginShutdown(options)) this.pool.blockUntilClosed();
  }

  /** Takes no more work, and says whether to wait for the end of what there is. */
  #beginShutdown({ wait = true, cancelFutures = false }: ShutdownOptions): boolean {
    this.pool.shutdown(cancelFutures);
    forgotten.unregister(this);
    return wait;
  }

  /** Takes no more work, cancels what has not begun, and sends a signal to all processes. */
  kill(signal: Deno.Signal): void {
    this.pool.kill(signal);
    forgotten.unregister(this);
  }
}

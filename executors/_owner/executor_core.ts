/**
 * What the executors that have a pool do alike. They hold it, and do not extend it: a class that users see may extend
 * only what they see, too.
 *
 * @module
 */

import type { MapTarget } from "../_map/map.ts";
import type { Executor, ShutdownOptions } from "../executor.ts";
import { nextChunksize } from "./chunk_size.ts";
import type { AnyFunction } from "./_functions.ts";
import type { PoolKind } from "./kind.ts";
import { Pool } from "./pool.ts";
import { setTaskControl } from "./task_control.ts";

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
    setTaskControl(executor, this.pool);
    forgotten.register(executor, this.pool, this);
  }

  /** How the items of a map become futures. */
  target(fn: AnyFunction): MapTarget {
    const { pool } = this;
    const { mapWorkers, detail } = this.#kind;
    return {
      executor: this.#executor,
      locate: () => pool.locate(fn),
      submit: (args) => pool.submit(fn, args, detail === "msPerItem"),
      submitChunk: (items, isColumn) => pool.submitChunk(fn, items, isColumn),
      chunksize: (submitted, left) => nextChunksize(submitted, left, mapWorkers, pool.msPerItem(fn)),
    };
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

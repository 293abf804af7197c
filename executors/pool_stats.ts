/**
 * What the `stats()` of a pool tells.
 *
 * @module
 */

/** How long tasks took, in milliseconds. All values are 0 before the first task has ended. */
export interface PoolTimes {
  /** The mean. */
  readonly mean: number;
  /** The median: half of the tasks took no longer. It is accurate to 5 %. */
  readonly p50: number;
  /** The 99th percentile: 99 of 100 tasks took no longer. It is accurate to 5 %. */
  readonly p99: number;
}

/**
 * The result of `stats()`: what a pool does, and how its tasks ended. Each item of a `map` counts as a task.
 */
export interface PoolStats {
  /** The number of threads or processes. */
  readonly workers: number;
  /** The number of workers that have nothing to do. One that is starting is not idle. */
  readonly idle: number;
  /** The number of tasks that run. Items of a `map` that were sent together count from the start of the first one. */
  readonly running: number;
  /** The number of tasks that no worker has started. */
  readonly queued: number;
  /** The number of tasks that returned. */
  readonly done: number;
  /** The number of tasks that threw, were stopped, failed with their worker, or have arguments that cannot be sent. */
  readonly failed: number;
  /**
   * The number of tasks that never ran: they were cancelled, or an item of their `map` that was sent with them threw
   * before.
   */
  readonly cancelled: number;
  /** The number of threads that were given up, because a stopped task did not end. Other pools count none. */
  readonly lost: number;
  /** The number of processes that took the place of one that had ended. A thread pool counts none. */
  readonly restarts: number;
  /**
   * How long tasks ran.
   *
   * Of many tasks that follow each other within a millisecond only some are measured: the first 4, then fewer and
   * fewer, at least one of 128. Of items of a `map` that were sent together the mean is measured, and of 32 and more
   * together always.
   */
  readonly runTime: PoolTimes;
  /** How long tasks waited before they started. They are measured like {@linkcode PoolStats.runTime | runTime}. */
  readonly waitTime: PoolTimes;
}

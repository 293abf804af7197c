/**
 * Past one machine: the same `submit`, `map` and futures, run by nodes on any number of machines through a queue on
 * Redis or Valkey.
 *
 * @module
 */

export { type Backoff, ClusterExecutor, type ClusterExecutorOptions, type ClusterFuture } from "./cluster_executor.ts";
export { type CurrentJob, currentJob, type Remote, reportProgress } from "./job.ts";
export type { TlsOptions } from "./_address.ts";
export { BrokenCluster, StalledJobError, TaskAbortedError } from "./errors.ts";

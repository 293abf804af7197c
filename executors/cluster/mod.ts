/**
 * Runs tasks on several machines, with the same `submit`, `map` and futures as on one.
 *
 * The program uses a {@linkcode ClusterExecutor}. The tasks are run by *nodes*, on any number of machines, which get
 * them from a queue on a Redis or Valkey server. Each node is started by a command, which the module
 * [`@concurrent/futures/node`](https://jsr.io/@concurrent/futures/doc/node) describes. A program that does not import
 * this module does not load what it depends on.
 *
 * ```ts ignore
 * // A sketch: it needs a server, a node, and tasks.ts on both sides.
 * import { ClusterExecutor } from "@concurrent/futures/cluster";
 * import { resize } from "./tasks.ts";
 *
 * using pool = new ClusterExecutor({ redis: "redis://10.0.0.1:6379" });
 * for (const name of pool.map(resize, ["a.jpg", "b.jpg"])) console.log(name);
 * ```
 *
 * @module
 */

export { type Backoff, ClusterExecutor, type ClusterExecutorOptions, type ClusterFuture } from "./cluster_executor.ts";
export { type CurrentJob, currentJob, type Remote, reportProgress } from "./job.ts";
export type { TlsOptions } from "./_address.ts";
export { BrokenCluster, StalledJobError, TaskAbortedError } from "./errors.ts";

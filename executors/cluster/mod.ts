/**
 * Runs tasks on several machines, with the same `submit`, `map` and futures as on one.
 *
 * The program uses a {@linkcode ClusterExecutor}. *Nodes* run its tasks: they can be on any number of machines, and get
 * the tasks from a queue on a Redis or Valkey server. The command
 * [`@concurrent/futures/node`](https://jsr.io/@concurrent/futures/doc/node) starts a node. Only programs that import
 * this module load BullMQ and ioredis.
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

export { type Backoff, ClusterExecutor, type ClusterExecutorOptions } from "./cluster_executor.ts";
export type { ClusterFuture, ControlledCluster } from "./cluster_future.ts";
export type { Remote } from "./remote.ts";
export type { TlsOptions } from "./_address.ts";
export { BrokenCluster, StalledJobError } from "./errors.ts";

/**
 * Errors that only a cluster has.
 *
 * @module
 */

import { BrokenExecutor } from "../../futures/errors.ts";

/** Thrown when the server of a cluster is out of reach for too long or refuses the connection, or a job is lost. */
export class BrokenCluster extends BrokenExecutor {
  /** The name of the class. */
  override name = "BrokenCluster";
}

/**
 * Thrown when two nodes were lost while they ran a task, so that it is not run again.
 *
 * A node is lost when it dies, or is cut off from the server. The task may be the reason: it may use up the memory.
 */
export class StalledJobError extends BrokenExecutor {
  /** The name of the class. */
  override name = "StalledJobError";
}

/**
 * Errors that only a cluster has.
 *
 * @module
 */

import { BrokenExecutor } from "../../futures/errors.ts";
import { registerError } from "../register_error.ts";

/** The server of a cluster was out of reach for too long, or refuses the connection; or a job was lost. */
export class BrokenCluster extends BrokenExecutor {
  /** The class name, as on every error of this module. */
  override name = "BrokenCluster";
}

/** The nodes of a job died or lost touch with the server more often than a job may be begun again. */
export class StalledJobError extends BrokenExecutor {
  /** The class name, as on every error of this module. */
  override name = "StalledJobError";
}

/** A task was ended by `ClusterExecutor.abort()`. */
export class TaskAbortedError extends Error {
  /** The class name, as on every error of this module. */
  override name = "TaskAbortedError";
}

registerError(TaskAbortedError);

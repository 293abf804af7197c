/**
 * Where an error of a cluster's task comes from.
 *
 * @module
 */

import type { CurrentJob } from "../current_task.ts";

/** Tells where an error of a task comes from. The error has it in its property `remote`. */
export interface Remote {
  /** The name of the node. */
  readonly node: string;
  /** The ID of the process that ran the task, or of the node's own process if that one has died. */
  readonly pid: number;
  /** The ID of the job. */
  readonly job: string;
  /** How many times the task had been started, including this time. */
  readonly attempt: number;
}

/**
 * An error with where it happened.
 *
 * @ignore
 */
export function withRemote(error: unknown, { id, node, attempt }: CurrentJob): unknown {
  if (error instanceof Error && Object.isExtensible(error) && !("remote" in error)) {
    const remote: Remote = { node, pid: Deno.pid, job: id, attempt };
    Object.assign(error, { remote });
  }
  return error;
}

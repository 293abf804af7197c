/**
 * What a task of a cluster can know of itself.
 *
 * @module
 */

/** The job that the current task belongs to: the result of {@linkcode currentJob}. */
export interface CurrentJob {
  /**
   * The ID of the job in its queue, which is the same each time the task is run.
   *
   * Use it as a key to do something outside only once, such as a payment: a task runs at least once, but may run again.
   */
  readonly id: string;
  /** The name of the queue. */
  readonly queue: string;
  /** The name of the node that runs the task. */
  readonly node: string;
  /** How many times the task has been started, including this time: 1 at first. */
  readonly attempt: number;
}

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

let current: CurrentJob | undefined;
let report: (value: unknown) => void = () => {};

/**
 * Returns the job that the calling task belongs to.
 *
 * @example A payment that is made only once
 * ```ts
 * import { currentJob } from "@concurrent/futures/cluster";
 * import { assertEquals } from "@std/assert";
 *
 * async function pay(amount: number): Promise<void> {
 *   await fetch("https://example.com/payments", {
 *     method: "POST",
 *     headers: { "Idempotency-Key": currentJob()!.id },
 *     body: JSON.stringify({ amount }),
 *   });
 * }
 *
 * assertEquals(pay.name, "pay"); // a node calls it
 * assertEquals(currentJob(), undefined); // here no node runs a task
 * ```
 *
 * @returns The job, or `undefined` if no node runs the caller.
 */
export function currentJob(): CurrentJob | undefined {
  return current;
}

/**
 * Reports the progress of the calling task to its future, and to BullMQ's dashboards.
 *
 * The program gets the value in the future's `onProgress`. A value can be lost on its way, and large ones are not sent.
 * Outside of a task the call does nothing.
 *
 * @example A task that reports each frame
 * ```ts
 * import { reportProgress } from "@concurrent/futures/cluster";
 * import { assertEquals } from "@std/assert";
 *
 * function render(frames: number): number {
 *   for (let i = 1; i <= frames; i++) reportProgress({ frame: i, frames });
 *   return frames;
 * }
 *
 * assertEquals(render(3), 3); // no node runs it, so nothing is reported
 * ```
 *
 * @param value Any value that can be sent, such as a percentage.
 * @throws {SerializationError} If the value cannot be sent.
 */
export function reportProgress(value: unknown): void {
  report(value);
}

/**
 * Calls a function as a part of a job. A process runs one job at a time.
 *
 * @ignore
 */
export async function runAs<R>(
  job: CurrentJob,
  onProgress: (value: unknown) => void,
  fn: () => Promise<R>,
): Promise<R> {
  current = job;
  report = onProgress;
  try {
    return await fn();
  } finally {
    current = undefined;
    report = () => {};
  }
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

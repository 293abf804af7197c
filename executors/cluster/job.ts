/**
 * What a task of a cluster can know of itself.
 *
 * @module
 */

/** The job that a task runs for. */
export interface CurrentJob {
  /**
   * The job's number in its queue: the same each time that the job is run. Delivery is at least once, so a task with
   * effects outside can use it to do them once only, as the key of a payment or of a row.
   */
  readonly id: string;
  /** The queue's name. */
  readonly queue: string;
  /** The name of the node that runs it. */
  readonly node: string;
  /** How many times it has been begun, with this time: 1 at first. */
  readonly attempt: number;
}

/** Where an error comes from: what errors of tasks have as their `remote`. */
export interface Remote {
  /** The name of the node. */
  readonly node: string;
  /** The number of the process there; of the node's own where that of the task has died. */
  readonly pid: number;
  /** The job's number. */
  readonly job: string;
  /** How many times it had been begun. */
  readonly attempt: number;
}

let current: CurrentJob | undefined;
let report: (value: unknown) => void = () => {};

/**
 * The job that the calling task runs for.
 *
 * @example A payment that is made once
 * ```ts ignore
 * import { currentJob } from "@concurrent/futures/cluster";
 *
 * export async function pay(amount: number): Promise<void> {
 *   await fetch("https://example.com/payments", {
 *     method: "POST",
 *     headers: { "Idempotency-Key": currentJob()!.id },
 *     body: JSON.stringify({ amount }),
 *   });
 * }
 * ```
 *
 * @returns `undefined` where no node runs the caller, as in the program that submits.
 */
export function currentJob(): CurrentJob | undefined {
  return current;
}

/**
 * Reports how far the calling task has come: `onProgress` of its future hears it, and dashboards show it. What does not
 * fit into some hundred bytes, or is lost on its way, is not heard. Where no node runs the caller, nothing happens.
 *
 * @example
 * ```ts ignore
 * import { reportProgress } from "@concurrent/futures/cluster";
 *
 * export function render(frames: number): void {
 *   for (let i = 0; i < frames; i++) reportProgress({ frame: i + 1, of: frames });
 * }
 * ```
 *
 * @param value Any value that can cross, such as a percentage.
 * @throws {SerializationError} It cannot cross.
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

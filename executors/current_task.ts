/**
 * What a task can know of itself, and say of its progress: {@linkcode currentTask} and {@linkcode reportProgress}.
 *
 * This module loads nothing of what runs tasks: a worker says here what is to be called.
 *
 * @module
 */

/** What a task can know about itself: the result of {@linkcode currentTask}. */
export interface CurrentTask {
  /** The name that {@linkcode Executor.prototype.with | with()} gave to the task, or that of its function. */
  readonly name: string;
  /** The name of the thread, process or node that runs the task. */
  readonly worker: string;
  /**
   * A signal that is aborted when the task is stopped: by its `timeout`, by the `signal` that was given to
   * {@linkcode Executor.prototype.with | with()}, or by {@linkcode Future.prototype.abort | abort()}.
   *
   * `signal.aborted` and `signal.throwIfAborted()` tell it at once, even in a loop that never yields. The event `abort`
   * is dispatched when the task awaits something.
   */
  readonly signal: AbortSignal;
  /** How often the task was started, including this time: 1 at first. */
  readonly attempt: number;
}

/** What a worker does for the tasks that it runs. */
export interface TaskHost {
  /** The task that the caller is a part of. */
  current(): CurrentTask | undefined;
  /** Takes in what the caller says of its progress. */
  progress(value: unknown): void;
}

let host: TaskHost | undefined;

/**
 * Says who runs the tasks of this thread.
 *
 * @ignore
 */
export function setTaskHost(runner: TaskHost): void {
  host = runner;
}

/**
 * Returns what the calling task can know about itself: its name, its worker, and the signal that stops it.
 *
 * @example A loop that ends when it is told to
 * ```ts
 * import { ThreadPoolExecutor } from "@concurrent/futures";
 * import { assertEquals } from "@std/assert";
 *
 * const search = async (): Promise<never> => {
 *   const { currentTask } = await import("@concurrent/futures");
 *   const { signal } = currentTask()!;
 *   for (;;) signal.throwIfAborted();
 * };
 *
 * await using pool = new ThreadPoolExecutor(1);
 * const future = pool.with({ timeout: 50 }).submit(search);
 * assertEquals((future.exception() as Error).name, "TimeoutError");
 * ```
 *
 * @returns The task, or `undefined` outside of a task.
 */
export function currentTask(): CurrentTask | undefined {
  return host?.current();
}

/**
 * Tells how far the calling task has come. The callbacks of
 * {@linkcode Future.prototype.addProgressCallback | addProgressCallback()} and the loops over
 * {@linkcode Future.prototype.progress | progress()} get the value.
 *
 * The task never waits for them: if they are slow, they may get only the newest value. Outside of a task the call does
 * nothing.
 *
 * @example Hear how far a task has come
 * ```ts
 * import { ThreadPoolExecutor } from "@concurrent/futures";
 * import { assertEquals } from "@std/assert";
 *
 * const render = async (frames: number): Promise<void> => {
 *   const { reportProgress } = await import("@concurrent/futures");
 *   for (let frame = 1; frame <= frames; frame++) reportProgress({ frame, of: frames });
 * };
 *
 * await using pool = new ThreadPoolExecutor(1);
 * const future = pool.submit(render, 2);
 * const heard: unknown[] = [];
 * for await (const value of future.progress()) heard.push(value);
 * assertEquals(heard, [{ frame: 1, of: 2 }, { frame: 2, of: 2 }]);
 * ```
 *
 * @param value Any value that can be sent, such as a percentage.
 * @throws {SerializationError} If the value cannot be sent.
 */
export function reportProgress(value: unknown): void {
  host?.progress(value);
}

/**
 * What a task can know of itself, and say of its progress: {@linkcode currentTask} and {@linkcode reportProgress}.
 *
 * This module loads nothing of what runs tasks: a worker says here what is to be called.
 *
 * @module
 */

/** The job of a cluster that a task belongs to: {@linkcode CurrentTask.job}. */
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

/** What a task can know about itself: the result of {@linkcode currentTask}. */
export interface CurrentTask {
  /** The name that {@linkcode Executor.prototype.with | with()} gave to the task, or that of its function. */
  readonly name: string;
  /** The name of the thread, process or node that runs the task, such as `ThreadPoolExecutor-0_1`. */
  readonly worker: string;
  /**
   * A signal that is aborted when the task is stopped: by its `timeout`, by the `signal` that was given to
   * {@linkcode Executor.prototype.with | with()}, or by {@linkcode Future.prototype.abort | abort()}.
   *
   * `signal.aborted` and `signal.throwIfAborted()` tell it at once, even in a loop that never yields. The event `abort`
   * is dispatched when the task awaits something. It is an `AbortSignal` like any other: `fetch` and `AbortSignal.any`
   * take it.
   *
   * The task then has its `grace` to end by itself. Its future fails with the reason in any case.
   *
   * @see {@link https://developer.mozilla.org/docs/Web/API/AbortSignal | MDN}
   */
  readonly signal: AbortSignal;
  /** How often the task was started, including this time: 1 at first. Only on a cluster it can be more. */
  readonly attempt: number;
  /** The job that the task belongs to, on a node of a cluster; elsewhere there is none. */
  readonly job?: CurrentJob;
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
 * It can be called anywhere in a task, also after an `await` and in functions that the task calls. A task in a thread
 * should look at the signal, or pass it on to what it awaits, because a thread cannot be killed: see
 * {@linkcode CurrentTask.signal}.
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
 * @example Pass the signal on
 * ```ts
 * import { ThreadPoolExecutor } from "@concurrent/futures";
 * import { assertEquals } from "@std/assert";
 *
 * const download = async (url: string): Promise<string> => {
 *   const { currentTask } = await import("@concurrent/futures");
 *   const response = await fetch(url, { signal: currentTask()?.signal }); // also when it is called outside of a task
 *   return await response.text();
 * };
 *
 * await using pool = new ThreadPoolExecutor(1);
 * assertEquals(await pool.with({ timeout: 60_000 }).submit(download, "data:,text"), "text");
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
 * They get the values in order, before the future is done. The task never waits for them: where they are slow, newer
 * values replace older ones. If the task returns or throws, they get its last value in any case.
 *
 * Outside of a task the call does nothing, so a function that reports can also be called directly.
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
 * @param value Any value that can be sent, such as a percentage. It is copied.
 * @throws {SerializationError} If the value cannot be sent. The task can catch it, and continues then.
 */
export function reportProgress(value: unknown): void {
  host?.progress(value);
}
